"""Automatic messages of a year: a welcome, reminders of baskets, and calls to come back."""

import json
from typing import NamedTuple

import numpy as np

from pushctl.demo.history import planted
from pushctl.demo.history.broadcasts import make_sources, write_campaign
from pushctl.demo.history.people import Floats, Ints, Mask, draw_day_times
from pushctl.demo.history.rows import ACCEPTED, Objects, Rows, either
from pushctl.demo.history.shop import Shop
from pushctl.demo.history.year import Mailing, Sent, Year
from pushctl.model import Json
from pushctl.rules import units

_STEPS = (
    ("welcome", 1, "welcome", "loyalty"),
    ("basket", 1, "abandoned_basket_1", "basket"),
    ("basket", 2, "abandoned_basket_discount", "basket"),
    ("win_back", 1, "win_back", "loyalty"),
)
_KEPT = round(1 - planted.HOLDOUT, 9)
_BASKET_KEPT = round((1 - planted.BASKET_HOLDOUT) * (1 - planted.HOLDOUT), 9)
_DONE = "its steps are done"


class Triggers:
    def __init__(self, year: Year, rows: Rows, shop: Shop, baskets: int) -> None:
        """*baskets* is how many are filled in the year."""
        self._year, self._rows, self._shop = year, rows, shop
        self._baskets = baskets
        self._campaigns = {(name, step): self._open(name, step, template, topic)
                           for name, step, template, topic in _STEPS}  # fmt: skip

    def _open(self, name: str, step: int, template: str, topic: str) -> int:
        campaign = int(self._rows.number("campaigns", 1)[0])
        first = self._year.people.first
        sources = make_sources("promotion", asks=False, variants=False)
        options: dict[str, Json] = {}
        values: dict[str, Json] = {
            "id": campaign,
            "name": f"{name}/{step}",
            "status": "running",
            "template": template,
            "audience": "everyone",
            "sources": json.dumps(sources, ensure_ascii=False),
            "options": json.dumps(options),
            "trigger": name,
            "step": step,
            "topic": topic,
            "created_at": first,
            "started_at": first,
        }
        write_campaign(self._rows, values)
        return campaign

    def welcome(self, who: Ints, events: Ints) -> None:
        """Greet *who* a minute after their *events* of subscribing."""
        year = self._year
        at = year.people.subscribed[who] + units.MINUTE
        inside = at < year.end
        who, at, events = who[inside], at[inside], events[inside]
        rows = self._enrol("welcome", who, _name_events(events), at)
        self._send("welcome", 1, who, at, rows, planted.WELCOME, kept=_KEPT)

    def win_back(self, day: int) -> None:
        """Call some of those back who were not here for a month, at 18:00 of their day."""
        year = self._year
        active = year.list_active(day)
        start = year.people.first + day * units.DAY
        away = (start - year.seen_at[active]) // units.DAY
        who = active[(away >= 30) & (away % 60 == 30)]
        shift = year.people.offsets[year.people.zone[who], day + 1]
        at = np.minimum(start + 18 * units.HOUR - shift, year.end - 1)
        rows = self._enrol("win_back", who, np.full(len(who), f"day:{day}", dtype=object), at)
        self._send("win_back", 1, who, at, rows, planted.WIN_BACK, kept=_KEPT)

    def remind(self, day: int) -> None:
        """Fill baskets, remind of those that are left, and let some people buy."""
        year, chance = self._year, self._year.chance
        who = self._shop.choose(day, self._shop.scale(self._baskets, day), unique=True)
        people = year.people
        at = draw_day_times(people.zone[who], people.offsets, np.full(len(who), day),
                            people.first, chance)  # fmt: skip
        at = np.minimum(np.maximum(at, people.subscribed[who] + units.MINUTE), year.end - 1)
        events = self._shop.fill_baskets(who, at)
        quick = chance.random(len(who)) < planted.QUICK
        held = people.basket_held[who]
        soon = at + (3 + 20 * chance.random(len(who)) * units.MINUTE).astype(np.int64)
        year.buy(who[quick], soon[quick])
        waits = ~quick & ~held
        # Rows first: messages name them. What became of them is known at the end.
        rows = self._rows.number("enrolments", len(who))
        bought, bought_at = self._go_on(who, at, waits, rows)
        later = ~quick & ~waits & (chance.random(len(who)) < planted.BOUGHT)
        unreminded = at + 30 * units.MINUTE + self._draw_rest(len(who))
        year.buy(who[later], unreminded[later])
        ended = np.where(quick, soon, np.where(bought, bought_at, at + units.DAY))
        sent = np.where(waits, 1, 0)
        causes = _name_events(events)
        self._write(
            Enrolled("basket", rows, who, causes, at, sent, ended, held, quick | bought)
        )

    def _go_on(self, who: Ints, at: Ints, waits: Mask, rows: Ints) -> tuple[Mask, Ints]:
        """Send both steps to who *waits*; return who bought afterwards, and when."""
        year, chance = self._year, self._year.chance
        due = at + 30 * units.MINUTE
        places = np.flatnonzero(waits & (due < year.end))
        chosen = who[places]
        # Who will buy because of it, or anyhow; they click more often.
        luck = chance.random(len(places))
        likely = luck < planted.BOUGHT * planted.BASKET_LIFT
        sent = self._send("basket", 1, chosen, due[places], rows[places], 0.2,
                          kept=_BASKET_KEPT, more=np.where(likely, 3.0, 1.0))  # fmt: skip
        accepted = sent.status == ACCEPTED
        share = np.where(accepted, planted.BOUGHT * planted.BASKET_LIFT, planted.BOUGHT)
        buys = luck < share
        when = due[places] + units.MINUTE + self._draw_rest(len(places))
        clicked = np.maximum(when, sent.clicked_at + 3 * units.MINUTE)
        when = np.where(sent.clicked & buys, np.minimum(clicked, at[places] + units.DAY), when)
        year.buy(chosen[buys], when[buys], brought=luck[buys] >= planted.BOUGHT)
        bought, bought_at = np.zeros(len(who), dtype=bool), at + units.DAY
        bought[places], bought_at[places] = buys, when
        again = at[places] + 20 * units.HOUR
        rest = accepted & ~(buys & (when < again)) & (again < year.end)
        rest &= year.state[chosen] == 0
        self._send("basket", 2, chosen[rest], again[rest], rows[places[rest]], 0.12,
                   kept=_BASKET_KEPT)  # fmt: skip
        return bought, bought_at

    def _draw_rest(self, count: int) -> Ints:
        """Return how long after half an hour a basket is bought, within the goal's day."""
        hours = self._year.chance.exponential(4 * units.HOUR, count)
        found: Ints = np.minimum(hours, 22 * units.HOUR).astype(np.int64)
        return found

    def _send(self, name: str, step: int, who: Ints, at: Ints, rows: Ints, rate: float, *,
              kept: float, more: "Floats | None" = None) -> Sent:  # fmt: skip
        held = self._year.people.held[who]
        return self._year.send(
            Mailing(
                campaign=self._campaigns[name, step],
                rate=rate,
                who=who,
                at=at,
                enrolment=rows,
                kept=kept,
                held=held,
                converts=0.0 if name == "basket" else planted.CONVERTS,
                more=more,
            )
        )

    def _enrol(self, name: str, who: Ints, causes: Objects, at: Ints) -> Ints:
        """Write enrolments whose one step goes out at once; return their rows."""
        rows = self._rows.number("enrolments", len(who))
        self._write(Enrolled(name, rows, who, causes, at, np.ones_like(who), at))
        return rows

    def _write(self, made: "Enrolled") -> None:
        kept = ~self._year.people.erased[made.who]
        held, reached = made.held, made.reached
        none = np.zeros(len(kept), dtype=bool)
        held, reached = (none if one is None else one for one in (held, reached))
        done = either(reached, "goal reached: purchase", _DONE)
        columns = {
            "id": made.rows,
            "subscription_id": made.who + 1,
            "occurrence": made.causes,
            "state": either(held, "holdout", "finished"),
            "step": made.sent + 1,
            "sent": made.sent,
            "entered_at": made.at,
            "changed_at": np.where(held, made.at, made.ended),
            "reason": either(held, "in the control group: no messages", done),
            "reached": either(reached & ~held, "purchase", None),
        }
        chosen = {name: column[kept] for name, column in columns.items()}
        self._rows.add("enrolments", {"trigger": made.trigger, **chosen})


class Enrolled(NamedTuple):
    """Enrolments in a trigger, and what became of them."""

    trigger: str
    rows: Ints
    who: Ints
    causes: Objects
    at: Ints
    sent: Ints  # how many steps
    ended: Ints
    held: Mask | None = None  # who is in the trigger's control group
    reached: Mask | None = None  # the goal


def _name_events(events: Ints) -> Objects:
    return np.array([f"event:{one}" for one in events.tolist()], dtype=object)
