"""What the parts of a sweep share."""

from collections import Counter
from dataclasses import dataclass, field

from pushctl.model import Millis
from pushctl.rules.triggers.facts import Settings
from pushctl.store import Store


@dataclass(frozen=True, slots=True)
class Run:
    store: Store
    settings: Settings
    now: Millis
    tally: Counter[str] = field(default_factory=Counter)  # what was decided, by kind
    notes: list[str] = field(default_factory=list)  # what went wrong for one trigger alone
