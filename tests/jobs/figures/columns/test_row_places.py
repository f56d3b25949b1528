"""After a restore numbers go on a billion further on: the figures and their cost stay."""

import contextlib
import io
import json
import os
import resource
import shutil
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from pushctl import cli
from pushctl.jobs.figures.columns import people
from pushctl.jobs.figures.columns.messages import load_messages, load_people
from pushctl.jobs.figures.columns.row_places import Folding, load_folding, make_folding
from pushctl.store import Store
from tests.proofs import recount
from tests.support import MINUTE, NOON
from tests.support.histories import History, make_random_history

SEED = 5
# Of memory, above what the tests have: a column by number would need 16 GB.
MOST = 1_500_000_000

# All tables that count people, messages, events or orders; each is read as JSON.
TABLES = (
    "stats", "stats --check", "stats campaigns", "stats campaigns --site shop",
    *(f"stats campaigns --by {by}" for by in ("topic", "country", "language", "week", "age")),
    "stats times", "stats times --by weekday", "stats ab", "stats promo", "stats sites",
    "stats campaign basket/1", "stats subscribers",
    "stats subscribers --by country --since 90d",
    "stats subscribers --show cohorts", "stats subscribers --show reach",
    "stats subscribers --show reach --site shop", "stats optin", "stats triggers",
    "stats triggers --site shop", "stats holdout", "stats holdout --plan", "stats basket",
    "stats basket --site shop", "stats leaving",
    *(f"stats leaving --by {by}" for by in ("form", "topic", "browser", "segment", "hour")),
    "stats leaving --penalties", "best-time", "best-time --site shop",
    "forecast --people 1000", "forecast --scores", "orders list",
    "report --last 90d --output {page}",
    "replay --outcome --since 120d", "replay --outcome --hour 9 --since 120d",
)  # fmt: skip


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    made = make_random_history(SEED, tmp_path_factory.mktemp("plain") / "history")
    yield made
    made.close()


@pytest.fixture(scope="module")
def restored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    folder = tmp_path_factory.mktemp("restored") / "history"
    made = make_random_history(SEED, folder, restored=True)
    yield made
    made.close()


def in_little_memory(work: Callable[[], object]) -> None:
    """Do *work* in a child of this process that gets MOST bytes more, and no more."""
    child = os.fork()
    if not child:
        _work(work)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def _work(work: Callable[[], object]) -> NoReturn:
    code = 1
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + MOST
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def ask(folder: Path) -> dict[str, str]:
    """Return what each of TABLES answers in the project of *folder*, with its exit code."""
    page = folder / "page.html"
    found = {words: answer(folder, words.format(page=page).split()) for words in TABLES}
    # In the order of their persons, whatever the numbers of these are.
    counts = "SELECT count(*), min(at) FROM events GROUP BY person(subscriber_id) ORDER BY 2"
    found["sql"] = answer(folder, ["sql", counts])
    found["page"] = "0 " + page.read_text()
    return {words: text.replace(str(folder), "") for words, text in found.items()}


def answer(folder: Path, words: Sequence[str]) -> str:
    as_json = [] if "--output" in words else ["--format=json"]
    shown, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(said):
        code = cli.run(["--project", str(folder), *words, *as_json])
    return f"{code} {shown.getvalue()} {said.getvalue()}"


def test_the_numbers_of_the_restored_one_are_far_apart(restored: History) -> None:
    for table in (
        "subscriptions",
        "campaigns",
        "deliveries",
        "interactions",
        "events",
        "orders",
    ):
        low, high = restored.store.connection.execute(
            f"SELECT min(id), max(id) FROM {table}"
        ).fetchone()
        assert high - low >= 1_000_000_000, table


def test_every_cell_is_what_a_slow_count_says(restored: History) -> None:
    """The connection is not that of the parent: SQLite's may not cross a fork."""

    def work() -> None:
        with Store(restored.config.database) as store:
            recount.check(History(restored.folder, restored.config, store, NOON, SEED))

    in_little_memory(work)


def test_every_table_is_that_of_the_same_history_without_a_restore(
    plain: History, restored: History, tmp_path: Path
) -> None:
    expected, found = tmp_path / "expected", tmp_path / "found"

    def work() -> None:
        time.time = lambda: NOON / 1000
        expected.write_text(json.dumps(ask(plain.folder)))
        found.write_text(json.dumps(ask(restored.folder)))

    in_little_memory(work)
    tables, same = (json.loads(file.read_text()) for file in (found, expected))
    assert [words for words in same if not same[words].startswith("0 ")] == []
    assert [words for words in same if tables[words] != same[words]] == []


def test_numbers_have_places_without_gaps_in_their_order_and_back() -> None:
    jump = 1_000_000_000
    numbers = [1, 5, 16_384, 40_000, jump + 41_000, 7 * jump, 7 * jump + 16_384, 9 * jump]
    folding = make_folding(numbers)
    places = folding.fold(np.array(numbers))
    assert places.tolist()[:3] == numbers[:3]  # up to the first gap nothing changes
    assert folding.unfold(places).tolist() == numbers
    assert (np.diff(places) > 0).all()
    assert places[-1] < folding.size <= 7 * 16_384
    nobodys = [0, -1, 100_000, jump, 8 * jump, 9 * jump + 1, 99 * jump]
    assert folding.fold(np.array(nobodys)).tolist() == [0] * len(nobodys)


def test_where_nothing_was_restored_places_are_the_numbers_themselves(plain: History) -> None:
    folding = load_folding(plain.store)
    (last,) = plain.store.connection.execute("SELECT max(id) FROM subscriptions").fetchone()
    numbers = np.arange(last + 1)
    assert folding.size == last + 1
    assert folding.fold(numbers) is numbers
    assert folding.unfold(numbers) is numbers
    assert make_folding([]).size == 1


def test_messages_find_their_people_however_far_apart(
    plain: History, restored: History
) -> None:
    def list_countries(store: Store) -> list[str | None]:
        everybody = load_people(store, ["country"])
        whose = load_messages(store, None, ["subscription"], everybody.folding).subscription
        return [everybody.words["country"][code] for code in everybody.country[whose].tolist()]

    assert list_countries(restored.store) == list_countries(plain.store)


def test_somebody_who_comes_and_gets_a_message_meanwhile_stops_no_table(
    restored: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(restored.folder, tmp_path / "copy"))
    database = folder / restored.config.database.relative_to(restored.folder)
    came: list[int] = []

    def load_then_come(store: Store, source: str = "subscriptions") -> Folding:
        made = load_folding(store, source)
        came.append(come(database, len(came)))
        return made

    monkeypatch.setattr(people, "load_folding", load_then_come)
    monkeypatch.setattr(time, "time", lambda: NOON / 1000)
    answers = ask(folder)
    assert [words for words in answers if not answers[words].startswith("0 ")] == []
    assert len(came) > len(TABLES)  # most tables ask for people, some twice


def come(database: Path, number: int) -> int:
    """Write somebody who subscribes, and all that can be known of them, as another process."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.row_factory = sqlite3.Row

        def copy(table: str, where: str = "true", **values: object) -> int:
            sql = f"SELECT * FROM {table} WHERE {where} ORDER BY id LIMIT 1"
            row = {**dict(connection.execute(sql).fetchone()), **values}
            del row["id"]
            marks = ", ".join(f":{name}" for name in row)
            sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"
            return connection.execute(sql, row).lastrowid or 0

        own = copy("subscriptions", public_id=f"{number:022}", endpoint=f"https://e/{number}",
                   endpoint_hash=b"%032d" % number)  # fmt: skip
        for at, kind in enumerate(("unsubscribed", "revived")):
            copy("subscription_changes", subscription_id=own, kind=kind, at=NOON - 9 + at)
        copy("events", "name = 'cart_updated'", subscription_id=own, dedupe_key=f"{number}",
             at=NOON - MINUTE)  # fmt: skip
        copy("orders", "state = 'paid' AND subscription_id", subscription_id=own,
             number=f"late {number}", at=NOON - 1)  # fmt: skip
        copy("enrolments", "state = 'finished'", subscription_id=own, occurrence=f"{number}",
             entered_at=NOON - MINUTE)  # fmt: skip
        # Of each campaign, so that none is without.
        rows = connection.execute("SELECT id FROM campaigns").fetchall()
        sent = "status = 'accepted' AND sent_at AND shown_at"
        for (campaign,) in rows:
            message = copy("deliveries", sent, campaign_id=campaign, subscription_id=own,
                           sent_at=NOON - MINUTE)  # fmt: skip
            copy("interactions", delivery_id=message, kind="clicked", at=NOON - 2,
                 dedupe_key=f"late {message}")  # fmt: skip
    return own
