"""Holidays: the days that the owner confirmed, and how many people a country has."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date as Date

import orjson

from pushctl.model import Millis
from pushctl.store.noun import Noun, as_json
from pushctl.store.triggers import Candidate

# A holiday of a country: ("EG", "2027:Eid al-Fitr").
Key = tuple[str, str]


class Holidays(Noun):
    def load_confirmed(self) -> dict[Key, Date]:
        sql = "SELECT country, holiday, day FROM confirmed_holidays"
        return {
            (country, key): Date.fromisoformat(day) for country, key, day in self._read(sql)
        }

    def confirm(self, keys: Iterable[Key], day: Date, now: Millis) -> None:
        """Note that the holidays *keys* are on *day*; a later word replaces an earlier one."""
        sql = """
            INSERT INTO confirmed_holidays (country, holiday, day, confirmed_at)
            VALUES (?, ?, ?, ?)
            ON CONFLICT DO UPDATE SET day = excluded.day, confirmed_at = excluded.confirmed_at
        """
        self._write_each(sql, [(*key, day.isoformat(), now) for key in keys])

    def withdraw(self, keys: Iterable[Key]) -> int:
        """Take confirmations back; return how many there were."""
        sql = "DELETE FROM confirmed_holidays WHERE country = ? AND holiday = ?"
        return self._write_each(sql, keys)

    def count_countries(self) -> list[tuple[str, str, int]]:
        """Return (country, site, active subscriptions); an unknown country is ''."""
        sql = """
            SELECT upper(coalesce(s.country, '')), t.name
              FROM subscriptions AS s NOT INDEXED CROSS JOIN sites AS t ON t.id = s.site_id
             WHERE s.state = 'active'
        """
        # GROUP BY would sort all of them in memory.
        found = Counter(self._read(sql))
        return [(country, site, count) for (country, site), count in sorted(found.items())]

    def list_people(
        self, due: Iterable[tuple[str, str]], defaults: Mapping[str, str], trigger: str
    ) -> Iterator[Candidate]:
        """
        Yield active subscriptions for each of *due*: a country with an occurrence of *trigger*,
        each person's in the order of *due*.

        *defaults* are the countries of sites for those whose own is not known. Who has an
        enrolment by that occurrence is left out: a scan looks at a day more than once. The
        value is [country, language, occurrence].
        """
        sql = """
            WITH due AS MATERIALIZED (
                SELECT key AS place, value ->> 0 AS country, value ->> 1 AS occurrence
                  FROM json_each(:due))
            SELECT s.id, s.public_id, t.name, s.timezone, d.country, s.language, d.occurrence
              FROM subscriptions AS s JOIN sites AS t ON t.id = s.site_id
              JOIN due AS d
                ON d.country = coalesce(upper(nullif(s.country, '')), :defaults ->> t.name)
             WHERE s.state = 'active' AND s.id > :after AND s.id <= :after + 5000
               AND NOT EXISTS (
                   SELECT 1 FROM enrolments AS e
                    WHERE e.trigger = :trigger AND e.subscription_id = s.id
                      AND e.occurrence = d.occurrence)
             ORDER BY s.id, d.place
        """
        asked = {
            "due": as_json(due),
            "defaults": orjson.dumps(defaults).decode(),
            "trigger": trigger,
        }
        after = 0
        # After a restore numbers go on far behind: only those that there are are looked at.
        find = "SELECT min(id) - 1 FROM subscriptions WHERE id > :after"
        while (after := self._read_value(find, after=after)) is not None:
            for row in self._read(sql, after=after, **asked).fetchall():
                yield Candidate._make((*row[:4], list(row[4:])))
            after += 5000
