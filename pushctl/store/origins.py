"""Origins of push services: their pauses and rates, as the last runs found them."""

from collections.abc import Iterable
from typing import NamedTuple

from pushctl.model import Millis
from pushctl.rules.units import HOUR
from pushctl.store.noun import Noun

# The longest pause that a push service may ask for (rules/delivery/retry), and a margin.
MAX_PAUSE: Millis = 25 * HOUR


class Origin(NamedTuple):
    origin: str  # "https://host"
    paused_until: Millis | None
    reason: str | None
    rate: float | None  # messages a second
    changed_at: Millis
    probing: bool = False  # one message a minute asks whether it works again
    unreached_since: Millis | None = None  # since when no connection to it comes about


class Origins(Noun):
    def list_all(self) -> list[Origin]:
        sql = """
            SELECT origin, paused_until, reason, rate, changed_at, probing, unreached_since
              FROM origins ORDER BY origin
        """
        return [Origin._make((*row[:5], bool(row[5]), row[6])) for row in self._read(sql)]

    def save(
        self,
        origin: str,
        *,
        paused_until: Millis | None,
        reason: str | None,
        rate: float | None,
        probing: bool = False,
        unreached_since: Millis | None = None,
        now: Millis,
    ) -> None:
        """
        Save the pause and the rate of *origin*.

        The longer pause of two campaigns or keys wins, unless a clock leap caused it or an
        outage is over; a rate is kept for an hour.
        """
        kept = """
            iif(paused_until <= :latest
                AND (unreached_since IS NULL OR :unreached_since IS NOT NULL),
                paused_until, 0)
        """
        sql = f"""
            INSERT INTO origins (origin, paused_until, reason, rate, changed_at, probing,
                                 unreached_since)
            VALUES (:origin, :until, :reason, :rate, :now, :probing, :unreached_since)
                ON CONFLICT (origin) DO UPDATE
               SET reason = iif(:until >= {kept}, :reason, reason),
                   paused_until = max(:until, {kept}),
                   rate = coalesce(:rate, iif(changed_at > :now - :hour, rate, NULL)),
                   changed_at = :now, probing = :probing, unreached_since = :unreached_since
        """  # noqa: S608
        self._write(
            sql,
            origin=origin,
            until=paused_until or 0,
            reason=reason,
            rate=rate,
            probing=probing,
            unreached_since=unreached_since,
            now=now,
            latest=now + MAX_PAUSE,
            hour=HOUR,
        )

    def mark_accepting(self, lanes: Iterable[tuple[str, str]], now: Millis) -> None:
        """Note that these (origin, key) have accepted something; exact to the hour."""
        known = self.list_accepting(now - HOUR, now)
        rows = [(*lane, now) for lane in lanes if lane not in known]
        if rows:
            sql = "INSERT OR REPLACE INTO lanes (origin, key_id, accepted_at) VALUES (?, ?, ?)"
            self._write_each(sql, rows)

    def list_accepting(self, since: Millis, now: Millis) -> set[tuple[str, str]]:
        """Return the (origin, key) that have accepted something between *since* and *now*."""
        sql = "SELECT origin, key_id FROM lanes WHERE accepted_at BETWEEN :since AND :now"
        return set(self._read(sql, since=since, now=now))

    def list_proved(self) -> set[str]:
        """Return the origins that have ever accepted something."""
        return {origin for (origin,) in self._read("SELECT DISTINCT origin FROM lanes")}
