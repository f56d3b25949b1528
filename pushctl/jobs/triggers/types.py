"""The state that the parts of a sweep share."""

import logging
from collections import Counter
from dataclasses import dataclass, field

from pushctl import log
from pushctl.model import Millis
from pushctl.rules.triggers.facts import Settings
from pushctl.store import Store


@dataclass(frozen=True, slots=True)
class Run:
    store: Store
    settings: Settings
    now: Millis
    tally: Counter[str] = field(default_factory=Counter)  # what was decided, by kind
    notes: list[str] = field(default_factory=list)  # what the shop's owner has to put right

    def warn(self, note: str, message: str = "warned", **fields: object) -> None:
        """Add *note*, once; log it as *message* with *fields*."""
        if note not in self.notes:
            self.notes.append(note)
            log.note("sweep", message, level=logging.WARNING, note=note, **fields)
