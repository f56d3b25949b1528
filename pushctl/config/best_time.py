"""The table [best_time] of pushctl.toml: which hours of a week are work."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pushctl.rules.config import checks

if TYPE_CHECKING:
    from pushctl.rules.figures.send_times.best_hours import Week


@dataclass(frozen=True)
class BestTimeConfig:
    """The parts of most receivers' week, for `pushctl best-time` and `send --at best`."""

    work: str = field(default="09:00-17:00", metadata={"check": checks.work_hours})
    weekend: tuple[str, ...] = field(
        default=("saturday", "sunday"), metadata={"each": checks.weekday}
    )

    @property
    def week(self) -> "Week":
        from pushctl.rules import timing
        from pushctl.rules.figures.send_times.best_hours import Week

        hours = timing.window(self.work)
        days = frozenset(checks.WEEKDAYS.index(day) for day in self.weekend)
        return Week(hours.start.hour, hours.end.hour, days)
