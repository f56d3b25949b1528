"""A year of messages, day by day: who gets them, shows them, clicks, buys and leaves."""

from dataclasses import dataclass, field

import numpy as np

from pushctl.demo.history import planted, world
from pushctl.demo.history.people import Floats, Ints, Mask, People
from pushctl.demo.history.rows import (
    ACCEPTED,
    EXPIRED,
    GONE,
    IN_DOUBT,
    REJECTED,
    SKIPPED,
    Rows,
    either,
    hide,
    name_rows,
)
from pushctl.model import Millis
from pushctl.rules import units

ACTIVE, UNSUBSCRIBED, LOST, QUARANTINED = range(4)
STATES = ("active", "unsubscribed", "gone", "quarantined")
_HOURS = np.array(planted.HOURS)
_SHOWS = np.array([one.shows for one in world.BROWSERS])
_CLICKS = np.array([one.clicks for one in world.BROWSERS])
_COUNTRY_CLICKS = np.array([one.clicks for one in world.COUNTRIES])
_LANGUAGES = np.array(
    [one.language[:2] if one.language[:2] in world.LANGUAGES else "" for one in world.COUNTRIES]
)
_DEFAULTS = np.array([one.language for one in world.SITES])


@dataclass(frozen=True)
class Mailing:
    """One message to *who*, each at its time, as a campaign or a trigger's step."""

    campaign: int
    rate: float  # of clicks, before anything else about them
    who: Ints
    at: Ints
    enrolment: Ints | None = None
    variant: Ints | None = None  # 0 is a, 1 is b
    question: bool = False
    hour_chance: Floats | None = None  # the probability of its hour
    kept: float | None = None  # the probability of not being in a control group
    held: Mask | None = None  # who is in it
    converts: float = planted.CONVERTS
    more: Floats | None = None  # a factor of each one's clicks


@dataclass(frozen=True)
class Sent:
    """What became of a mailing, in the order of its people."""

    numbers: Ints
    status: Ints
    clicked: Mask
    clicked_at: Ints


@dataclass
class Year:
    people: People
    rows: Rows
    chance: np.random.Generator
    end: Millis = field(init=False)

    def __post_init__(self) -> None:
        count = self.people.count
        self.end = self.people.first + self.people.days * units.DAY
        self.state = np.full(count, ACTIVE, dtype=np.int8)
        self.state_at = self.people.subscribed.copy()
        self.seen_at = self.people.subscribed.copy()
        self.shown_at = np.zeros(count, dtype=np.int64)
        self.bought_anyhow = np.zeros(count, dtype=bool)
        self.bought_by_message = np.zeros(count, dtype=bool)
        self.got = np.zeros((planted.OFTEN_DAYS, count), dtype=np.uint8)  # by day
        self.today = 0
        self._left: list[tuple[Ints, int, Ints]] = []  # who, kind, at
        self._back: dict[int, list[Ints]] = {}
        self._bought: list[tuple[Ints, Ints]] = []
        self.codes: dict[int, tuple[int, str]] = {}  # that somebody uses with the next order
        self._siblings = _find_siblings(self.people.person)
        self._begin()

    def _begin(self) -> None:
        """Have those be gone already who left before the year."""
        people = self.people
        for at, state in ((people.leaves_at, UNSUBSCRIBED), (people.gone_at, LOST)):
            who = np.flatnonzero((at < people.first) & (self.state == ACTIVE))
            self._change(who, state, at[who])

    def begin_day(self, day: int) -> None:
        self.today = day
        self.got[day % planted.OFTEN_DAYS] = 0
        for who in self._back.pop(day, ()):
            away = who[self.state[who] != ACTIVE]
            at = (
                self.people.first
                + day * units.DAY
                + self.chance.integers(0, units.DAY, len(away))
            )
            self.people.gone_at[away] = at + 400 * units.DAY
            self.people.leaves_at[away] = at + 400 * units.DAY
            self._change(away, ACTIVE, at)

    def list_active(self, day: int) -> Ints:
        """Return who is subscribed on the whole of *day*."""
        known = np.searchsorted(self.people.subscribed, self.people.first + day * units.DAY)
        return np.flatnonzero(self.state[:known] == ACTIVE)

    def leave_by_wish(self, day: int) -> None:
        """Have those unsubscribe today who do so whatever they get."""
        start = self.people.first + day * units.DAY
        due = (self.people.leaves_at >= start) & (self.people.leaves_at < start + units.DAY)
        who = np.flatnonzero(due & (self.state == ACTIVE))
        self._change(who, UNSUBSCRIBED, self.people.leaves_at[who])

    def send(self, mailing: Mailing) -> Sent:
        """Send, and have people show, click, buy and leave; write it all down."""
        who, at = mailing.who, mailing.at
        status = self._answer(mailing)
        accepted = status == ACCEPTED
        clicked = self.chance.random(len(who)) < self._find_click_rates(mailing)
        clicked &= accepted
        shown = clicked | (
            accepted & (self.chance.random(len(who)) < _SHOWS[self.people.browser[who]])
        )
        shown_at = at + self._draw_delays(len(who))
        clicked_at = shown_at + self._draw(len(who), 25 * units.MINUTE) + 2 * units.SECOND
        shown &= shown_at < self.end
        clicked &= shown & (clicked_at < self.end)
        numbers = self.rows.number("deliveries", len(who))
        self._write(mailing, numbers, status, (shown, shown_at), (clicked, clicked_at))
        self._react(who, at, status, (shown, shown_at))
        if mailing.converts:
            buyers = clicked & (self.chance.random(len(who)) < mailing.converts)
            later = clicked_at + 2 * units.MINUTE + self._draw(len(who), 2 * units.HOUR)
            self.buy(who[buyers], later[buyers], brought=np.True_)
        return Sent(numbers, status, clicked, clicked_at)

    def buy(self, who: Ints, at: Ints, brought: "Mask | np.bool_" = np.False_) -> None:
        """
        Note orders, to be written at the day's end; many are made on another browser.

        *brought*: those that there would not be without messages.
        """
        inside = at < self.end
        self.bought_anyhow[who[inside & ~brought]] = True
        self.bought_by_message[who[inside & brought]] = True
        there = self.people.subscribed[self._siblings[who]] < at
        other = there & (self.chance.random(len(who)) < 0.4)
        buyer = np.where(other, self._siblings[who], who)
        self._bought.append((buyer[inside], at[inside]))

    def find_lift(self) -> float:
        """Return how many times as many people buy as would without messages: the truth."""
        people = self.people
        anyhow, by_message = np.zeros((2, people.count), dtype=bool)
        anyhow[people.person[self.bought_anyhow]] = True
        by_message[people.person[self.bought_by_message]] = True
        got = ~people.held & (people.person == np.arange(people.count))
        return float((got & (anyhow | by_message)).sum() / max((got & anyhow).sum(), 1))

    def take_bought(self) -> tuple[Ints, Ints]:
        """Return the orders since the last call: who, and when."""
        bought, self._bought = self._bought, []
        if not bought:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        return np.concatenate([who for who, _ in bought]), np.concatenate(
            [at for _, at in bought]
        )

    def take_changes(self) -> tuple[Ints, Ints, Ints]:
        """Return the changes of states since the last call: who, state, when."""
        left, self._left = self._left, []
        if not left:
            empty = np.zeros(0, dtype=np.int64)
            return empty, empty, empty
        kinds = [np.full(len(who), kind) for who, kind, _ in left]
        return (
            np.concatenate([who for who, _, _ in left]),
            np.concatenate(kinds),
            np.concatenate([at for _, _, at in left]),
        )

    def _answer(self, mailing: Mailing) -> Ints:
        """Return the status of each message."""
        count = len(mailing.who)
        status = np.full(count, ACCEPTED)
        odd = self.chance.random(count)
        status[odd < 0.0008] = EXPIRED
        status[odd < 0.0003] = REJECTED
        status[odd < 0.0002] = IN_DOUBT
        status[self.people.gone_at[mailing.who] <= mailing.at] = GONE
        if mailing.held is not None:
            status[mailing.held] = SKIPPED
        return status

    def _find_click_rates(self, mailing: Mailing) -> Floats:
        people, who = self.people, mailing.who
        hour, weekday = people.find_hours(who, mailing.at)
        age = (mailing.at - people.subscribed[who]) / units.DAY
        floor = planted.AGE_FLOOR
        rate = (
            mailing.rate
            * people.rate[who]
            * _CLICKS[people.browser[who]]
            * _COUNTRY_CLICKS[people.country[who]]
            * _HOURS[hour]
            * np.where(weekday >= 5, planted.WEEKEND, 1.0)
            * (floor + (1 - floor) * 0.5 ** (age / planted.AGE_HALF))
        )
        if mailing.variant is not None:
            rate *= np.where(mailing.variant == 1, planted.VARIANT_LIFT, 1.0)
        if mailing.question:
            rate *= planted.QUESTION
        if mailing.more is not None:
            rate *= mailing.more
        found: Floats = np.minimum(rate, 0.6)
        return found

    def _draw(self, count: int, mean: Millis) -> Ints:
        return self.chance.exponential(mean, count).astype(np.int64)

    def _draw_delays(self, count: int) -> Ints:
        """Return how long after sending browsers show: most at once, some once they start."""
        delays: Ints = np.where(
            self.chance.random(count) < 0.65,
            self._draw(count, 20 * units.SECOND),
            self._draw(count, 3 * units.HOUR),
        )
        return np.minimum(delays, units.DAY) + 300

    def _write(
        self,
        mailing: Mailing,
        numbers: Ints,
        status: Ints,
        shown: tuple[Mask, Ints],
        clicked: tuple[Mask, Ints],
    ) -> None:
        people, who = self.people, mailing.who
        sent = np.where(status == EXPIRED, mailing.at + units.DAY, mailing.at)
        own = _LANGUAGES[people.country[who]]
        language = np.where(own == "", _DEFAULTS[people.site[who]], own)
        held = status == SKIPPED
        columns = {
            "id": numbers,
            "campaign_id": mailing.campaign,
            "subscription_id": hide(who + 1, ~people.erased[who]),
            "enrolment_id": 0 if mailing.enrolment is None else mailing.enrolment,
            "language": either(held, None, language.astype(object)),
            "changed_at": sent,
        }
        if mailing.variant is not None:
            letters = np.where(mailing.variant == 1, "b", "a").astype(object)
            columns["variant"] = either(held, None, letters)
            columns["variant_probability"] = either(held, None, 0.5)
        if mailing.kept is not None:
            other = round(1 - mailing.kept, 9)
            columns["holdout_probability"] = np.where(held, other, mailing.kept)
        if mailing.hour_chance is not None:
            columns["hour_probability"] = mailing.hour_chance
        went_out = (status != SKIPPED) & (status != EXPIRED)
        # Now and then a click tells of a message whose own report got lost.
        told = shown[0] & ~(clicked[0] & (self.chance.random(len(numbers)) < 0.02))
        times = {
            "sent_at": hide(sent, went_out),
            "shown_at": hide(np.where(told, shown[1], clicked[1]), shown[0]),
            "clicked_at": hide(clicked[1], clicked[0]),
        }
        self.rows.add_deliveries(status, times, columns)
        self._report(numbers, told, shown, clicked)

    def _report(
        self, numbers: Ints, told: Mask, shown: tuple[Mask, Ints], clicked: tuple[Mask, Ints]
    ) -> None:
        """Write what browsers report, in order of time; *told*: that it was shown, too."""
        closed = shown[0] & ~clicked[0] & (self.chance.random(len(numbers)) < 0.15)
        again = clicked[0] & (self.chance.random(len(numbers)) < 0.03)
        closed_at = shown[1] + self._draw(len(numbers), units.MINUTE)
        parts = (
            ("shown", told, shown[1]),
            ("clicked", clicked[0], clicked[1]),
            ("clicked", again, clicked[1] + 5 * units.MINUTE),
            ("closed", closed, closed_at),
        )
        kind = np.concatenate(
            [np.full(int(which.sum()), i) for i, (_, which, _) in enumerate(parts)]
        )
        delivery = np.concatenate([numbers[which] for _, which, _ in parts])
        at = np.concatenate([when[which] for _, which, when in parts])
        order = np.argsort(at, kind="stable")
        rows = self.rows.number("interactions", len(order))
        words = np.array([word for word, _, _ in parts], dtype=object)
        self.rows.add(
            "interactions",
            {
                "id": rows,
                "delivery_id": delivery[order],
                "kind": words[kind[order]],
                "at": at[order],
                "dedupe_key": name_rows("i", rows),
            },
        )

    def _react(self, who: Ints, at: Ints, status: Ints, shown: tuple[Mask, Ints]) -> None:
        """Note who is gone, who has shown a message, and who leaves because of this one."""
        accepted, lost = status == ACCEPTED, status == GONE
        self._change(who[lost], LOST, at[lost])
        first = shown[0] & (self.shown_at[who] == 0)
        self.shown_at[who[first]] = shown[1][first]
        today = self.got[self.today % planted.OFTEN_DAYS]
        today[who[accepted]] += 1
        often = self.got[:, who].sum(axis=0) >= planted.OFTEN
        chance = planted.LEAVES * np.where(often, planted.OFTEN_LEAVES, 1.0)
        leaves = accepted & (self.chance.random(len(who)) < chance)
        after = np.minimum(self._draw(len(who), 2 * units.HOUR), 23 * units.HOUR)
        self._change(who[leaves], UNSUBSCRIBED, at[leaves] + after[leaves] + units.MINUTE)

    def _change(self, who: Ints, state: int, at: Ints) -> None:
        inside = at < self.end
        who, at = who[inside], at[inside]
        self.state[who] = state
        self.state_at[who] = at
        self._left.append((who, state, at))
        if state == ACTIVE or not len(who):
            return
        returns = who[self.chance.random(len(who)) < 0.05]
        for one in returns.tolist():
            day = self.today + int(self.chance.integers(5, 60))
            self._back.setdefault(day, []).append(np.array([one]))


def _find_siblings(person: Ints) -> Ints:
    """Return another subscription of each one's person, or their own."""
    siblings = np.arange(len(person))
    second = np.flatnonzero(person != siblings)
    siblings[second] = person[second]
    siblings[person[second]] = second
    return siblings
