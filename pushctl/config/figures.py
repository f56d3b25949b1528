"""The sections of pushctl.toml that figures read: see sections.py."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pushctl.rules.config import checks, goals


@dataclass(frozen=True)
class Goal:
    """What messages are to bring about: an order, or an event of a name."""

    name: str = field(metadata={"given": True})  # the key in [goals.NAME]
    # none: the goal's name
    event: str | None = field(default=None, metadata={"check": goals.event})
    # so long after a click, or after it was shown, a message has brought it about
    window: str = field(default="24h", metadata={"check": goals.window})
    # a property that holds an amount, or an amount; none: it is only counted
    value: Any = field(default=None, metadata={"check": goals.value})
    # of amounts that name none; none: the site's
    currency: str | None = field(default=None, metadata={"check": checks.currency})

    @property
    def counted(self) -> str:
        """The name of the events that are counted."""
        return self.event or self.name


@dataclass(frozen=True)
class FiguresConfig:
    # the currency of all sums that rates lead to; none: each currency has its own sums
    currency: str | None = field(default=None, metadata={"check": checks.currency})
    rates: Path = Path("rates.csv")
