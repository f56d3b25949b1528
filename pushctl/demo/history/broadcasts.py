"""The campaigns of a year: when, about what, to how many, and in which variants."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from pushctl.demo.history import planted, world
from pushctl.demo.history.people import Floats, Ints
from pushctl.demo.history.promo import give_codes
from pushctl.demo.history.rows import Rows
from pushctl.demo.history.year import Mailing, Year
from pushctl.model import Json, Millis
from pushctl.rules import units
from pushctl.rules.messages.content import hash_content

_TOPICS = ("promotion", "news", "product", "loyalty")
_HOURS = (7, 8, 9, 10, 11, 12, 13, 15, 17, 18, 19, 20, 20, 21, 22)
_EXPLORED = np.arange(8, 23)  # hours of the receiver's day
_EXPLORES = 0.15  # of campaigns
_EXPLORE = 0.2  # of their people
_A_SECOND = 400  # messages that go out
_DECIDED_AFTER = 4 * units.HOUR


@dataclass(frozen=True)
class Planned:
    day: int
    site: int
    topic: str
    hour: int  # of the site's day
    weight: float  # of its share of all messages
    has_variants: bool
    explores: bool
    asks: bool


def plan(
    count: int, length: int, chance: np.random.Generator, explores: float = _EXPLORES
) -> dict[int, list[Planned]]:
    """
    Return *count* campaigns of *length* days, by day; some weeks have many.

    *explores*: the share whose hours are drawn.
    """
    weeks = chance.choice((0.5, 1.0, 1.0, 3.0), length // 7 + 1)
    days = np.repeat(weeks, 7)[:length]
    days[-40:-20] *= 2.0  # the sales before the year ends
    shares = np.array([sum(c.weight for c in world.COUNTRIES if c.site == n) for n in range(4)])
    found: dict[int, list[Planned]] = {}
    for day in sorted(chance.choice(length, count, p=days / days.sum()).tolist()):
        site = int(chance.choice(4, p=shares**0.5 / (shares**0.5).sum()))
        by_lots = bool(chance.random() < explores)
        one = Planned(
            day=day,
            site=site,
            topic=str(chance.choice(_TOPICS, p=(0.5, 0.25, 0.15, 0.1))),
            hour=19 if by_lots else int(chance.choice(_HOURS)),
            weight=float(
                shares[site] * (0.35 + 0.65 * day / length) * chance.uniform(0.5, 1.5)
            ),
            has_variants=bool(chance.random() < 0.3),
            explores=by_lots,
            asks=bool(chance.random() < 0.35),
        )
        found.setdefault(day, []).append(one)
    return found


class Broadcasts:
    def __init__(
        self, year: Year, rows: Rows, count: int, messages: int, *, all_hours: bool = False
    ) -> None:
        self._year, self._rows = year, rows
        explores, self._explore = (1.0, 1.0) if all_hours else (_EXPLORES, _EXPLORE)
        self._hours = np.arange(24) if all_hours else _EXPLORED
        self._plan = plan(count, year.people.days, year.chance, explores)
        self._left = messages
        self._weight = sum(one.weight for day in self._plan.values() for one in day)

    def send_day(self, day: int) -> None:
        for one in self._plan.get(day, ()):
            self._send(one)

    def _send(self, one: Planned) -> None:
        year, people = self._year, self._year.people
        chance = year.chance
        wanted = int(self._left * one.weight / self._weight)
        self._weight -= one.weight
        active = year.list_active(one.day)
        own = active[people.site[active] == one.site]
        # Some are meant more often than others, whatever they do.
        keys = chance.exponential(1.0, len(own)) / people.wants[own]
        chosen = own[np.argsort(keys, kind="stable")[:wanted]] if wanted < len(own) else own
        who = np.sort(chosen)
        self._left -= len(who)
        start = self._find_start(one)
        if start > year.end - 3 * units.HOUR:  # the year ends at midnight in London
            return
        campaign = int(self._rows.number("campaigns", 1)[0])
        at, hour_chance = self._find_times(one, who, start)
        self._write(campaign, one, start, int(at.max(initial=start)), len(who))
        # A person falls anew in each test, with all their browsers.
        falls = (people.arm[who] * 7919 * campaign) % 1.0 >= 0.5
        variant = falls.astype(np.int64) if one.has_variants else None
        mailing = Mailing(
            campaign=campaign,
            rate=planted.TOPICS[one.topic],
            who=who,
            at=at,
            variant=variant,
            question=one.asks,
            hour_chance=hour_chance,
            kept=round(1 - planted.HOLDOUT, 9),
            held=people.held[who],
        )
        sent = year.send(mailing)
        if one.topic == "promotion" and campaign % 5 == 0:
            give_codes(year, self._rows, mailing, sent, start)

    def _find_start(self, one: Planned) -> Millis:
        people = self._year.people
        zone = [c.timezone for c in world.COUNTRIES].index(world.SITES[one.site].timezone)
        country = np.flatnonzero(people.country == zone)
        shift = int(people.offsets[people.zone[country[0]], one.day + 1]) if len(country) else 0
        minutes = int(self._year.chance.integers(0, 12)) * 5 * units.MINUTE
        return people.first + one.day * units.DAY + one.hour * units.HOUR + minutes - shift

    def _find_times(
        self, one: Planned, who: Ints, start: Millis
    ) -> tuple[Ints, "Floats | None"]:
        """Return when each message goes out, and how probable its hour was."""
        chance, people = self._year.chance, self._year.people
        spread = np.arange(len(who)) * units.SECOND // _A_SECOND
        if not one.explores:
            return start + spread, None
        explored = chance.random(len(who)) < self._explore
        hour = np.where(explored, chance.choice(self._hours, len(who)), one.hour)
        day = people.first + one.day * units.DAY
        shift = people.offsets[people.zone[who], one.day + 1]
        at = day + hour * units.HOUR + spread % (50 * units.MINUTE) - shift
        share = self._explore / len(self._hours)
        usual = round(1 - self._explore + share, 6)
        found = np.where(hour == one.hour, usual, round(share, 6))
        return np.minimum(at, self._year.end - 1), found

    def _write(
        self, campaign: int, one: Planned, start: Millis, last: Millis, count: int
    ) -> None:
        site = world.SITES[one.site].name
        date = datetime.fromtimestamp(start / 1000, UTC).date().isoformat()
        name = f"{one.topic} {date} {site} {campaign}"
        sources = make_sources(one.topic, asks=one.asks, variants=one.has_variants)
        options: dict[str, Json] = {"extra": {"number": campaign}}
        if one.explores:
            options["explore"] = self._explore
        write_campaign(
            self._rows,
            {
                "id": campaign,
                "name": name,
                "template": one.topic,
                "audience": f"site = '{site}'",
                "sources": json.dumps(sources, ensure_ascii=False),
                "options": json.dumps(options),
                "created_at": start - units.MINUTE,
                "started_at": start,
                "finished_at": last + units.MINUTE,
                "expires_at": last + units.DAY,
                "content_hash": hash_content(sources, {"number": campaign}),
                "topic": one.topic,
            },
        )
        if one.has_variants:
            self._write_experiment(campaign, name, start)

    def _write_experiment(self, campaign: int, name: str, start: Millis) -> None:
        arms = [{"variant": letter, "weight": 0.5} for letter in "ab"]
        values: dict[str, Json] = {
            "id": int(self._rows.number("experiments", 1)[0]),
            "name": name,
            "campaign_id": campaign,
            "arms": json.dumps(arms),
            "differ": "text",
            "rule": "fixed",
            "on_tie": "best",
            "test_share": 1.0,
            "seed": name,
            "decide_at": start + _DECIDED_AFTER,
            "state": "decided",
            "winner": "b",
            "cause": "picked",
            "why": "picked by hand",
            "decided_at": start + _DECIDED_AFTER,
            "after_delivery": 0,
            "created_at": start - units.MINUTE,
        }
        self._rows.add("experiments", {key: [value] for key, value in values.items()})


def make_sources(topic: str, *, asks: bool, variants: bool) -> dict[str, str]:
    """Return a template's files: its titles ask, or say."""
    titles = world.QUESTIONS if asks else world.STATEMENTS
    number = _TOPICS.index(topic) % 3
    made = {"message.toml": f'url = "/"\nttl = "1d"\ntopic = "{topic}"\n'}
    for language in world.LANGUAGES:
        for variant in ("", ".b") if variants else ("",):
            title = titles[language][(number + bool(variant)) % 3]
            text = f'title = "{title}"\nbody = "{world.BODIES[language]}"\n'
            made[f"{language}{variant}.toml"] = text
    return made


def write_campaign(rows: Rows, values: Mapping[str, Json]) -> None:
    known = {"status": "finished", **values}
    rows.add("campaigns", {key: [value] for key, value in known.items()})
