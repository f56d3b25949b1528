"""The summary of a sweep, which it prints itself and `runs` prints later."""

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
    notes: list[str] = field(default_factory=list)  # what the shop's owner has to put right
    remarks: list[str] = field(default_factory=list)  # the rest that is worth a line
    refused: str | None = None
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        if self.refused:
            return RefusedError.exit_code
        troubled = self.notes or self.counts["rejected"] or self.counts["in_doubt"]
        return 5 if troubled else 0

    def list_faults(self) -> list[str]:
        """Return what it stumbled over, most important first."""
        return [*([self.refused] if self.refused else []), *self.notes]

    def __str__(self) -> str:
        return describe_counts(self.counts)


# Decisions in words, for many.
_WORDS = {
    "deliver": "due",
    "hold": "held",
    "cancel": "stopped",
    "finish": "finished",
    "expire": "too late",
    "skip": "left out",
    "call accepted": "taken by other channels",
    "call rejected": "refused by other channels",
    "call not_begun": "not begun on other channels",
    "call skipped": "left out on other channels",
    "digests without news": "without news for a digest",
    "told": "told to webhooks",
    "untold": "not taken by webhooks",
}


def describe_counts(counts: Mapping[str, int]) -> str:
    """Return the counts of a sweep that are not 0: "12 events, 3 due"."""
    return ", ".join(
        counted(count, word.removesuffix("s"))
        if word in ("lines", "events")
        else f"{number(count)} {_WORDS.get(word, word)}"
        for word, count in counts.items()
        if count
    )
