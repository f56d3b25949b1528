"""What a sweep did, as it says it itself, and as `cron runs` says it later."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from pushctl.errors import RefusedError
from pushctl.rules.wording import counted, number


@dataclass
class Summary:
    """What a sweep did; empty when there was nothing to do."""

    counts: Counter[str] = field(default_factory=Counter)
    messages: list[tuple[str, str]] = field(default_factory=list)  # dry run: (who, what)
    notes: list[str] = field(default_factory=list)  # what somebody has to put right
    remarks: list[str] = field(default_factory=list)  # what is worth knowing
    refused: str | None = None
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        if self.refused:
            return RefusedError.exit_code
        troubled = self.notes or self.counts["rejected"] or self.counts["in_doubt"]
        return 5 if troubled else 0

    def __str__(self) -> str:
        return said(self.counts)


def said(counts: Mapping[str, int]) -> str:
    """Return what a sweep counted, as it says it itself."""
    return ", ".join(_said(word, count) for word, count in counts.items() if count)


# What was decided, as people would say it of many.
_WORDS = {
    "deliver": "due",
    "hold": "held",
    "cancel": "stopped",
    "finish": "finished",
    "expire": "too late",
    "skip": "left out",
}


def _said(word: str, count: int) -> str:
    if word in ("lines", "events"):
        return counted(count, word.removesuffix("s"))
    return f"{number(count)} {_WORDS.get(word, word)}"
