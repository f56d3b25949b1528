"""[[alerts]] of pushctl.toml: what the sweep watches, and whom it tells."""

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum

from pushctl.rules.config import checks
from pushctl.rules.config.checks import Verdict
from pushctl.rules.limits import MAX_ALERT_RULES


class Kind(StrEnum):
    CHURN = "churn"  # more people unsubscribe than usual
    CTR = "ctr"  # a campaign is clicked less than others about its topic
    NO_PURCHASE = "no_purchase"  # nobody buys, at hours at which people do
    QUEUE = "queue"  # messages wait


def is_kind(value: str) -> Verdict:
    if value in list(Kind):
        return None
    return f"is {value!r}", f"Write one of: {', '.join(Kind)}."


def is_stretch(value: str) -> Verdict:
    """Check a time over which an alert looks: a quarter of an hour to a week."""
    fault = checks.duration(value)
    if fault is not None:
        return fault
    from pushctl.rules import timing
    from pushctl.rules.units import DAY, MINUTE

    if 15 * MINUTE <= timing.duration(value) <= 7 * DAY:
        return None
    return f"is {value!r}", "Write a time from 15m to 7d."


@dataclass(frozen=True)
class Alert:
    """One rule, and exactly one way to tell somebody."""

    name: str = field(metadata={"check": checks.name, "remedy": 'Write name = "churn".'})
    kind: str = field(metadata={"check": is_kind, "remedy": 'Write kind = "churn".'})
    # the time that is looked at; default: 24h, of no_purchase 6h, of queue 30m
    within: str | None = field(default=None, metadata={"check": is_stretch})
    # so many times as often as usual (churn, 2), or less than this part of it (ctr, 0.5)
    factor: float | None = field(default=None, metadata={"check": checks.between(0.05, 100)})
    # more messages than these wait (queue)
    above: int = field(default=1000, metadata={"check": checks.between(0, 1_000_000_000)})
    # only of this site; none: of all
    site: str | None = None
    # a program and its arguments
    exec: tuple[str, ...] = ()
    # the name of one of [[webhooks]]
    webhook: str | None = None
    # an address to call: with /fail when it begins, as it is when it ends
    ping: str | None = field(default=None, metadata={"check": checks.url})

    @property
    def stretch(self) -> str:
        return self.within or {Kind.NO_PURCHASE: "6h", Kind.QUEUE: "30m"}.get(
            Kind(self.kind), "24h"
        )

    @property
    def way(self) -> str:
        """How it tells, for people: no address, which may be secret."""
        if self.exec:
            return f"exec {self.exec[0]}"
        return f"webhook {self.webhook}" if self.webhook else "ping"


def are_sensible(value: Collection[Alert]) -> Verdict:
    """Check that each has a name of its own and one way to tell."""
    if len(value) > MAX_ALERT_RULES:
        return f"are {len(value)}", f"Write at most {MAX_ALERT_RULES}."
    names = [each.name for each in value]
    twice = [each for each in names if names.count(each) > 1]
    if twice:
        return f"has {twice[0]!r} twice", "Give each a name of its own."
    for each in value:
        if sum(map(bool, (each.exec, each.webhook, each.ping))) != 1:
            way = 'exec = ["./tell.sh"], webhook = "crm" or ping = "https://..."'
            return f"{each.name!r} needs one way to tell", f"Write one of: {way}."
    return None
