"""Who subscribes, from where and when, and how they are: columns of equal length."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from pushctl.demo.history import planted, world
from pushctl.model import Millis
from pushctl.rules import tokens, units
from pushctl.rules.lots import lot

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

BEFORE = 0.30  # of subscribers, who were there when the year began
ZONES = tuple(dict.fromkeys(one.timezone for one in world.COUNTRIES))
# A fortnight of sales, and the weeks before the feast bring more new people.
_BURSTS = ((0.9, 0.945, 2.2), (0.22, 0.26, 1.5))


@dataclass
class People:
    """All subscriptions in order of time; subscription n + 1 is in place n."""

    first: Millis  # when the year begins, midnight UTC
    days: int
    subscribed: Ints
    country: Ints
    browser: Ints
    site: Ints
    source: Ints
    landing: Ints
    city: Ints
    zone: Ints  # of ZONES
    person: Ints  # the place of their first subscription
    public_ids: list[str]
    has_alias: Mask
    held: Mask  # in the control group over all marketing
    basket_held: Mask  # in that of the basket's reminders
    arm: Floats  # by which a person falls to a variant
    rate: Floats  # how much more often than the mean they click
    buys: Floats  # and buy, and come back
    wants: Floats  # how often campaigns are for them
    gone_at: Ints  # when the browser drops it, which the next message finds
    leaves_at: Ints  # when they unsubscribe, whatever they get
    erased: Mask
    offsets: Ints = field(repr=False)  # [zone, day] in milliseconds, from a day before

    @property
    def count(self) -> int:
        return len(self.subscribed)

    def find_hours(self, who: Ints, at: Ints) -> tuple[Ints, Ints]:
        """Return the hour and the weekday (Monday is 0) of *at* for each of *who*."""
        day = np.clip((at - self.first) // units.DAY + 1, 0, self.offsets.shape[1] - 1)
        local = at + self.offsets[self.zone[who], day]
        return local // units.HOUR % 24, (local // units.DAY + 3) % 7


def draw(count: int, first: Millis, days: int, chance: np.random.Generator) -> People:
    """Return *count* subscriptions, some before the year that begins at *first*."""
    country = _pick(chance, count, [one.weight for one in world.COUNTRIES])
    zones = np.array([ZONES.index(one.timezone) for one in world.COUNTRIES])
    offsets = _list_offsets(first, days)
    times = _draw_times(count, first, days, zones[country], offsets, chance)
    order = np.argsort(times, kind="stable")
    country, subscribed = country[order], times[order]
    browser = _pick(chance, count, [one.weight for one in world.BROWSERS])
    own = np.array([one.site for one in world.COUNTRIES])[country]
    site = np.where(chance.random(count) < 0.9, own, chance.integers(0, 4, count))
    person, has_alias = _join(site, chance)
    public_ids = [
        tokens.encode(chunk) for chunk in _split(chance.bytes(16 * count), 16)
    ]  # fmt: skip
    held, basket_held = _hold(person, public_ids)
    rate = chance.lognormal(-0.32, 0.8, count)[person]
    stays = np.array([one.stays for one in world.BROWSERS])[browser]
    return People(
        first=first,
        days=days,
        subscribed=subscribed,
        country=country,
        browser=browser,
        site=site,
        source=_pick(chance, count, world.SOURCE_WEIGHTS),
        landing=_pick(chance, count, world.LANDING_WEIGHTS),
        city=_pick(chance, count, (6, 3, 1)),
        zone=zones[country],
        person=person,
        public_ids=public_ids,
        has_alias=has_alias,
        held=held,
        basket_held=basket_held,
        arm=chance.random(count)[person],
        rate=rate,
        buys=chance.lognormal(-0.5, 1.0, count)[person],
        wants=chance.choice((0.5, 1.0, 2.5), count)[person],
        # Weibull, shape 0.7: most of those who leave do so in their first weeks.
        gone_at=subscribed + (stays * units.DAY * _draw_weibull(chance, count)).astype(int),
        leaves_at=subscribed + (1500 * units.DAY * _draw_weibull(chance, count)).astype(int),
        erased=(chance.random(count) < 0.01)[person],
        offsets=offsets,
    )


def _draw_weibull(chance: np.random.Generator, count: int) -> Floats:
    """Return lives whose median is 1."""
    lives: Floats = chance.weibull(0.7, count) / float(np.log(2.0) ** (1 / 0.7))
    return lives


def _pick(chance: np.random.Generator, count: int, weights: object) -> Ints:
    shares = np.cumsum(np.array(weights, dtype=np.float64))
    return np.searchsorted(shares / shares[-1], chance.random(count), side="right")


def _split(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def _list_offsets(first: Millis, length: int) -> Ints:
    """Return each zone's distance from UTC on each day, the day before the year included."""
    days = [first + (day - 1) * units.DAY + 12 * units.HOUR for day in range(length + 3)]
    found = []
    for name in ZONES:
        zone = ZoneInfo(name)
        moments = (datetime.fromtimestamp(at / 1000, UTC).astimezone(zone) for at in days)
        shifts = (moment.utcoffset() for moment in moments)
        found.append([int(shift.total_seconds() * 1000) if shift else 0 for shift in shifts])
    return np.array(found, dtype=np.int64)


def draw_day_times(
    zone: Ints, offsets: Ints, day: Ints, first: Millis, chance: np.random.Generator
) -> Ints:
    """Return a moment of each local *day* (0: the year's first), when people are awake."""
    hour = _pick(chance, len(zone), world.ACTIVE_HOURS)
    within = (chance.random(len(zone)) * units.HOUR).astype(np.int64)
    shift = offsets[zone, np.clip(day + 1, 0, offsets.shape[1] - 1)]
    moment: Ints = first + day * units.DAY + hour * units.HOUR + within - shift
    return moment


def _draw_times(
    count: int,
    first: Millis,
    length: int,
    zone: Ints,
    offsets: Ints,
    chance: np.random.Generator,
) -> Ints:
    """Return when people of each *zone* subscribe."""
    before = int(count * BEFORE)
    weekdays = np.array(world.ACTIVE_WEEKDAYS)
    start = (first // units.DAY + 3) % 7
    weights = weekdays[(np.arange(length) + start) % 7] * np.linspace(0.8, 1.2, length)
    for since, until, factor in _BURSTS:
        weights[int(since * length) : int(until * length)] *= factor
    day = np.concatenate(
        [-1 - chance.integers(0, 500, before), _pick(chance, count - before, weights)]
    )
    times = draw_day_times(zone, offsets, day, first, chance)
    latest: Ints = np.minimum(times, first + length * units.DAY - units.HOUR)
    return latest


def _join(site: Ints, chance: np.random.Generator) -> tuple[Ints, Mask]:
    """Return each subscription's person and whether an alias names them."""
    count = len(site)
    person = np.arange(count)
    signed = chance.random(count) < 0.18
    # A third of those with an alias are the second browser of somebody on that site.
    for number in range(len(world.SITES)):
        own = np.flatnonzero(signed & (site == number))
        second = own[chance.random(len(own)) < 0.33]
        earlier = np.setdiff1d(own, second)
        place = np.searchsorted(earlier, second)
        known = place > 0
        chosen = (chance.random(len(second)) * np.maximum(place, 1)).astype(np.int64)
        person[second[known]] = earlier[chosen[known]]
    return person, signed


def _hold(person: Ints, public_ids: list[str]) -> tuple[Mask, Mask]:
    """Return who is in either control group, by the lots that the program draws."""
    everything = [lot("holdout", "2026", one) < planted.HOLDOUT for one in public_ids]
    basket = [lot("holdout", "basket", one) < planted.BASKET_HOLDOUT for one in public_ids]
    return np.array(everything)[person], np.array(basket)[person]


def make_endpoint(browser: int, public_id: str) -> tuple[str, bytes]:
    """Return the endpoint of a subscription and the hash that the database finds it by."""
    endpoint = f"https://{world.BROWSERS[browser].host}/{public_id}:generated"
    return endpoint, hashlib.sha256(endpoint.encode()).digest()[:16]
