"""
How long each kind of row is kept: [retention] of pushctl.toml.

Orders are not here: they are kept. So are subscriptions, campaigns and their messages, of
which figures are made, until a person is erased.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pushctl.model import Millis
from pushctl.rules.units import DAY


@dataclass(frozen=True)
class Kind:
    name: str  # in [retention]
    what: str  # for people
    least: Millis
    usual: Millis | None = None  # None: [sweep] keep_days


KINDS = (
    # Windows of goals are up to 90 days long.
    Kind("events", "what people did", 100 * DAY),
    Kind("decisions", "why triggers sent or did not", 30 * DAY),
    Kind("enrolments", "ended enrolments of triggers", 100 * DAY),
    Kind("carts", "keys of baskets, looks at products", 30 * DAY),
    # An article without a date that is forgotten is new once more.
    Kind("feeds", "known articles of feeds", 100 * DAY),
    Kind("experiments", "earlier shares of tests without end", 100 * DAY),
    Kind("invitations", "counts of invitations", 30 * DAY),
    Kind("runs", "runs of sweeps, sends and imports", 7 * DAY),
    # Their results are published for 30 days.
    Kind("api", "requests and messages of servers", 30 * DAY, 90 * DAY),
    Kind("webhooks", "calls that were given up", 7 * DAY, 30 * DAY),
)


def find_length(kind: Kind, given: Mapping[str, str | None], keep_days: int) -> Millis:
    """Return how long rows of a kind are kept; *given* are the settings of [retention]."""
    if (text := given.get(kind.name)) is not None:
        from pushctl.rules import timing  # time zones: not at every start

        return timing.duration(text)
    return keep_days * DAY if kind.usual is None else kind.usual
