"""Statements of strangers: only the views answer, in bounded time, and hold nothing."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl.errors import InputError
from pushctl.rules import limits
from pushctl.rules.figures.views.catalogue import VIEWS, Type
from pushctl.store import Store, free_sql
from pushctl.store.views import SECRETS, open_views
from tests.support import NOON, database
from tests.support.people import Human, settle

CANARY = "canary"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A database in which everything that no view may show says CANARY."""
    file = tmp_path_factory.mktemp("sql") / "pushctl.db"
    with database.create(file) as store:
        fill(store)
        yield file  # open: a view is asked beside whoever writes


def fill(store: Store) -> None:
    fields = {"alias": "alias-ann", "city": "city-izmir", "country": "TR", "browser": "Firefox"}
    ann = Human(
        fields, attributes={"name": CANARY}, events=(("purchase", NOON),),
        outcomes=(("sale", "accepted", 201, NOON),), reactions=(("clicked", "sale", NOON),),
    )  # fmt: skip
    settle(store, [ann, Human({"country": "DE"}, outcomes=(("sale", "gone", 410, NOON),))])
    store.connection.executescript(f"""
        UPDATE subscriptions SET endpoint = 'https://{CANARY}/' || id, key_id = '{CANARY}',
               p256dh = CAST(substr(replace(hex(zeroblob(33)), '00', '{CANARY}'), 1, 65)
                             AS BLOB), auth = CAST('{CANARY}0123456789' AS BLOB),
               email_hash = CAST('{CANARY}' AS BLOB);
        UPDATE events SET properties = json_object('code', '{CANARY}'),
               dedupe_key = '{CANARY}';
        UPDATE interactions SET dedupe_key = '{CANARY}' || id;
        UPDATE deliveries SET location = '{CANARY}';
        UPDATE campaigns SET sources = json_object('t', '{CANARY}'), audience = '{CANARY}';
        INSERT INTO orders (site_id, source, number, state, minor, exponent, currency, at,
                            received_at, alias, cart_key, email_hash, codes, history, lines)
        VALUES (1, 'woo', '1007', 'paid', 4999, 2, 'EUR', {NOON}, {NOON}, '{CANARY}',
                '{CANARY}', CAST('{CANARY}' AS BLOB), '["{CANARY}"]', '{{"{CANARY}": 1}}',
                '[{{"id": "{CANARY}"}}]');
        INSERT INTO promo_pools (name, low, created_at) VALUES ('summer', 0, 0);
        INSERT INTO promo_codes (pool_id, code) VALUES (1, '{CANARY}');
        INSERT INTO meta (key, value) VALUES ('{CANARY}', '{CANARY}');
        INSERT INTO prompt_counts VALUES (1, 0, 'a', 'de', 'Chrome', 'seen', 3, '{CANARY}');
    """)


def ask(path: Path, statement: str, **more: float) -> list[tuple[object, ...]]:
    return free_sql.ask(path, statement, people=False, **more).rows


def everything(path: Path, *, people: bool) -> str:
    return "".join(
        repr(free_sql.ask(path, f"SELECT * FROM {name}", people=people)) for name in VIEWS
    )


def test_every_view_has_the_columns_that_are_declared(path: Path) -> None:
    for name, view in VIEWS.items():
        found = free_sql.ask(path, f"SELECT * FROM {name}", people=True)
        assert found.names == [field.name for field in view.fields]
        kinds = {
            Type.TEXT: str, Type.INTEGER: int, Type.REAL: float, Type.BOOLEAN: int,
            Type.TIME: int,
        }  # fmt: skip
        for row in found.rows:
            for field, value in zip(view.fields, row, strict=True):
                assert value is None or isinstance(value, kinds[field.type]), field.name
                assert field.type is not Type.BOOLEAN or value in (0, 1, None)
    assert len(ask(path, "SELECT * FROM deliveries")) == 2


def test_no_view_shows_a_secret(path: Path) -> None:
    shown = everything(path, people=True)
    assert CANARY not in shown
    assert CANARY.encode().hex() not in shown


def test_what_names_a_person_is_there_for_people_alone(path: Path) -> None:
    assert "alias-ann" in everything(path, people=True)
    assert "city-izmir" in everything(path, people=True)
    plain = everything(path, people=False)
    assert "alias-ann" not in plain and "city-izmir" not in plain
    with pytest.raises(InputError, match="--people shows it"):
        ask(path, "SELECT alias FROM people")


def test_a_misspelt_name_is_answered_with_the_nearest(path: Path) -> None:
    with pytest.raises(InputError, match=r"no such table: peple\. Did you mean 'people'"):
        ask(path, "SELECT * FROM peple")
    with pytest.raises(InputError, match=r"contry\. Did you mean 'country'"):
        ask(path, "SELECT contry FROM people")
    with pytest.raises(InputError, match="`pushctl sql` shows the columns"):
        ask(path, "SELECT zzz FROM people")


def test_figures_can_be_asked(path: Path) -> None:
    statement = """
        -- by country
        WITH sent AS (SELECT country, clicked FROM deliveries WHERE campaign = 'sale')
        SELECT country, count(*), sum(clicked) FROM sent GROUP BY 1 ORDER BY 1;
    """
    assert ask(path, statement) == [("DE", 1, 0), ("TR", 1, 1)]
    assert ask(path, "SELECT amount, items, currency FROM ORDERS") == [(49.99, 1, "EUR")]
    assert ask(path, "SELECT count(*) FROM Deliveries") == [(2,)]
    assert ask(path, "VALUES (1), (2)") == [(1,), (2,)]


REACHING = """
SELECT * FROM subscriptions
SELECT count(*) FROM main.subscriptions
SELECT * FROM main.deliveries
SELECT 1 FROM subscriptions WHERE endpoint LIKE 'https%'
SELECT 1 FROM subscriptions NATURAL JOIN (SELECT 'canary' AS key_id)
SELECT endpoint FROM (SELECT 'x' AS endpoint) FULL JOIN subscriptions USING (endpoint)
SELECT code FROM (SELECT 'x' AS code) FULL JOIN promo_codes USING (code)
SELECT value FROM (SELECT 'x' AS value) FULL JOIN "meta" USING (value)
SELECT sql FROM (SELECT 'x' AS sql) FULL JOIN sqlite_temp_master USING (sql)
SELECT name FROM (SELECT 'x' AS name) FULL JOIN [SQLite_sequence] USING (name)
WITH people AS (SELECT endpoint FROM main.subscriptions) SELECT * FROM people
WITH people AS (SELECT endpoint FROM subscriptions) SELECT * FROM people
SELECT * FROM (SELECT auth AS deliveries FROM subscriptions) AS deliveries
SELECT (SELECT endpoint FROM subscriptions LIMIT 1) FROM people
SELECT * FROM people WHERE id IN promo_codes
SELECT s.endpoint FROM deliveries
SELECT d.attributes FROM people
SELECT attributes FROM people
SELECT 1 ORDER BY (SELECT code FROM promo_codes)
SELECT * FROM sqlite_master
SELECT count(*) FROM sqlite_schema
SELECT * FROM temp.sqlite_master
SELECT * FROM pragma_database_list
SELECT count(*) FROM pragma_table_info('subscriptions')
SELECT * FROM dbstat
SELECT * FROM json_each('[1]')
SELECT * FROM generate_series(1, 3)
SELECT * FROM fts5vocab
SELECT * FROM bytecode('SELECT 1')
"""
WRITING = """
INSERT INTO people DEFAULT VALUES
UPDATE people SET alias = ''
DELETE FROM deliveries
WITH x AS (SELECT 1) DELETE FROM subscriptions
WITH x AS (SELECT 1) INSERT INTO deliveries (id) SELECT 1 FROM x
CREATE TEMP TABLE t (a)
PRAGMA user_version = 7
ATTACH '/tmp/other.db' AS other
VACUUM INTO '/tmp/other.db'
BEGIN IMMEDIATE
EXPLAIN SELECT 1
/* SELECT */ EXPLAIN QUERY PLAN SELECT 1
SELECT 1; SELECT 2
SELECT load_extension('x')
SELECT readfile('/etc/passwd')
SELECT writefile('/tmp/x', 'y')
SELECT fts3_tokenizer('x')
SELECT sqlite_compileoption_get(1)
-- nothing
"""
HEAVY = [
    "SELECT length(zeroblob(1000000000))",
    "SELECT length(randomblob(1000000000))",
    "SELECT printf('%.*c', 1000000000, 'x')",
    "SELECT format('%1000000000d', 1)",
    "WITH RECURSIVE t(n, s) AS (SELECT 1, 'xxxxxxxx' UNION ALL SELECT n + 1, s || s FROM t) "
    "SELECT max(s) FROM t",
    "SELECT " + "(" * 900 + "1" + ")" * 900,
    "SELECT " + "+".join(["1"] * 5_000),
    "SELECT 1" + " UNION ALL SELECT 1" * 200,
    "SELECT " + ", ".join(["1"] * 1_000),
    "SELECT " + "-" * 150_000 + "1",
    "SELECT count(*) FROM " + ", ".join(f"deliveries d{one}" for one in range(60)),
    "SELECT 'a' LIKE '" + "%a" * 500 + "'",
    "SELECT 'a\0b'",
    "",
]


@pytest.mark.parametrize("statement", REACHING.strip().split("\n"))
def test_a_table_is_out_of_reach(path: Path, statement: str) -> None:
    with pytest.raises(InputError) as refused:
        ask(path, statement)
    assert CANARY not in str(refused.value).replace("'canary'", "")
    assert "file_" not in str(refused.value)  # its secret name


@pytest.mark.parametrize("statement", WRITING.strip().split("\n"))
def test_nothing_is_written_or_loaded(path: Path, statement: str) -> None:
    before = path.read_bytes()
    with pytest.raises(InputError):
        ask(path, statement)
    assert path.read_bytes() == before


@pytest.mark.parametrize("statement", HEAVY, ids=lambda it: it[:40] or "empty")
def test_what_is_too_large_is_refused_at_once(path: Path, statement: str) -> None:
    begun = time.monotonic()
    with pytest.raises(InputError):
        ask(path, statement, seconds=20)
    assert time.monotonic() - begun < 5


def test_the_judge_alone_lets_nobody_at_the_file(path: Path) -> None:
    """Even who knew the file's secret name would read no column."""
    connection, file = open_views(path, people=False)
    connection.set_authorizer(free_sql._Judge(file, ()))
    for column in ("endpoint", "alias", "id"):
        with pytest.raises(sqlite3.DatabaseError, match="prohibited"):
            connection.execute(f"SELECT {column} FROM {file}.subscriptions")
    with pytest.raises(sqlite3.DatabaseError, match="prohibited"):
        connection.execute(
            f"WITH people AS (SELECT endpoint FROM {file}.subscriptions) SELECT * FROM people"
        )
    connection.close()


def test_the_file_itself_is_opened_for_reading_only(path: Path) -> None:
    connection, file = open_views(path, people=False)
    connection.execute("PRAGMA query_only = OFF")
    with pytest.raises(Exception, match=r"readonly|can't be used"):
        connection.execute(f"DELETE FROM {file}.deliveries")
    connection.close()


def test_a_statement_without_an_end_is_ended(path: Path) -> None:
    endless = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t)"
    begun = time.monotonic()
    with pytest.raises(InputError, match=r"longer than 0\.2 s"):
        ask(path, f"{endless} SELECT count(*) FROM t", seconds=0.2)
    with pytest.raises(InputError, match=r"longer than 0\.2 s"):
        ask(path, f"{endless} SELECT * FROM t WHERE n < 0", seconds=0.2)
    assert time.monotonic() - begun < 2


def test_an_answer_has_a_largest_size(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t LIMIT {})"
    many = numbers.format(limits.MAX_SQL_ROWS + 5) + " SELECT n FROM t"
    found = free_sql.ask(path, many, people=False)
    assert (len(found.rows), found.cut) == (limits.MAX_SQL_ROWS, True)
    just = numbers.format(limits.MAX_SQL_ROWS) + " SELECT n FROM t"
    assert not free_sql.ask(path, just, people=False).cut
    monkeypatch.setattr(free_sql, "MAX_SQL_RESULT_BYTES", 1_000)
    with pytest.raises(InputError, match="too much memory"):
        ask(path, numbers.format(500) + " SELECT n FROM t")


def test_an_answer_holds_no_write_ahead_log(path: Path) -> None:
    ask(path, "SELECT * FROM deliveries")
    with Store(path) as other:
        with other.write() as connection:
            connection.execute("UPDATE deliveries SET attempts = 7")
        busy, _, _ = other.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert busy == 0


def test_the_declared_secrets_are_columns_of_the_schema(path: Path) -> None:
    """A name that no table has would guard nothing."""
    with sqlite3.connect(path) as connection:
        names = {
            column
            for (table,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'"
            )
            for _, column, *_ in connection.execute(f'PRAGMA table_info("{table}")')
        }
    connection.close()
    assert names >= SECRETS
