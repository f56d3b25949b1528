"""
Who reached a step, for shops with few customers: a list to write to by hand.

Furniture to order, wholesale, a training course that needs twelve: each one counts.
"""

from dataclasses import dataclass

from pushctl.config import Config
from pushctl.errors import InputError
from pushctl.jobs.triggers import describe
from pushctl.model import Millis
from pushctl.rules.conditions import as_number
from pushctl.rules.triggers.enrolment import State
from pushctl.store import Store

# The note stands with the person's attributes, under a name of our own.
NOTE = "pushctl:note"


@dataclass(frozen=True, slots=True)
class Lead:
    subscriber: str
    alias: str | None
    state: str
    step: int  # messages that went out
    value: float | None
    since: Millis
    age: Millis
    about: str
    note: str | None


@dataclass(frozen=True, slots=True)
class Quorum:
    have: int
    need: int

    def __str__(self) -> str:
        if self.have >= self.need:
            return f"{self.have} of {self.need}: complete"
        return f"{self.have} of {self.need}: {self.need - self.have} more"


def listed(
    config: Config,
    store: Store,
    name: str,
    now: Millis,
    *,
    step: int = 0,
    since: Millis | None = None,
    state: str | None = None,
) -> list[Lead]:
    """
    Return everyone who is or was enrolled in trigger *name*, the newest first.

    *step*: only who got that many messages; *state*: only active, finished, ...
    """
    describe.check_name(config, store, name)
    if state is not None and state not in set(State):
        raise InputError(f"--state {state!r} is none of {', '.join(State)}.")
    begin = 0 if since is None else now - since
    return [
        Lead(
            row["public_id"],
            row["alias"],
            row["state"],
            row["sent"],
            _plain(as_number(row["context"].get("value"))),
            row["entered_at"],
            now - row["entered_at"],
            _about(row["context"]),
            row["note"],
        )
        for row in store.histories.list_entered(name, begin, f'$."{NOTE}"')
        if row["sent"] >= step and state in (None, row["state"])
    ]


def _plain(value: float | None) -> float | None:
    # 80 rather than 80.0 in a list.
    return int(value) if value is not None and value.is_integer() else value


def note(store: Store, who: int, text: str) -> None:
    """Write a note about somebody; an empty one takes it away."""
    store.subscriptions.set_attributes(who, {NOTE: text or None})


def quorum(leads: list[Lead], need: int) -> Quorum:
    """Return how many different people there are of those that it takes."""
    people = {lead.alias or lead.subscriber for lead in leads}
    return Quorum(len(people), need)


def _about(context: dict[str, object]) -> str:
    cart = context.get("cart")
    if isinstance(cart, dict) and cart.get("names"):
        return ", ".join(str(name) for name in cart["names"][:3])
    event = context.get("event")
    if isinstance(event, dict):
        found = event.get("name") or event.get("product") or event.get("title")
        return str(found) if found else ""
    return ""
