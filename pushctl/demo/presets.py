"""
Scenarios for every trigger of pushctl.toml.example: what visitors do to enter it, and
when its messages are due.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from itertools import cycle
from zoneinfo import ZoneInfo

from pushctl import shipped
from pushctl.demo import processes
from pushctl.demo.crowd import Crowd, Request
from pushctl.demo.people import GOODS, Goods, Person
from pushctl.demo.setup import Setup
from pushctl.errors import PushctlError

# Each step's messages, and when they come: the demo's table.
STEPS: Mapping[str, str] = {
    "welcome/1": "1 min after subscribing",
    "abandoned_basket_1/1": "3 min after leaving",
    "abandoned_basket_1/2": "90 min after it is seen",
    "abandoned_basket_2/1": "3 min after no payment",
    "abandoned_basket_2/2": "90 min after it is seen",
    "basket_by_price/1": "10 min-1 day, by price",
    "trial/1": "2 h after a look at it",
    "birthday/1": "10:00 on the birthday",
    "review_thanks/1": "10 min after the review",
    "bonus/1": "5 min after the bonus",
    "price_drop/1": "once it costs less",
    "back_in_stock/1": "once it is in stock",
    "new_article/1": "18:00 after publishing",
    "win_back/1": "18:00 after 30 days away",
}
EVERYBODY = ("new_article", "win_back")
BASKETS = ("abandoned_basket_1", "abandoned_basket_2", "basket_by_price")

# What would make the demo depend on the hour, on chance, or on the day before.
_LEFT_OUT = re.compile(r"^(quiet|holdout|reentry) .*\n", re.MULTILINE)
# Two triggers begin with a basket: some baskets are one's, the rest the other's.
_BY_PRICE = "Baskets by price"
_AUDIENCES = {
    "abandoned_basket_1": f"not tag('{_BY_PRICE}')",
    "basket_by_price": f"tag('{_BY_PRICE}')",
}
# What needs a shop's form and program, or a package and the right day of the year.
NOT_PLAYED = frozenset({"form_invitation", "second_channel", "public_holiday", "weekly_digest"})
_FEED = "https://shop.example/feed.xml"
_ARTICLES = ("How a rug is woven", "Five lamps for long evenings")
_PRICES = "id,name,price,available\nkettle,Copper kettle,{},true\nblanket,Wool blanket,79,{}\n"


@dataclass(frozen=True, slots=True)
class Scenario:
    """What some visitors do, and the trigger that it enters."""

    trigger: str
    act: Callable[[Setup, Person], Sequence[Request]]


def switch_on(setup: Setup) -> Sequence[str]:
    """Uncomment every trigger, as a marketer does; return their names."""
    example = shipped.find("pushctl.toml.example").read_text("utf-8")
    every = re.findall(r"^# \[triggers\.(\w+)\]\n((?:# .*\n)+)", example, re.MULTILINE)
    found = [one for one in every if one[0] not in NOT_PLAYED]
    text = ""
    for name, body in found:
        lines = _LEFT_OUT.sub("", re.sub(r"^# ", "", body, flags=re.MULTILINE))
        meant = f'audience = "{_AUDIENCES[name]}"\n' if name in _AUDIENCES else ""
        text += f"\n[triggers.{name}]\n{meant}{lines}"
    names = [name for name, _ in found]
    if {step.partition("/")[0] for step in STEPS} != set(names):
        raise PushctlError("pushctl.toml.example and the demo know other triggers: a bug.")
    with (setup.folder / "pushctl.toml").open("a") as config:
        config.write(text.replace(_FEED, f"{setup.shop}/feed.xml"))
    return names


def assign_scenarios(members: Sequence[Person]) -> Mapping[str, Sequence[Person]]:
    """Assign a scenario to each visitor; return the visitors of each of SCENARIOS."""
    players: dict[str, list[Person]] = {name: [] for name in SCENARIOS}
    for person, scenario in zip(members, cycle(_ROUND), strict=False):
        person.basket, person.bought = None, False
        if scenario:
            players[scenario].append(person)
    return players


def play(setup: Setup, crowd: Crowd, players: Mapping[str, Sequence[Person]]) -> None:
    """Send the requests of every visitor's scenario."""
    crowd.send_requests(
        [
            (person, SCENARIOS[scenario].act(setup, person))
            for scenario, people in players.items()
            for person in people
        ]
    )


def list_expected(
    crowd: Crowd, players: Mapping[str, Sequence[Person]], newcomers: Sequence[Person]
) -> Mapping[str, set[int]]:
    """Return the numbers of the people that each trigger must reach."""
    found: dict[str, set[int]] = {"welcome": {person.number for person in newcomers}}
    for scenario, people in players.items():
        numbers = {person.number for person in people}
        found.setdefault(SCENARIOS[scenario].trigger, set()).update(numbers)
    for trigger in EVERYBODY:
        found[trigger] = {person.number for person in crowd.members}
    return found


def write_feed(setup: Setup, count: int) -> None:
    """Write the feed of the shop's blog with its first *count* articles."""
    entries = "".join(
        f"<entry><id>{number}</id><title>{escape(title)}</title>"
        f"<updated>{datetime.now(UTC).date() + timedelta(days=number - 2)}T08:00:00Z</updated>"
        f'<link href="{setup.shop}/?article={number}"/></entry>'
        for number, title in enumerate(_ARTICLES[:count], 1)
    )
    text = f'<feed xmlns="http://www.w3.org/2005/Atom">{entries}</feed>'
    setup.feed.write_text(text, "utf-8")


def import_prices(setup: Setup, *, old: bool) -> None:
    """Import the catalogue with the *old* or the new prices and stock."""
    words = _PRICES.format(*((49, "false") if old else (39, "true")))
    (setup.folder / "products.csv").write_text(words)
    run = processes.read_output if old else processes.run
    run(setup.folder, "catalogue", "import", "products.csv")


# --- scenarios ---------------------------------------------------------------------------


def _fill(person: Person, goods: Goods) -> Sequence[Request]:
    person.basket = goods
    return person.fill()


def _pay(setup: Setup, person: Person) -> Sequence[Request]:
    requests = _fill(person, GOODS[person.number % len(GOODS)])
    return [*requests, person.track("checkout_started", {"stage": "payment"})]


def _fill_by_price(goods: Goods) -> Callable[[Setup, Person], Sequence[Request]]:
    def act(setup: Setup, person: Person) -> Sequence[Request]:
        return [person.tag(_BY_PRICE), *_fill(person, goods)]

    return act


def _send_event(name: str, **about: str | int) -> Callable[[Setup, Person], Sequence[Request]]:
    def act(setup: Setup, person: Person) -> Sequence[Request]:
        return [person.track(name, about)]

    return act


def _set_birthday(setup: Setup, person: Person) -> Sequence[Request]:
    tomorrow = datetime.now(ZoneInfo(person.timezone)).date() + timedelta(days=1)
    # 1992 has a 29 February.
    return [person.subscribe(setup.key, birthday=f"1992-{tomorrow:%m-%d}")]


SCENARIOS: Mapping[str, Scenario] = {
    "basket": Scenario(
        "abandoned_basket_1",
        lambda setup, person: _fill(person, GOODS[person.number % len(GOODS)]),
    ),
    "payment": Scenario("abandoned_basket_2", _pay),
    "cheap": Scenario("basket_by_price", _fill_by_price(("cup", "Coffee cup", 12.5))),
    "middling": Scenario("basket_by_price", _fill_by_price(("rug", "Hand-woven rug", 189.0))),
    "dear": Scenario("basket_by_price", _fill_by_price(("chair", "Reading chair", 240.0))),
    "trial": Scenario("trial", _send_event("trial_viewed", product="Room planner")),
    "birthday": Scenario("birthday", _set_birthday),
    "review": Scenario("review_thanks", _send_event("review_posted", product="Brass lamp")),
    "bonus": Scenario("bonus", _send_event("bonus_credited", points=120, balance=300)),
    "looks": Scenario("price_drop", _send_event("product_viewed", id="kettle")),
    "waits": Scenario("back_in_stock", _send_event("stock_awaited", id="blanket")),
}
# The order of assignment: a dozen visitors play every scenario.
_ROUND = (
    *SCENARIOS, "basket", "basket", "payment", "trial", "bonus", "looks", "basket",
    "", "", "", "", "", "",
)  # fmt: skip
