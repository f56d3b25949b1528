"""Recurring broadcasts; each occurrence becomes a campaign."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import orjson

from pushctl.errors import NotFoundError, UsageError
from pushctl.model import Json, Millis
from pushctl.store.noun import Noun

# The wish of a report's series has no template; see jobs/reports/schedule.py.
_OF_MESSAGES = "wish ->> '$.report' IS NULL"
_COLUMNS = "id, name, said, rule, starts, wish, created_at, next_at, note"


class Series(NamedTuple):
    id: int
    name: str
    said: str  # as typed: "monday 09:00"
    rule: str  # RRULE
    starts: datetime  # on the site's wall clock
    wish: Mapping[str, Json]
    created_at: Millis
    next_at: Millis | None  # None: over
    note: str | None  # why the last occurrence made no campaign


class Recurring(Noun):
    def add(
        self,
        name: str,
        said: str,
        rule: str,
        starts: datetime,
        wish: Mapping[str, Json],
        *,
        now: Millis,
        next_at: Millis,
    ) -> None:
        """Write a series; raises UsageError when an active one has this name."""
        sql = """
            INSERT INTO recurring (name, said, rule, starts, wish, created_at, next_at)
            VALUES (:name, :said, :rule, :starts, :wish, :now, :next_at)
            ON CONFLICT (name) DO UPDATE
               SET said = excluded.said, rule = excluded.rule, starts = excluded.starts,
                   wish = excluded.wish, created_at = excluded.created_at,
                   next_at = excluded.next_at, note = NULL
             WHERE next_at IS NULL
        """
        added = self._write(
            sql,
            name=name,
            said=said,
            rule=rule,
            starts=starts.isoformat(),
            wish=orjson.dumps(wish).decode(),
            now=now,
            next_at=next_at,
        )
        if not added:
            raise UsageError(
                f"{name!r} is being sent already. Choose another --name, or end it: "
                f"pushctl schedules cancel {name!r}"
            )

    def list_all(self) -> list[Series]:
        """Return the series of messages that go on, the next due first."""
        return self._list(f"next_at IS NOT NULL AND {_OF_MESSAGES}")

    def list_due(self, now: Millis) -> list[Series]:
        return self._list(f"next_at <= :now AND {_OF_MESSAGES}", now=now)

    def list_reports(self, due: Millis | None = None) -> list[Series]:
        """Return the series of reports that go on, or those that are *due*."""
        condition = "next_at IS NOT NULL AND (:due IS NULL OR next_at <= :due)"
        return self._list(f"{condition} AND NOT {_OF_MESSAGES}", due=due)

    def get(self, name: str) -> Series:
        found = self._list("name = :name AND next_at IS NOT NULL", name=name)
        if not found:
            raise NotFoundError(
                f"nothing called {name!r} goes on. pushctl schedules list shows what does."
            )
        return found[0]

    def is_current(self, series: Series) -> bool:
        """Return whether nobody has cancelled *series*, moved it on or replaced it."""
        sql = """
            SELECT 1 FROM recurring
             WHERE id = :id AND created_at = :created_at AND next_at IS :next_at
        """
        values = {"created_at": series.created_at, "next_at": series.next_at}
        return self._read_value(sql, id=series.id, **values) is not None

    def reschedule(self, series: int, next_at: Millis | None, note: str | None) -> None:
        """Set when the next one is due (None: never again), and the note."""
        sql = "UPDATE recurring SET next_at = :next_at, note = :note WHERE id = :id"
        self._write(sql, id=series, next_at=next_at, note=note)

    def _list(self, condition: str, **values: Json) -> list[Series]:
        sql = f"SELECT {_COLUMNS} FROM recurring WHERE {condition} ORDER BY next_at, id"  # noqa: S608
        rows = self._read(sql, **values)
        return [
            Series._make(
                (*row[:4], datetime.fromisoformat(row[4]), orjson.loads(row[5]), *row[6:])
            )
            for row in rows
        ]
