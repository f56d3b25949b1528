"""
Which letters may go out now: one queue for each push service and key.

Holds the lanes of ``rules/delivery/lane``, the rows that wait and the number of those
under way. Rows of a service that holds us for longer than PATIENCE return to the ledger. So
do all rows where the sender stood still: their letters are of before.
"""

import logging
import random
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from pushctl import log
from pushctl.jobs.delivery.push_services.shared_rate import Shared
from pushctl.jobs.delivery.types import PACED, LaneKey, RenderedRow
from pushctl.model import Cause, Millis
from pushctl.rules.delivery import retry
from pushctl.rules.delivery.bucket import Bucket
from pushctl.rules.delivery.lane import Lane, add_answers, allowance, pace, slow_down
from pushctl.rules.units import DAY, HOUR, SECOND
from pushctl.store.ledger_rows import ReleasedRow
from pushctl.store.origins import Origin

PATIENCE: Millis = 3 * SECOND

# A Retry-After is at most a day (retry.clamp_to_day): a longer one is left from a wrong clock.
LONGEST: Millis = DAY + retry.LONGEST_PAUSE

# An outage that was last looked at longer ago may be over: a new one begins.
STALE: Millis = 2 * retry.LONGEST_PAUSE

# While a service is out of reach, so many rows of a campaign come due with each look at it,
# in case that some expire. The others wait for longer, or until one gets through: hundreds
# of thousands of rows, claimed and released every few minutes, would fill all sweeps.
SCOUTS = 20
OTHERS_WAIT: Millis = HOUR

_lane = attrgetter("lane")


class Throttle:
    def __init__(
        self,
        known: Mapping[str, Origin],
        *,
        origin_rate: float | None = None,
        campaign_rate: float | None = None,
        rates: Path | None = None,
        now: Millis = 0,
        again: Millis | None = None,
        standstill: Millis | None = None,
    ) -> None:
        self.lanes: dict[LaneKey, Lane] = {}
        self.waiting = 0
        self._known = known
        self._origin_rate = origin_rate
        # *rates* is the file that all runs of the project share.
        self._shared = Shared(rates, origin_rate) if rates and origin_rate else None
        self._campaign = Bucket(campaign_rate, at=now) if campaign_rate else None
        self._queues: dict[LaneKey, deque[RenderedRow]] = defaultdict(deque)
        self._under_way: Counter[LaneKey] = Counter()
        self._buckets: dict[str, Bucket] = {}  # by _name_bucket
        self._accepted_since: dict[LaneKey, tuple[int, Millis]] = {}
        self._scouts: Counter[tuple[LaneKey, Millis]] = Counter()  # by the end of the hold
        # After this a service that refuses us is tried again; None: after `resume`.
        self.again = again
        # How long nobody may ask for letters before those that wait are out of date.
        self._standstill = standstill
        self._asked = now or None  # at the last call
        self._is_stale = False  # whether what waits is out of date
        self._stale_until: Millis = 0  # and what comes back unsent

    @property
    def under_way(self) -> int:
        return self._under_way.total()

    def load_lane(self, key: LaneKey, now: Millis) -> Lane:
        """Return a lane; a new one as earlier runs left it."""
        lane = self.lanes.get(key)
        if lane is None:
            lane = Lane(rate=self._origin_rate)
            origin = self._known.get(key[0])
            if origin is not None:
                until = origin.paused_until or 0
                until = until if until <= now + LONGEST else 0
                lane = Lane(
                    hold_until=until,
                    why=(origin.reason or "") if until > now else "",
                    rate=_find_lowest(origin.rate, self._origin_rate),
                    throttled_at=origin.changed_at,
                    probing=origin.probing and until > 0,
                    unreached_since=(origin.unreached_since or 0) if until > now - STALE else 0,
                )
                if until > now:
                    log_lane(key, lane, now, held=True)
            self.lanes[key] = lane
            self._accepted_since[key] = (0, now)
        return lane

    def add(self, rows: Iterable[RenderedRow], now: Millis, *, again: bool = False) -> None:
        """Add rows that wait; *again*: they were taken before."""
        self._notice_standstill(now)
        self._is_stale = self._is_stale or (again and bool(rows) and now < self._stale_until)
        # Neighbours mostly go to the same service: a claim has thousands of them.
        for key, same in groupby(rows, _lane):
            if key not in self.lanes:
                self.load_lane(key, now)
            queue = self._queues[key]
            before = len(queue)
            queue.extend(same)
            self.waiting += len(queue) - before

    def room(self) -> int | None:
        """
        Return how many more letters the campaign's own rate has use for, None without one.

        0 until half of those waiting here have gone: claims are made in bulk.
        """
        if self._campaign is None:
            return None
        most = max(1, int(self._campaign.rate * PACED / SECOND))
        return most - self.waiting if 2 * self.waiting <= most else 0

    def take(self, size: int, now: Millis, careful: int) -> list[RenderedRow]:
        """
        Return up to *size* letters that may go out together; none while all must wait.

        At most *careful* of them while their lane has accepted none.
        """
        self._notice_standstill(now)
        if self._is_stale:
            return []
        if self._shared is None or not self.waiting:
            return self._take(size, now, careful)
        with self._shared.buckets(self._buckets, now) as took:
            chunk = self._take(size, now, careful)
            took.update(row.lane[0] for row in chunk)
        return chunk

    def _notice_standstill(self, now: Millis) -> None:
        """Find out whether this process was stopped, or the machine slept, since a call."""
        asked, self._asked = self._asked, max(now, self._asked or 0)
        if self._standstill and asked and now - asked > self._standstill:
            self._is_stale = True
            # Letters that a pool has begun with come back within a timeout.
            self._stale_until = now + self._standstill

    def _take(self, size: int, now: Millis, careful: int) -> list[RenderedRow]:
        shares = self._share_out(now, careful)
        total = sum(shares.values())
        if self._campaign is not None:
            self._campaign = self._campaign.refill(now)
            size = min(size, self._campaign.ready)
        chunk: list[RenderedRow] = []
        for key, share in shares.items():
            # In proportion, so that a chunk mixes services as the list does.
            count = min(share, -(-share * size // total), size - len(chunk))
            queue = self._queues[key]
            pop = queue.popleft
            chunk += [pop() for _ in range(count)]
            self._under_way[key] += count
            if (bucket := self._name_bucket(key)) in self._buckets:
                self._buckets[bucket] = self._buckets[bucket].take(count)
        if self._campaign is not None:
            self._campaign = self._campaign.take(len(chunk))
        self.waiting -= len(chunk)
        return chunk

    def _share_out(self, now: Millis, careful: int) -> dict[LaneKey, int]:
        """Return how many letters of each lane may go out now, lanes on trial alone."""
        shares: dict[LaneKey, int] = {}
        promised: Counter[str] = Counter()  # tokens, by bucket
        for key, queue in self._queues.items():
            lane = self.lanes[key]
            count = min(len(queue), allowance(lane, self._under_way[key], now))
            if count and (rate := self._find_rate(lane, now)) is not None:
                name = self._name_bucket(key)
                bucket = self._buckets.get(name) or Bucket(rate, at=now)
                self._buckets[name] = bucket = bucket.refill(now, rate)
                count = min(count, bucket.ready - promised[name])
                promised[name] += max(0, count)
            elif count:
                self._buckets.pop(self._name_bucket(key), None)
            if count > 0 and lane.accepted == 0:
                return {key: min(count, careful)}
            if count > 0:
                shares[key] = count
        return shares

    def _name_bucket(self, key: LaneKey) -> str:
        """Return the name of a lane's bucket: its service's where push.rate is set."""
        return key[0] if self._origin_rate is not None else "\n".join(key)

    def _find_rate(self, lane: Lane, now: Millis) -> float | None:
        return _find_lowest(pace(lane, now), self._origin_rate)

    def find_unreached(self, now: Millis) -> set[str]:
        """Return the origins that could not be reached lately, by this run or earlier ones."""
        known = {
            it.origin
            for it in self._known.values()
            if it.unreached_since and (it.paused_until or 0) > now - STALE
        }
        lanes = self.lanes.items()
        met = {key[0] for key, lane in lanes if lane.unreached_since}
        return met | (known - {key[0] for key, _ in lanes})

    def take_back(self, rows: Iterable[RenderedRow]) -> None:
        """Count *rows* as under way no more."""
        self._under_way.subtract(Counter(map(_lane, rows)))

    def add_answers(
        self, key: LaneKey, codes: str, now: Millis, retry_after: Millis | None, reason: str
    ) -> Lane:
        """Add answers to a lane; return it as it is now."""
        before = self.load_lane(key, now)
        after = add_answers(before, codes, now, retry_after, reason)
        if after.throttled_at > before.throttled_at:
            accepted, since = self._accepted_since[key]
            after = slow_down(after, after.accepted - accepted, now - since)
            self._accepted_since[key] = (after.accepted, now)
        self.lanes[key] = after
        return after

    def stop(self, origin: str, why: str) -> None:
        """Send nothing more to a push service in this run."""
        for key, lane in self.lanes.items():
            if key[0] == origin:
                self.lanes[key] = replace(lane, stopped=True, why=why)

    def has_to_release(self, now: Millis) -> bool:
        """Return whether ``release`` would yield anything at once."""
        self._notice_standstill(now)
        return (self._is_stale and self.waiting > 0) or any(
            queue and (self.lanes[key].stopped or _is_held_long(self.lanes[key], now))
            for key, queue in self._queues.items()
        )

    def release(self, now: Millis) -> Iterator[ReleasedRow]:
        """Take rows that can't go out soon out of the queues; yield them."""
        if self._is_stale:
            # Claimed anew, they expire or wait for the night's end where that is due.
            self._is_stale = False
            yield from (row._replace(next_attempt_at=now) for row in self.drain())
        for key, queue in self._queues.items():
            lane = self.lanes[key]
            if lane.stopped:
                at = None if self.again is None else now + self.again
                yield from (_make_released(row, at, lane.why) for row in queue)
            elif _is_held_long(lane, now):
                for row in queue:
                    yield self._release_held(row, lane, now)
            else:
                yield from self._release_paced(key, lane, now)
                continue
            self.waiting -= len(queue)
            queue.clear()

    def _release_held(self, row: RenderedRow, lane: Lane, now: Millis) -> ReleasedRow:
        # Spread over a tenth of the pause, so that they don't all come at once.
        spread = max(SECOND, (lane.hold_until - now) // 10)
        at = lane.hold_until + int(random.random() * spread)
        if not lane.unreached_since:
            return _make_released(row, at, lane.why)
        self._scouts[hold := (row.lane, lane.hold_until)] += 1
        at += OTHERS_WAIT if self._scouts[hold] > SCOUTS else 0
        return _make_released(row, at, lane.why, Cause.NO_CONNECTION)

    def _release_paced(self, key: LaneKey, lane: Lane, now: Millis) -> Iterator[ReleasedRow]:
        """Yield rows whose turn by the rate limits comes later than in PACED."""
        queue = self._queues[key]
        rate = _find_lowest(
            self._find_rate(lane, now), self._campaign.rate if self._campaign else None
        )
        if rate is None:
            return
        soon = max(1, int(rate * PACED / SECOND))
        for position in range(len(queue), soon, -1):
            self.waiting -= 1
            at = now + int(position / rate * SECOND)
            yield _make_released(queue.pop(), at, "its turn comes later", Cause.RATE_LIMIT)

    def leave_out(self, deliveries: Collection[int]) -> list[RenderedRow]:
        """Take the rows of *deliveries* out of the queues; return those that were there."""
        left_out: list[RenderedRow] = []
        for queue in self._queues.values():
            rows = list(queue)
            queue.clear()
            for row in rows:
                (left_out if row.letter.delivery in deliveries else queue).append(row)
        self.waiting -= len(left_out)
        return left_out

    def drain(self) -> list[ReleasedRow]:
        """Empty the queues; return their rows."""
        rows = [ReleasedRow(row.letter.delivery) for it in self._queues.values() for row in it]
        self._queues.clear()
        self.waiting = 0
        return rows

    def find_closed(self, now: Millis) -> frozenset[LaneKey]:
        """Return the lanes that get nothing now: stopped, or held."""
        lanes = self.lanes.items()
        return frozenset(key for key, it in lanes if it.stopped or it.hold_until > now)

    def has_stopped_all(self) -> bool:
        """Return whether every lane met so far is stopped."""
        return bool(self.lanes) and all(lane.stopped for lane in self.lanes.values())

    def seconds_to_wait(self, now: Millis) -> float:
        """Return the seconds until a letter may go out or be released; 0 to 1."""
        if self.has_to_release(now):
            return 0.0
        waits = [1.0]
        for key, queue in self._queues.items():
            lane = self.lanes[key]
            if queue and not lane.stopped:
                waits.append((lane.hold_until - now) / SECOND)
                bucket = self._buckets.get(self._name_bucket(key))
                if bucket is not None and lane.hold_until <= now:
                    waits.append(bucket.wait())
        if self._campaign is not None:
            waits.append(self._campaign.wait())
        return max(0.005, min(wait for wait in waits if wait > 0))


def log_lane(key: LaneKey, lane: Lane, now: Millis, *, held: bool = False) -> None:
    """Log the state of a lane; *held*: as an earlier run left it."""
    until = None
    if lane.stopped:
        state = "stopped"
    elif lane.hold_until > now:
        state = "held" if held else "circuit open" if lane.probing else "throttled"
        state = "out of reach" if lane.unreached_since else state
        until = datetime.fromtimestamp(lane.hold_until // SECOND, UTC).isoformat()
    else:
        state = "open"
    log.note(
        "send",
        f"push service {state}",
        level=logging.INFO if state == "open" else logging.WARNING,
        host=key[0].removeprefix("https://"),
        reason=lane.why,
        until=until,
    )


def _make_released(
    row: RenderedRow, at: Millis | None, why: str, cause: Cause = Cause.SERVICE_WAITS
) -> ReleasedRow:
    return ReleasedRow(row.letter.delivery, at, why, cause)


def _is_held_long(lane: Lane, now: Millis) -> bool:
    """Return whether the ledger keeps the rows of *lane*; of an outage nobody knows the end."""
    return lane.hold_until > now + (0 if lane.unreached_since else PATIENCE)


def _find_lowest(*rates: float | None) -> float | None:
    return min((rate for rate in rates if rate is not None), default=None)
