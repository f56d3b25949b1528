"""[[webhooks]] of pushctl.toml: addresses that are told of events, or serve triggers."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from urllib.parse import urlsplit

from pushctl.rules.config import checks
from pushctl.rules.config.checks import Verdict

SUBSCRIBED, SHOWN, CLICKED, CONVERTED = "subscribed", "shown", "clicked", "converted"
TRIGGER_FINISHED, CAMPAIGN_FINISHED = "trigger_finished", "campaign_finished"
EVENTS = (SUBSCRIBED, SHOWN, CLICKED, CONVERTED, TRIGGER_FINISHED, CAMPAIGN_FINISHED)


def is_address(value: str) -> Verdict:
    """Check an address that gets what people did: encrypted, without a password in it."""
    with suppress(ValueError):  # of a port that is none
        parts = None if checks.url(value) else urlsplit(value)
        named = parts and parts.hostname and "@" not in parts.netloc and parts.port != 0
        if parts and named and parts.scheme == "https":
            return None
    # Not repeated here: it may hold a token.
    return "is no https URL without a password", "Write it like 'https://crm.example/pushctl'."


def is_event(value: str) -> Verdict:
    if value in EVENTS:
        return None
    near = get_close_matches(value, EVENTS, n=1)
    known = f"Known events: {', '.join(EVENTS)}."
    return f"has {value!r}", f"Did you mean {near[0]}?" if near else known


@dataclass(frozen=True)
class Webhook:
    """One address; the secret that its calls are signed with goes by its name."""

    name: str = field(metadata={"check": checks.name, "remedy": 'Write name = "crm".'})
    url: str = field(
        metadata={"check": is_address, "remedy": 'Write url = "https://crm.example/pushctl".'}
    )
    # what it is told of; none: it serves steps of triggers alone
    events: tuple[str, ...] = field(default=(), metadata={"each": is_event})
    # only of this site; none: of all
    site: str | None = None
    # Jinja; none: the event as JSON
    body: str | None = None
    # with the alias that the shop signed
    people: bool = False


def are_different(value: Collection[Webhook]) -> Verdict:
    """Check that each has a name of its own."""
    names = [each.name for each in value]
    twice = [each for each in names if names.count(each) > 1]
    if not twice:
        return None
    return f"has {twice[0]!r} twice", "Give each a name of its own: its secret goes by it."
