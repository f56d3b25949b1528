"""
A shop whose triggers are swept: people, events, and a postman who takes every message.

Decisions are made by the real code on a real database; only the push service is left
out, the ledger is written as jobs/delivery/deliver writes it.
"""

from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from pushctl import config as configs
from pushctl.config import Config
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.jobs.sweep import sweep
from pushctl.model import InteractionKind, Millis
from pushctl.store import Store
from pushctl.store.events import Event
from pushctl.store.interactions import Interaction
from pushctl.store.ledger_rows import ClaimedRow, FinishedRow
from pushctl.store.subscriptions import Registration
from tests import support
from tests.support import NOON

HEAD = """
contact = "mailto:push@shop.example"
[sites.shop]
origin = "https://shop.example"
timezone = "Europe/Berlin"
"""

BASKET = """
[triggers.basket]
on        = "cart_updated"
cancel_on = ["cart_emptied"]
tag       = "Abandoned basket 1"
goal      = { event = "purchase", within = "24h" }
steps = [
  { after = "3m",  template = "one", ttl = "30m", max_late = "15m" },
  { after = "90m", template = "two", from = "shown" },
]
"""


def decide_all(config: Config, store: Store, now: Millis) -> sweep.Summary:
    """Decide everything that is due at *now* and plan its messages; send nothing."""
    one = sweep._Sweep(config, store, now, sweep.Options())
    one._decide()
    return one._sum_up()


@dataclass(frozen=True)
class Sent:
    """One message as the postman took it."""

    person: int
    campaign: str
    at: Millis
    delivery: int
    enrolment: int


@dataclass
class Shop:
    """A project folder; *sent* holds every message that ever went out."""

    folder: Path
    store: Store
    triggers: str = BASKET
    sent: list[Sent] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        for name in ("one", "two", "three"):
            template = self.folder / "templates" / name
            template.mkdir(parents=True, exist_ok=True)
            (template / "en.toml").write_text(f'title = "{name}"\nbody = "Hello"\n')
            (template / "message.toml").write_text('url = "/"\n')
        (self.folder / "inbox").mkdir(exist_ok=True)
        self.declare(self.triggers)

    def declare(self, triggers: str) -> None:
        """Write pushctl.toml with these triggers."""
        self.triggers = triggers
        (self.folder / "pushctl.toml").write_text(HEAD + triggers)
        self.config: Config = configs.load(self.folder / "pushctl.toml", {})

    def person(self, timezone: str = "Europe/Berlin", at: Millis = NOON) -> int:
        """Let somebody subscribe; return the subscription's row."""
        number = next(self._numbers)
        endpoint = support.endpoint(number)
        made = Registration(
            1, endpoint, number.to_bytes(16, "big"), support.p256dh(), support.auth(), "k"
        )
        return self.store.subscriptions.add(made, {"timezone": timezone}, at)

    def event(
        self,
        person: int,
        name: str,
        at: Millis,
        received_at: Millis | None = None,
        **properties: Any,
    ) -> None:
        key = f"e{next(self._numbers)}"
        self.store.events.add([Event(person, name, at, received_at or at, properties, key)])

    def fill(self, person: int, at: Millis, *, price: float = 20, quantity: int = 1) -> None:
        item = {"id": "lamp", "name": "Lamp", "price": price, "quantity": quantity}
        self.event(person, "cart_updated", at, items=[item], currency="EUR", url="/cart")

    def sweep(self, at: Millis, *, show: bool = True) -> sweep.Summary:
        """Decide what is due at *at* and let the postman take it; *show*: browsers show it."""
        summary = decide_all(self.config, self.store, at)
        self.post(at, show=show)
        return summary

    def post(self, at: Millis, *, show: bool = True) -> None:
        for campaign in self.store.deliveries.list_due_campaigns(at):
            name = self.store.campaigns.get_by_id(campaign).name
            rows = self.claim(campaign, at)
            self.store.deliveries.finish(
                (
                    FinishedRow(row.id, "accepted", http_status=201, language="en")
                    for row in rows
                ),
                at,
            )
            for row in rows:
                self.sent.append(Sent(row.subscription, name, at, row.id, row.enrolment))
                if show:
                    self.report(row.id, at)

    def claim(self, campaign: int, at: Millis) -> list[ClaimedRow]:
        """Claim what is due, as jobs/delivery/run does: the generation counts up with it."""
        with self.store.write():
            rows, _ = self.store.deliveries.claim_fresh(campaign, 0, 10_000, at)
            batch = restore_guard.count_up(self.store, self.config)
        restore_guard.write_generation(self.config, batch)
        return rows

    def endpoint(self) -> str:
        """Return an endpoint that nobody has."""
        return support.endpoint(next(self._numbers))

    def report(self, delivery: int, at: Millis) -> None:
        shown = Interaction(delivery, InteractionKind.SHOWN, None, at, f"{delivery}:shown")
        self.store.interactions.add(shown)

    def got(self, person: int) -> list[tuple[str, Millis]]:
        """Return which campaigns' messages a person got, and when."""
        return [(one.campaign, one.at) for one in self.sent if one.person == person]

    def tags(self, person: int, now: Millis) -> tuple[str, ...]:
        return self.store.subscriptions.get(str(person), now).tags

    def why(self, person: int) -> list[tuple[str, str]]:
        """Return what was decided about a person: (kind, reason)."""
        return [(one.kind, one.reason) for one in self.store.histories.list_decisions(person)]
