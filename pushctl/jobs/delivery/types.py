"""
The words of the delivery engine, the options of a run and its report.

| word | meaning |
|---|---|
| row | one message for one subscription in the ledger: claimed (``ClaimedRow``), then with its letter (``RenderedRow``) or without one (``UnrenderedRow``), at last released (``ReleasedRow``) or written with its outcome (``FinishedRow``) |
| letter | the part of a row that goes to a pool, and out to the push service; in place of one a pool of this machine takes the claimed row itself, and its worker writes the letter |
| outcome | the result that a pool returns for a letter |
| chunk | the letters of one ``Pool.submit`` |
| lane | a push service and a VAPID key, which answer alike |
"""  # noqa: E501

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from pushctl.model import Campaign, Cause, Letter, Millis
from pushctl.rules.units import SECOND
from pushctl.store.ledger_rows import ClaimedRow

# Rows that a rate limit permits within this time wait here; the others in the ledger.
PACED: Millis = 2 * SECOND

CLAIM = 2_000  # rows in one transaction

LaneKey = tuple[str, str]  # origin, key id

# What goes to a pool: a letter, or a row whose letter its worker writes. Both have
# ``delivery``, ``endpoint`` and ``key_id``.
Sendable = Letter | ClaimedRow


class RenderedRow(NamedTuple):
    """A claimed row with its letter, and the fields that retry.decide needs."""

    letter: Sendable
    lane: LaneKey
    tries: int
    expires_at: Millis | None
    subscription: int
    language: str | None
    failures: int
    foreign: bool = False  # in the form of another service's worker, which reports nothing


class UnrenderedRow(NamedTuple):
    """A claimed row for which there is no message."""

    id: int
    status: str  # rejected or skipped
    reason: str
    cause: Cause


@dataclass(frozen=True)
class Options:
    """The options of one run; none of them changes what was frozen."""

    patience: float = 60.0  # seconds to wait for the next row that becomes due
    seconds: float | None = None  # after which the rest is left to the next run
    accept_mass_gone: bool = False
    # No person can run `campaigns resume`: a signal leaves the rest to the next run.
    unattended: bool = False
    progress: Callable[[int], None] = lambda ended: None
    tell: Callable[[str], None] = lambda text: None


@dataclass
class Report:
    """How a run ended; the ledger holds the rest."""

    campaign: Campaign
    sent: Counter[str] = field(default_factory=Counter)  # this run's outcomes by status
    notes: list[str] = field(default_factory=list)  # for people
    refused: str | None = None  # why a push service refuses us, or we stopped
    unreached: str | None = None  # why messages wait: no connection comes about
    interrupted: bool = False
    waiting: int = 0
    next_due: Millis | None = None
    settled: int = 0  # rows that an earlier crash left in doubt
