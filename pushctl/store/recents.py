"""
What went out to people lately, for the contact policy.

Numbers of deliveries grow with time. So what is recent stands behind one of them
(``find_floor``), and neither a whole table nor a whole history is read.
"""

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, cast

from pushctl.model import Millis
from pushctl.rules import units
from pushctl.rules.compact_numbers import NumberSet, find_frequent
from pushctl.store.noun import Noun, as_json

# A row may wait so long between its plan and its sending: quiet hours, second tries.
_SLACK: Millis = 3 * units.DAY


class Receiver(NamedTuple):
    """A subscription with all that the contact policy needs to know."""

    subscription: int
    public_id: str
    timezone: str | None
    site: str


# As _make does, without a call of Python's own for each row.
_receiver = cast("Callable[[tuple[Any, ...]], Receiver]", partial(tuple.__new__, Receiver))


class Went(NamedTuple):
    """A message that went out, or is about to."""

    subscription: int
    campaign: int
    enrolment: int
    at: Millis


class Step(NamedTuple):
    """A message of a trigger's step."""

    subscription: int
    trigger: str
    at: Millis
    planned: bool  # it is to go out


# What has a place in the frequency cap: what waits for a time of its own, next Friday's
# campaign or the night's end, takes one when it is claimed.
_COUNTS = """
    d.changed_at > :since AND d.campaign_id <> :besides
    AND d.campaign_id NOT IN (SELECT value FROM json_each(:exempt))
    AND (d.status IN ('accepted', 'in_doubt', 'sending')
         OR d.status = 'planned' AND (d.next_attempt_at IS NULL OR d.attempts > 0
                                      OR d.enrolment_id <> 0))
"""
# Without a hint the planner reads whole histories.
_ACCEPTED = """
    FROM deliveries INDEXED BY deliveries_accepted WHERE status = 'accepted' AND
"""


class Recents(Noun):
    def list_receivers(self, subscriptions: Iterable[int]) -> list[Receiver]:
        """Return those of *subscriptions* that exist."""
        sql = """
            SELECT s.id, s.public_id, s.timezone, t.name
              FROM json_each(:ids) AS j CROSS JOIN subscriptions AS s ON s.id = j.value
              JOIN sites AS t ON t.id = s.site_id
        """
        return [_receiver(row) for row in self._read(sql, ids=as_json(subscriptions))]

    def list_active(self) -> Sequence[int]:
        """Return all active subscriptions."""
        sql = "SELECT id FROM subscriptions NOT INDEXED WHERE state = 'active'"
        return array("q", chain.from_iterable(self._read(sql)))

    def find_all_shared(self) -> NumberSet:
        """Return the subscriptions whose alias or hash of an address others have, too."""
        sql = """
            SELECT id FROM subscriptions
             WHERE alias IN (SELECT alias FROM subscriptions WHERE alias IS NOT NULL
                              GROUP BY alias HAVING count(*) > 1)
             UNION ALL
            SELECT s.id FROM subscriptions AS s
             WHERE s.email_hash IN (SELECT email_hash FROM subscriptions
                                     WHERE email_hash IS NOT NULL
                                     GROUP BY email_hash HAVING count(*) > 1)
        """
        found = NumberSet()
        found.add(chain.from_iterable(self._read(sql)))
        return found

    def find_shared(self, subscriptions: Iterable[int]) -> set[int]:
        """Return those of *subscriptions* that ``find_all_shared`` would."""
        sql = """
            SELECT s.id FROM json_each(:ids) AS j JOIN subscriptions AS s ON s.id = j.value
             WHERE s.alias IS NOT NULL AND EXISTS (
                       SELECT 1 FROM subscriptions AS o
                        WHERE o.alias = s.alias AND o.id <> s.id)
                OR s.email_hash IS NOT NULL AND EXISTS (
                       SELECT 1 FROM subscriptions AS o
                        WHERE o.email_hash = s.email_hash AND o.id <> s.id)
        """
        return {one for (one,) in self._read(sql, ids=as_json(subscriptions))}

    def find_floor(self, since: Millis) -> int:
        """
        Return a delivery before all that may have gone out after *since*.

        A row is changed after it was written, so one that was last changed before *since* was
        written before it, and so were all with smaller numbers.
        """
        sql = "SELECT id, changed_at FROM deliveries WHERE id <= :id ORDER BY id DESC LIMIT 1"
        low, high = 0, int(self._read_value("SELECT max(id) FROM deliveries") or 0)
        before, step = since - _SLACK, 1
        probe = high
        while probe > 0:  # further and further back, until one is old enough
            row = self._read(sql, id=probe).fetchone()
            if row is None or row[1] < before:
                low = row[0] if row else 0
                break
            high, probe, step = probe, probe - step, step * 2
        while high - low > 1_000:
            middle = (low + high) // 2
            row = self._read(sql, id=middle).fetchone()
            if row is not None and row[1] < before:
                low = middle
            else:
                high = middle
        first = self._find_late(since)
        return low if first is None else min(low, first - 1)

    def _find_late(self, since: Millis) -> int | None:
        """Return the first row of the campaigns that went out long after they were written."""
        sql = """
            SELECT min((SELECT min(d.id) FROM deliveries AS d WHERE d.campaign_id = c.id))
              FROM campaigns AS c
             WHERE c.created_at < :since AND c.trigger IS NULL AND c.status <> 'scheduled'
               AND c.options ->> '$.grouped' IS NULL
               AND coalesce(c.finished_at, :since) >= :since
               AND coalesce(c.expires_at, :since) >= :since
        """
        first: int | None = self._read_value(sql, since=since - _SLACK)
        return first

    def get_last(self) -> int:
        """Return the newest delivery, 0 where there is none."""
        return int(self._read_value("SELECT max(id) FROM deliveries") or 0)

    def list_exempt(self) -> frozenset[int]:
        """Return the campaigns whose messages nobody counts: receipts and the like."""
        sql = "SELECT id FROM campaigns WHERE is_test OR options ->> '$.transactional'"
        return frozenset(number for (number,) in self._read(sql))

    def find_full(
        self,
        messages: int,
        since: Millis,
        floor: int,
        exempt: Collection[int],
        besides: int = 0,
    ) -> NumberSet:
        """Return who had *messages* or more after *since*, but of the campaign *besides*."""
        sql = f"""
            SELECT d.subscription_id FROM deliveries AS d NOT INDEXED
             WHERE d.id > :floor AND d.subscription_id IS NOT NULL AND {_COUNTS}
        """  # noqa: S608 - our own conditions
        values = {"since": since, "floor": floor, "exempt": as_json(exempt), "besides": besides}
        # SQL would sort as many rows in memory.
        return find_frequent(chain.from_iterable(self._read(sql, **values)), messages)

    def list_went(
        self,
        subscriptions: Iterable[int],
        since: Millis,
        floor: int,
        exempt: Collection[int],
        besides: int = 0,
    ) -> list[Went]:
        """Return what *subscriptions* had after *since*, but of the campaign *besides*."""
        sql = f"""
            SELECT d.subscription_id, d.campaign_id, d.enrolment_id, d.changed_at
              FROM json_each(:ids) AS j
             CROSS JOIN deliveries AS d ON d.subscription_id = j.value AND d.id > :floor
             WHERE {_COUNTS}
        """  # noqa: S608 - our own conditions
        values = {"since": since, "floor": floor, "exempt": as_json(exempt)}
        rows = self._read(sql, ids=as_json(subscriptions), besides=besides, **values)
        return list(map(Went._make, rows))

    def list_steps(
        self, subscriptions: Iterable[int] | None, since: Millis, until: Millis
    ) -> list[Step]:
        """
        Return the messages of triggers that went out after *since* or are due by *until*.

        None: of all *subscriptions*.
        """
        rows = "deliveries AS d NOT INDEXED"
        if subscriptions is not None:
            rows = """
                json_each(:ids) AS j
                CROSS JOIN deliveries AS d ON d.subscription_id = j.value
            """
        sql = f"""
            SELECT d.subscription_id, c.trigger, d.changed_at, d.status = 'planned'
              FROM {rows} CROSS JOIN campaigns AS c ON c.id = d.campaign_id
             WHERE d.id > :floor AND d.enrolment_id > 0 AND d.subscription_id IS NOT NULL
               AND (d.status IN ('accepted', 'in_doubt', 'sending') AND d.changed_at > :since
                    OR d.status = 'planned' AND c.status = 'running'
                       AND coalesce(d.next_attempt_at, 0) <= :until
                       AND coalesce(d.expires_at, :until) > :since)
        """  # noqa: S608 - our own words
        ids = as_json(subscriptions or ())
        floor = self.find_floor(since)
        values = {"floor": floor, "since": since, "until": until}
        return list(map(Step._make, self._read(sql, ids=ids, **values)))

    def find_silent(self, subscriptions: Iterable[int], after: int) -> list[int]:
        """Return whose last *after* accepted messages brought no report."""
        sql = f"""
            SELECT j.value FROM json_each(:ids) AS j
             WHERE NOT EXISTS (
                   SELECT 1 FROM (SELECT id {_ACCEPTED} subscription_id = j.value
                                   ORDER BY id DESC LIMIT :after
                                 ) AS d CROSS JOIN interactions AS i ON i.delivery_id = d.id)
        """  # noqa: S608 - our own conditions
        rows = self._read(sql, ids=as_json(subscriptions), after=after)
        return [one for (one,) in rows]

    def find_unseen(self, subscriptions: Iterable[int], after: int) -> list[tuple[int, bool]]:
        """
        Return who had *after* messages since their last visit.

        As (subscription, whether its reports can't tell: it never reported anything, or
        runs a former service's worker).
        """
        sql = f"""
            SELECT s.id, s.worker IS NOT NULL OR NOT EXISTS (
                       SELECT 1 FROM (SELECT id {_ACCEPTED} subscription_id = s.id) AS d
                        CROSS JOIN interactions AS i ON i.delivery_id = d.id)
              FROM json_each(:ids) AS j JOIN subscriptions AS s ON s.id = j.value
             WHERE (SELECT changed_at {_ACCEPTED} subscription_id = s.id
                     ORDER BY id DESC LIMIT 1 OFFSET :last) > s.last_seen_at
        """  # noqa: S608 - our own conditions
        rows = self._read(sql, ids=as_json(subscriptions), last=after - 1)
        return [(one, bool(is_mute)) for one, is_mute in rows]

    def list_unshown(
        self, subscriptions: Iterable[int], most: int, besides: Collection[int]
    ) -> Iterator[tuple[int, Millis]]:
        """
        Yield (subscription, when) of its last messages since a report or visit, oldest first.

        *most* of each at the most; not those of the campaigns *besides*, nor those that a
        former service's worker showed.
        """
        sql = f"""
            SELECT s.id, d.changed_at,
                   d.changed_at <= s.last_seen_at
                   OR EXISTS (SELECT 1 FROM interactions AS i WHERE i.delivery_id = d.id),
                   d.campaign_id IN (SELECT value FROM json_each(:besides))
                   OR d.id IN (SELECT delivery_id FROM foreign_deliveries)
              FROM json_each(:ids) AS j JOIN subscriptions AS s ON s.id = j.value
             CROSS JOIN deliveries AS d INDEXED BY deliveries_accepted
                ON d.subscription_id = s.id AND d.status = 'accepted'
               AND d.id >= coalesce((SELECT id {_ACCEPTED} subscription_id = s.id
                                      ORDER BY id DESC LIMIT 1 OFFSET :most), 0)
        """  # noqa: S608 - our own conditions
        values = {"most": most, "besides": as_json(besides)}
        rows = self._read(sql, ids=as_json(subscriptions), **values)
        times: list[Millis] = []
        known = 0
        for one, at, is_over, is_besides in rows:
            if one != known:
                yield from ((known, each) for each in times)
                known, times = one, []
            if is_over:
                times = []
            elif not is_besides:
                times.append(at)
        yield from ((known, each) for each in times)

    def list_unseen(self) -> frozenset[int]:
        """Return the campaigns that no browser shows, or whose messages nobody counts."""
        sql = """
            SELECT id FROM campaigns
             WHERE is_test OR options ->> '$.transactional'
                OR options ->> '$.channel' IS NOT NULL
        """
        return frozenset(number for (number,) in self._read(sql))
