"""
Every trigger of pushctl.toml.example in the demo: who does what to begin it, and when
its messages are to come.
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
from pushctl.demo.world import World
from pushctl.errors import PushctlError

# Each step's messages, and when they come: the demo's table.
STEPS: Mapping[str, str] = {
    "welcome/1": "1 min after subscribing",
    "abandoned_basket_1/1": "3 min after leaving a basket",
    "abandoned_basket_1/2": "90 min after that was seen",
    "abandoned_basket_2/1": "3 min after payment was left",
    "abandoned_basket_2/2": "90 min after that was seen",
    "basket_by_price/1": "10 min to 1 day, by the price",
    "trial/1": "2 h after the trial was seen",
    "birthday/1": "10:00 on the birthday",
    "review_thanks/1": "10 min after the review",
    "bonus/1": "5 min after the bonus came in",
    "price_drop/1": "once it costs less",
    "back_in_stock/1": "once it can be had again",
    "new_article/1": "18:00 after it was published",
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
_FEED = "https://shop.example/feed.xml"
_ARTICLES = ("How a rug is woven", "Five lamps for long evenings")
_PRICES = "id,name,price,available\nkettle,Copper kettle,{},true\nblanket,Wool blanket,79,{}\n"


@dataclass(frozen=True, slots=True)
class Part:
    """What some visitors do, and the trigger that it begins."""

    trigger: str
    act: Callable[[World, Person], Sequence[Request]]


def switch_on(world: World) -> Sequence[str]:
    """Take away the "# " in front of every trigger, as a marketer does; return their names."""
    example = shipped.path("pushctl.toml.example").read_text("utf-8")
    found = re.findall(r"^# \[triggers\.(\w+)\]\n((?:# .*\n)+)", example, re.MULTILINE)
    text = ""
    for name, body in found:
        lines = _LEFT_OUT.sub("", re.sub(r"^# ", "", body, flags=re.MULTILINE))
        meant = f'audience = "{_AUDIENCES[name]}"\n' if name in _AUDIENCES else ""
        text += f"\n[triggers.{name}]\n{meant}{lines}"
    names = [name for name, _ in found]
    if {step.partition("/")[0] for step in STEPS} != set(names):
        raise PushctlError("pushctl.toml.example and the demo know other triggers: a bug.")
    with (world.folder / "pushctl.toml").open("a") as config:
        config.write(text.replace(_FEED, f"{world.shop}/feed.xml"))
    return names


def cast(members: Sequence[Person]) -> Mapping[str, Sequence[Person]]:
    """Give the visitors their parts; return who plays each of PARTS."""
    played: dict[str, list[Person]] = {name: [] for name in PARTS}
    for person, part in zip(members, cycle(_ROUND), strict=False):
        person.basket, person.bought = None, False
        if part:
            played[part].append(person)
    return played


def begin(world: World, crowd: Crowd, played: Mapping[str, Sequence[Person]]) -> None:
    """Let everybody do what their part says."""
    crowd.act(
        [
            (person, PARTS[part].act(world, person))
            for part, people in played.items()
            for person in people
        ]
    )


def meant(
    crowd: Crowd, played: Mapping[str, Sequence[Person]], newcomers: Sequence[Person]
) -> Mapping[str, set[int]]:
    """Return whom each trigger is to reach, by their numbers."""
    found: dict[str, set[int]] = {"welcome": {person.number for person in newcomers}}
    for part, people in played.items():
        numbers = {person.number for person in people}
        found.setdefault(PARTS[part].trigger, set()).update(numbers)
    for trigger in EVERYBODY:
        found[trigger] = {person.number for person in crowd.members}
    return found


def publish(world: World, count: int) -> None:
    """Write the shop's blog with its first *count* articles."""
    entries = "".join(
        f"<entry><id>{number}</id><title>{escape(title)}</title>"
        f"<updated>{datetime.now(UTC).date() + timedelta(days=number - 2)}T08:00:00Z</updated>"
        f'<link href="{world.shop}/?article={number}"/></entry>'
        for number, title in enumerate(_ARTICLES[:count], 1)
    )
    text = f'<feed xmlns="http://www.w3.org/2005/Atom">{entries}</feed>'
    world.feed.write_text(text, "utf-8")


def price(world: World, *, old: bool) -> None:
    """Tell pushctl what things cost, and whether they can be had."""
    words = _PRICES.format(*((49, "false") if old else (39, "true")))
    (world.folder / "products.csv").write_text(words)
    run = processes.output_of if old else processes.run
    run(world.folder, "catalogue", "import", "products.csv")


# --- the parts ---------------------------------------------------------------------------


def _fill(person: Person, goods: Goods) -> Sequence[Request]:
    person.basket = goods
    return person.fill()


def _pay(world: World, person: Person) -> Sequence[Request]:
    requests = _fill(person, GOODS[person.number % len(GOODS)])
    return [*requests, person.does("checkout_started", {"stage": "payment"})]


def _by_price(goods: Goods) -> Callable[[World, Person], Sequence[Request]]:
    def act(world: World, person: Person) -> Sequence[Request]:
        return [person.tag(_BY_PRICE), *_fill(person, goods)]

    return act


def _event(name: str, **about: str | int) -> Callable[[World, Person], Sequence[Request]]:
    def act(world: World, person: Person) -> Sequence[Request]:
        return [person.does(name, about)]

    return act


def _grow_older(world: World, person: Person) -> Sequence[Request]:
    tomorrow = datetime.now(ZoneInfo(person.timezone)).date() + timedelta(days=1)
    # 1992 has a 29 February.
    return [person.subscribe(world.key, birthday=f"1992-{tomorrow:%m-%d}")]


PARTS: Mapping[str, Part] = {
    "basket": Part(
        "abandoned_basket_1",
        lambda world, person: _fill(person, GOODS[person.number % len(GOODS)]),
    ),
    "payment": Part("abandoned_basket_2", _pay),
    "cheap": Part("basket_by_price", _by_price(("cup", "Coffee cup", 12.5))),
    "middling": Part("basket_by_price", _by_price(("rug", "Hand-woven rug", 189.0))),
    "dear": Part("basket_by_price", _by_price(("chair", "Reading chair", 240.0))),
    "trial": Part("trial", _event("trial_viewed", product="Room planner")),
    "birthday": Part("birthday", _grow_older),
    "review": Part("review_thanks", _event("review_posted", product="Brass lamp")),
    "bonus": Part("bonus", _event("bonus_credited", points=120, balance=300)),
    "looks": Part("price_drop", _event("product_viewed", id="kettle")),
    "waits": Part("back_in_stock", _event("stock_awaited", id="blanket")),
}
# Who comes after whom: a dozen visitors play every part.
_ROUND = (
    *PARTS, "basket", "basket", "payment", "trial", "bonus", "looks", "basket",
    "", "", "", "", "", "",
)  # fmt: skip
