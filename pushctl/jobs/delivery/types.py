"""How a run of a campaign is to behave, what comes back to it, and how it ended."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from pushctl.jobs.delivery.render import Item
from pushctl.model import Campaign, Millis, Outcome
from pushctl.push import journal
from pushctl.rules.units import SECOND

# What a rate limit lets out within this time stays here; the rest comes back later.
PACED: Millis = 2 * SECOND


@dataclass(frozen=True)
class Options:
    """How one run is to behave; none of it changes what was frozen."""

    patience: float = 60.0  # seconds to wait for the next row that becomes due
    seconds: float | None = None  # leave the rest to the next run after this
    accept_mass_gone: bool = False
    # Nobody is there to say `campaigns resume`: a signal leaves the rest to the next run.
    unattended: bool = False
    progress: Callable[[int], None] = lambda ended: None
    tell: Callable[[str], None] = lambda text: None


@dataclass
class Landed:
    """What came back: answers, the chunks they belong to, and what was never begun."""

    outcomes: list[Outcome] = field(default_factory=list)
    chunks: list[list[Item]] = field(default_factory=list)
    again: list[Item] = field(default_factory=list)
    left: list[journal.Recovered] = field(default_factory=list)


@dataclass
class Report:
    """How a run ended; the ledger holds the rest."""

    campaign: Campaign
    sent: Counter[str] = field(default_factory=Counter)  # this run's outcomes by status
    notes: list[str] = field(default_factory=list)  # what a person should know
    refused: str | None = None  # why a push service refuses us, or we stopped
    interrupted: bool = False
    waiting: int = 0
    next_due: Millis | None = None
    settled: int = 0  # rows that an earlier crash left in doubt
