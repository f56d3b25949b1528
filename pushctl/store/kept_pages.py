"""
Columns of rows by pages of their numbers, kept so that figures need not read every row again.

A page is read and kept in one transaction of a writer, and deleted by SQL's triggers (m047,
m048) with the first of its rows that changes. New rows have numbers behind all others: a page
is whole as long as it goes up to the last number there is. Deleting all of it changes no
figure.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from pushctl.model import Json, Millis
from pushctl.store.noun import Noun, as_json

# How many bits of a row's number its page does not have: as the triggers have it.
BITS = {
    "events": 16, "orders": 14, "enrolments": 14, "subscriptions": 14, "people": 14,
    "changes": 14,
}  # fmt: skip
# The tables of those that are called otherwise.
_TABLES = {"people": "subscriptions", "changes": "subscription_changes"}
# What figures ask of a subscription, by their names.
PEOPLE = {
    "site": "t.name",
    "country": "s.country",
    "city": "s.city",
    "browser": "s.browser",
    "os": "s.os",
    "device": "s.attributes ->> '$.device'",
    "language": "s.language",
    "source": "s.source",
    "landing": "s.attributes ->> '$.landing_page'",
    "timezone": "s.timezone",
    "subscribed_at": "s.subscribed_at",
    "state": "s.state",
    "verified": "s.verified_at IS NOT NULL",
}
_OF_PEOPLE = "FROM subscriptions AS s JOIN sites AS t ON t.id = s.site_id"
_LIVES = "kind IN ('revived', 'unsubscribed', 'gone', 'quarantined')"


def find_end(page: int, bits: int, last: int) -> int:
    """Return up to which number a whole page goes, where *last* is the highest there was."""
    return min(((page + 1) << bits) - 1, last)


class KeptPage(NamedTuple):
    name: str
    page: int
    upto: int
    about: str  # JSON
    data: bytes


class KeptPages(Noun):
    def find_last(self, source: str) -> int:
        """Return the highest number that a row of *source* ever had."""
        sql = "SELECT seq FROM sqlite_sequence WHERE name = :table"
        return int(self._read_value(sql, table=_TABLES.get(source, source)) or 0)

    def find_highest(self, source: str) -> int:
        """Return the highest number of a row that *source* has now, 0 where it has none."""
        sql = f"SELECT coalesce(max(id), 0) FROM {_TABLES.get(source, source)}"  # noqa: S608
        return int(self._read_value(sql))

    def list_pages(self, source: str, bits: int) -> list[int]:
        """Return the pages that have a row: after a restore, numbers go on far behind."""
        sql = f"""
            WITH RECURSIVE pages (page) AS (
                SELECT min(id) >> :bits FROM {_TABLES.get(source, source)}
                 UNION ALL
                SELECT (SELECT min(id) >> :bits FROM {_TABLES.get(source, source)}
                         WHERE id >= (pages.page + 1) << :bits)
                  FROM pages WHERE pages.page IS NOT NULL
            ) SELECT page FROM pages WHERE page IS NOT NULL
        """  # noqa: S608
        return [page for (page,) in self._read(sql, bits=bits)]

    def read(self, source: str, names: Collection[str]) -> Iterator[KeptPage]:
        """Yield what is kept of *names*, in the order of pages."""
        sql = """
            SELECT name, page, upto, about, data FROM kept_pages
             WHERE source = :source AND name IN (SELECT value FROM json_each(:names))
             ORDER BY page
        """
        rows = self._read(sql, source=source, names=as_json(names))
        yield from map(KeptPage._make, rows)

    def read_page(self, source: str, page: int, names: Collection[str]) -> Iterator[KeptPage]:
        """Yield what is kept of *names* of one page."""
        sql = """
            SELECT name, page, upto, about, data FROM kept_pages
             WHERE source = :source AND name IN (SELECT value FROM json_each(:names))
               AND page = :page
        """
        rows = self._read(sql, source=source, page=page, names=as_json(names))
        yield from map(KeptPage._make, rows)

    def list_kept(self, source: str, names: Collection[str]) -> list[tuple[int, str, int, int]]:
        """Return (page, name, its last number, the version of its form) of what is kept."""
        sql = """
            SELECT page, name, upto, about ->> '$.version' FROM kept_pages
             WHERE source = :source AND name IN (SELECT value FROM json_each(:names))
        """
        return self._read(sql, source=source, names=as_json(names)).fetchall()

    def list_names(self, source: str) -> list[str]:
        sql = "SELECT DISTINCT name FROM kept_pages WHERE source = :source ORDER BY name"
        return [name for (name,) in self._read(sql, source=source)]

    def list_builds(
        self, source: str, names: Collection[str]
    ) -> dict[tuple[int, str, int], str]:
        """
        Return the builds of pages of *source*, by (page, name, last number).

        No two are alike: a page that was built anew has another one.
        """
        sql = """
            SELECT page, name, upto, about ->> '$.build' FROM kept_pages
             WHERE source = :source AND name IN (SELECT value FROM json_each(:names))
        """
        rows = self._read(sql, source=source, names=as_json(names))
        return {(page, name, upto): build for page, name, upto, build in rows}

    def find_persons_build(self) -> str | None:
        """Return the build of who is one person with whom; None: it is not kept."""
        sql = "SELECT about ->> '$.build' FROM kept_pages WHERE source = 'persons'"
        found: str | None = self._read_value(sql)
        return found

    def read_answer(self, name: str, stamp: str) -> bytes | None:
        """Return the answer *name* that was kept with *stamp*, None where it was another."""
        sql = """
            SELECT data FROM kept_pages
             WHERE source = 'answers' AND page = 0 AND name = :name AND about = :stamp
        """
        found: bytes | None = self._read_value(sql, name=name, stamp=stamp)
        return found

    def list_answers(self) -> list[tuple[str, str, bytes]]:
        """Return (name, stamp, answer) of all that are kept."""
        sql = "SELECT name, about, data FROM kept_pages WHERE source = 'answers' ORDER BY name"
        return self._read(sql).fetchall()

    def write_answer(self, name: str, stamp: str, data: bytes) -> None:
        """Keep the answer *name* in the place of its earlier one."""
        self.write("answers", [KeptPage(name, 0, 0, stamp, data)])

    def is_free(self) -> bool:
        """Return whether a transaction can begin here."""
        return not self._store.connection.in_transaction

    @contextmanager
    def keep(self) -> Iterator[None]:
        """Let what is read in this block be kept as it is; see ``Store.write_if_free``."""
        with self._store.write_if_free():
            yield

    def write(self, source: str, pages: Iterable[KeptPage]) -> None:
        sql = """
            INSERT OR REPLACE INTO kept_pages (source, name, page, upto, about, data)
            VALUES (?, ?, ?, ?, ?, ?)
        """
        self._write_each(sql, ((source, *one) for one in pages))

    def drop(self, source: str | None = None) -> None:
        """Delete what is kept of *source*, or all."""
        self._write("DELETE FROM kept_pages WHERE :source IS NULL OR source = :source",
                    source=source)  # fmt: skip

    def read_events(
        self, low: int, high: int, names: Sequence[str], telling: Sequence[str], updated: str
    ) -> list[tuple[int, str, Millis, str | None]]:
        """
        Return (subscription, name, time, properties) of events called *names*, by numbers.

        Properties are there only of those *telling* that may have emptied the basket (an
        update, *updated*, without items) or may be a test.
        """
        sql = """
            SELECT subscription_id, name, at,
                   iif(name IN (SELECT value FROM json_each(:telling))
                       AND (name = :updated AND instr(properties, '"items":[{') = 0
                            OR instr(properties, '"test"') > 0), properties, NULL)
              FROM events
             WHERE id BETWEEN :low AND :high AND +name IN (SELECT value FROM json_each(:names))
             ORDER BY id
        """
        return self._read(
            sql,
            low=low,
            high=high,
            names=as_json(names),
            telling=as_json(telling),
            updated=updated,
        ).fetchall()

    def read_orders(self, low: int, high: int) -> list[tuple[Json, ...]]:
        """
        Return (subscription, time, whether it counts, minor, exponent, currency) of orders.

        One counts that was paid for and is no test; *minor* is less what was given back, and
        the exponent -1 where the amount is unknown.
        """
        sql = """
            SELECT subscription_id, at, state IN ('paid', 'refunded') AND NOT test,
                   coalesce(iif(state = 'refunded', 0, minor - coalesce(refunded_minor, 0)), 0),
                   coalesce(exponent, -1),
                   currency
              FROM orders
             WHERE id BETWEEN :low AND :high AND subscription_id IS NOT NULL ORDER BY id
        """
        return self._read(sql, low=low, high=high).fetchall()

    def read_enrolments(self, low: int, high: int) -> list[tuple[Json, ...]]:
        """Return (subscription, time, whether it was held out, trigger) of enrolments."""
        sql = """
            SELECT subscription_id, entered_at, state = 'holdout', trigger FROM enrolments
             WHERE id BETWEEN :low AND :high ORDER BY id
        """
        return self._read(sql, low=low, high=high).fetchall()

    def read_subscriptions(self, low: int, high: int) -> list[tuple[Json, ...]]:
        """Return (id, site, when it came, when it left or -1) of subscriptions."""
        sql = """
            SELECT id, site_id, subscribed_at, iif(state = 'active', -1, state_at)
              FROM subscriptions WHERE id BETWEEN :low AND :high ORDER BY id
        """
        return self._read(sql, low=low, high=high).fetchall()

    def read_people(self, low: int, high: int, names: Sequence[str]) -> list[tuple[Json, ...]]:
        """Return (id, *names*) of subscriptions; KeyError for what PEOPLE lacks."""
        columns = ", ".join(PEOPLE[name] for name in names)
        sql = f"""
            SELECT s.id, {columns} {_OF_PEOPLE} WHERE s.id BETWEEN :low AND :high ORDER BY s.id
        """
        return self._read(sql, low=low, high=high).fetchall()

    def read_changes(self, low: int, high: int) -> list[tuple[Json, ...]]:
        """
        Return (subscription, when, kind) of all that became active or were lost.

        Who is gone because our VAPID key is lost has a kind of their own, "key_lost": no
        message is to blame.
        """
        sql = f"""
            SELECT subscription_id, at, iif(kind = 'gone' AND cause IS 'key_lost', cause, kind)
              FROM subscription_changes
             WHERE id BETWEEN :low AND :high AND {_LIVES} ORDER BY id
        """  # noqa: S608
        return self._read(sql, low=low, high=high).fetchall()

    def read_public_ids(self, low: int, high: int) -> list[tuple[int, str]]:
        """Return (id, public id) of subscriptions."""
        sql = """
            SELECT id, public_id FROM subscriptions
             WHERE id BETWEEN :low AND :high ORDER BY id
        """
        return self._read(sql, low=low, high=high).fetchall()

    def sum_rows(self, source: str, name: str, low: int, high: int) -> tuple[int, int, int]:
        """Return how many rows a page is made of, and the sums of whose they are and when."""
        columns = {
            "events": ("subscription_id", "at", "name = :name"),
            "orders": ("subscription_id", "at", "subscription_id IS NOT NULL"),
            "enrolments": ("subscription_id", "entered_at", "true"),
            "subscriptions": ("id", "subscribed_at", "true"),
            "changes": ("subscription_id", "at", _LIVES),
        }
        who, when, where = columns[source]
        sql = f"""
            SELECT count(*), coalesce(sum({who}), 0), coalesce(sum({when}), 0)
              FROM {_TABLES.get(source, source)}
             WHERE id BETWEEN :low AND :high AND {where}
        """  # noqa: S608
        rows, people, times = self._read(sql, name=name, low=low, high=high).fetchone()
        return rows, people, times

    def sum_people(self, name: str, low: int, high: int) -> dict[Json, tuple[int, int]]:
        """Return how many subscriptions have each value of *name*, and the sum of their ids."""
        sql = f"""
            SELECT {PEOPLE[name]}, count(*), sum(s.id) {_OF_PEOPLE}
             WHERE s.id BETWEEN :low AND :high GROUP BY 1
        """
        return {value: (rows, ids) for value, rows, ids in self._read(sql, low=low, high=high)}
