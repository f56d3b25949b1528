"""
Which letters may go out now: one queue for each push service and key.

Holds the lanes of ``rules/delivery/lane``, the rows that wait and the number of those that
are under way. What a service doesn't want for longer than a moment goes back into the ledger.
"""

import random
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pushctl.jobs.delivery.shared_rate import Shared
from pushctl.jobs.delivery.types import PACED, LaneKey, RenderedRow
from pushctl.model import Cause, Millis
from pushctl.rules.delivery import retry
from pushctl.rules.delivery.bucket import Bucket
from pushctl.rules.delivery.lane import Lane, add_answers, allowance, pace, slow_down
from pushctl.rules.units import DAY, SECOND
from pushctl.store.deliveries import ReleasedRow
from pushctl.store.origins import Origin

# Letters of a service that holds us for longer than this are given back.
PATIENCE: Millis = 3 * SECOND

# A Retry-After is at most a day (retry.clamp_to_day): more is left from a clock that leapt.
LONGEST: Millis = DAY + retry.LONGEST_PAUSE


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
    ) -> None:
        self.lanes: dict[LaneKey, Lane] = {}
        self.waiting = 0
        self._known = known
        self._origin_rate = origin_rate
        # *rates* is the file in which all runs keep what *origin_rate* leaves.
        self._shared = Shared(rates, origin_rate) if rates and origin_rate else None
        self._campaign = Bucket(campaign_rate, at=now) if campaign_rate else None
        self._queues: dict[LaneKey, deque[RenderedRow]] = defaultdict(deque)
        self._under_way: Counter[LaneKey] = Counter()
        self._buckets: dict[str, Bucket] = {}  # see _bucket
        self._accepted_since: dict[LaneKey, tuple[int, Millis]] = {}
        # After this a service that refuses us is tried again; None: when a person says so.
        self.again = again

    @property
    def under_way(self) -> int:
        return self._under_way.total()

    def lane(self, key: LaneKey, now: Millis) -> Lane:
        """Return what is known of a lane; what earlier runs learnt, for a new one."""
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
                    rate=_slower(origin.rate, self._origin_rate),
                    throttled_at=origin.changed_at,
                    probing=origin.probing and until > 0,
                )
            self.lanes[key] = lane
            self._accepted_since[key] = (0, now)
        return lane

    def add(self, rows: Iterable[RenderedRow], now: Millis) -> None:
        for row in rows:
            key = row.lane
            if key not in self.lanes:
                self.lane(key, now)
            self._queues[key].append(row)
            self.waiting += 1

    def room(self) -> int | None:
        """
        Return how many more letters the campaign's own rate has use for, None without one.

        No more at all until half of what lies here has gone: claims are made in bulk.
        """
        if self._campaign is None:
            return None
        most = max(1, int(self._campaign.rate * PACED / SECOND))
        return most - self.waiting if 2 * self.waiting <= most else 0

    def take(self, size: int, now: Millis, careful: int) -> list[RenderedRow]:
        """
        Return up to *size* letters that may go out together; nothing while all must wait.

        Where nothing was accepted yet at most *careful* of a lane go at a time.
        """
        if self._shared is None or not self.waiting:
            return self._take(size, now, careful)
        with self._shared.buckets(self._buckets, now) as took:
            chunk = self._take(size, now, careful)
            took.update(row.lane[0] for row in chunk)
        return chunk

    def _take(self, size: int, now: Millis, careful: int) -> list[RenderedRow]:
        shares = self._shares(now, careful)
        total = sum(shares.values())
        if self._campaign is not None:
            self._campaign = self._campaign.refill(now)
            size = min(size, self._campaign.ready)
        chunk: list[RenderedRow] = []
        for key, share in shares.items():
            # In proportion, so that a chunk mixes services as the list does.
            count = min(share, -(-share * size // total), size - len(chunk))
            queue = self._queues[key]
            chunk.extend(queue.popleft() for _ in range(count))
            self._under_way[key] += count
            if (bucket := self._bucket(key)) in self._buckets:
                self._buckets[bucket] = self._buckets[bucket].take(count)
        if self._campaign is not None:
            self._campaign = self._campaign.take(len(chunk))
        self.waiting -= len(chunk)
        return chunk

    def _shares(self, now: Millis, careful: int) -> dict[LaneKey, int]:
        """Return how many letters of each lane may go out now, lanes on trial alone."""
        shares: dict[LaneKey, int] = {}
        promised: Counter[str] = Counter()  # of what the buckets hold
        for key, queue in self._queues.items():
            lane = self.lanes[key]
            count = min(len(queue), allowance(lane, self._under_way[key], now))
            if count and (rate := self._rate(lane, now)) is not None:
                name = self._bucket(key)
                bucket = self._buckets.get(name) or Bucket(rate, at=now)
                self._buckets[name] = bucket = bucket.refill(now, rate)
                count = min(count, bucket.ready - promised[name])
                promised[name] += max(0, count)
            elif count:
                self._buckets.pop(self._bucket(key), None)
            if count > 0 and lane.accepted == 0:
                return {key: min(count, careful)}
            if count > 0:
                shares[key] = count
        return shares

    def _bucket(self, key: LaneKey) -> str:
        """Return whose tokens a lane takes: where a person sets the rate, its service's."""
        return key[0] if self._origin_rate is not None else "\n".join(key)

    def _rate(self, lane: Lane, now: Millis) -> float | None:
        return _slower(pace(lane, now), self._origin_rate)

    def take_back(self, rows: Iterable[RenderedRow]) -> None:
        """Count these as under way no more, whatever became of them."""
        self._under_way.subtract(row.lane for row in rows)

    def add_answers(
        self, key: LaneKey, codes: str, now: Millis, retry_after: Millis | None, reason: str
    ) -> Lane:
        """Add answers to what is known of a lane; return it as it is now."""
        before = self.lane(key, now)
        after = add_answers(before, codes, now, retry_after, reason)
        if after.throttled_at > before.throttled_at:
            accepted, since = self._accepted_since[key]
            after = slow_down(after, after.accepted - accepted, now - since)
            self._accepted_since[key] = (after.accepted, now)
        self.lanes[key] = after
        return after

    def stop(self, origin: str, why: str) -> None:
        """Let nothing more out to a push service in this run."""
        for key, lane in self.lanes.items():
            if key[0] == origin:
                self.lanes[key] = replace(lane, stopped=True, why=why)

    def has_to_release(self, now: Millis) -> bool:
        """Return whether ``release`` would yield anything at once."""
        return any(
            queue and (self.lanes[key].stopped or self.lanes[key].hold_until > now + PATIENCE)
            for key, queue in self._queues.items()
        )

    def release(self, now: Millis) -> Iterator[ReleasedRow]:
        """Yield what can't go out soon, and take it out of the queues."""
        for key, queue in self._queues.items():
            lane = self.lanes[key]
            if lane.stopped:
                at = None if self.again is None else now + self.again
                yield from (_released(row, at, lane.why) for row in queue)
            elif lane.hold_until > now + PATIENCE:
                # Spread over a tenth of the pause, so that they don't all come at once.
                spread = max(SECOND, (lane.hold_until - now) // 10)
                for row in queue:
                    after = int(random.random() * spread)
                    yield _released(row, lane.hold_until + after, lane.why)
            else:
                yield from self._paced(key, lane, now)
                continue
            self.waiting -= len(queue)
            queue.clear()

    def _paced(self, key: LaneKey, lane: Lane, now: Millis) -> Iterator[ReleasedRow]:
        """Give back what a rate limit lets out later than in a few seconds."""
        queue = self._queues[key]
        limits = [self._rate(lane, now), self._campaign.rate if self._campaign else None]
        rate = _slower(*limits)
        if rate is None:
            return
        soon = max(1, int(rate * PACED / SECOND))
        for position in range(len(queue), soon, -1):
            self.waiting -= 1
            at = now + int(position / rate * SECOND)
            yield _released(queue.pop(), at, "its turn comes later", Cause.RATE_LIMIT)

    def drain(self) -> list[ReleasedRow]:
        """Return all that waits, and wait for nothing any more."""
        rows = [ReleasedRow(row.letter.delivery) for it in self._queues.values() for row in it]
        self._queues.clear()
        self.waiting = 0
        return rows

    def all_stopped(self) -> bool:
        """Say whether every push service met so far has to be set going by a person."""
        return bool(self.lanes) and all(lane.stopped for lane in self.lanes.values())

    def seconds_to_wait(self, now: Millis) -> float:
        """Return seconds to wait until something can be done that can't now; at most 1."""
        if self.has_to_release(now):
            return 0.0
        waits = [1.0]
        for key, queue in self._queues.items():
            lane = self.lanes[key]
            if queue and not lane.stopped:
                waits.append((lane.hold_until - now) / SECOND)
                bucket = self._buckets.get(self._bucket(key))
                if bucket is not None and lane.hold_until <= now:
                    waits.append(bucket.wait())
        if self._campaign is not None:
            waits.append(self._campaign.wait())
        return max(0.005, min(wait for wait in waits if wait > 0))


def _released(
    row: RenderedRow, at: Millis | None, why: str, cause: Cause = Cause.SERVICE_WAITS
) -> ReleasedRow:
    return ReleasedRow(row.letter.delivery, at, why, cause)


def _slower(*rates: float | None) -> float | None:
    known: Sequence[float] = [rate for rate in rates if rate is not None]
    return min(known, default=None)
