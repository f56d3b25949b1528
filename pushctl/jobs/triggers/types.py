"""The state that the parts of a sweep share."""

import logging
from collections import Counter
from dataclasses import dataclass, field

from pushctl import log
from pushctl.model import Millis
from pushctl.rules.triggers.facts import Settings
from pushctl.store import Store

# Of what is left out: a fault of ours may concern everybody.
MOST_NAMED = 20


def describe_error(error: Exception) -> str:
    """Return the kind of an error and its text, for people: "KeyError: 'where'"."""
    return f"{type(error).__name__}: {error}"[:200]


@dataclass(frozen=True, slots=True)
class Run:
    store: Store
    settings: Settings
    now: Millis
    tally: Counter[str] = field(default_factory=Counter)  # what was decided, by kind
    notes: list[str] = field(default_factory=list)  # what the shop's owner has to put right

    def leave_out(self, what: str, why: Exception | str) -> None:
        """Warn that *what* is left out; the first ones are named, all are counted."""
        self.tally["failed"] += 1
        error = why if isinstance(why, Exception) else None
        reason = describe_error(why) if isinstance(why, Exception) else why
        note = f"{what} is left out ({reason})"
        if self.tally["failed"] <= MOST_NAMED:
            self.notes.append(note)
        log.note_error("sweep", "left out", error, what=what, why=reason)

    def count_unnamed(self) -> int:
        """Return how many were left out without a note."""
        return max(0, self.tally["failed"] - MOST_NAMED)

    def warn(self, note: str, message: str = "warned", **fields: object) -> None:
        """Add *note*, once; log it as *message* with *fields*."""
        if note not in self.notes:
            self.notes.append(note)
            log.note("sweep", message, level=logging.WARNING, note=note, **fields)
