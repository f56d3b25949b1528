"""
The words of the delivery engine, how a run is to behave, and how it ended.

| word | meaning |
|---|---|
| row | one message for one receiver, as the ledger has it: claimed (``ClaimedRow``), then with its letter (``RenderedRow``) or without one (``UnrenderedRow``), at last given back (``ReleasedRow``) or written with what became of it (``FinishedRow``) |
| letter | what a pool is given of a row, and what is on the wire |
| outcome | what a pool returns for a letter |
| chunk | the letters of one ``Pool.submit`` |
| lane | a push service and a VAPID key: what a push service knows us by |
"""  # noqa: E501

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from pushctl.model import Campaign, Cause, Letter, Millis
from pushctl.rules.units import SECOND

# What a rate limit lets out within this time stays here; the rest comes back later.
PACED: Millis = 2 * SECOND

LaneKey = tuple[str, str]  # origin, key id


class RenderedRow(NamedTuple):
    """A claimed row with its letter, and what deciding on its outcome takes."""

    letter: Letter
    lane: LaneKey
    tries: int
    expires_at: Millis | None
    subscription: int
    language: str | None
    failures: int


class UnrenderedRow(NamedTuple):
    """A claimed row for which there is no message."""

    id: int
    status: str  # rejected or skipped
    reason: str
    cause: Cause


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
