"""A rate limit."""

from dataclasses import dataclass, replace

from pushctl.model import Millis
from pushctl.rules.units import SECOND


@dataclass(frozen=True, slots=True)
class Bucket:
    """A rate limit: tokens that come in evenly, for at most half a second's burst."""

    rate: float  # tokens a second
    tokens: float = 1.0
    at: Millis = 0

    def refill(self, now: Millis, rate: float | None = None) -> "Bucket":
        rate = self.rate if rate is None else rate
        come = max(0, now - self.at) / SECOND * rate
        return Bucket(rate, min(max(1.0, rate / 2), self.tokens + come), max(self.at, now))

    def take(self, count: int) -> "Bucket":
        return replace(self, tokens=self.tokens - count)

    @property
    def ready(self) -> int:
        """
        The number that may go out: none until a tenth of a second's are together.

        Each handful is claimed, journalled and written as one; single letters would cost
        ten times as much.
        """
        return int(self.tokens) if self.tokens >= self.handful else 0

    def wait(self) -> float:
        """Return the seconds until something may go out."""
        return max(0.0, (self.handful - self.tokens) / self.rate)

    @property
    def handful(self) -> float:
        return max(1.0, self.rate / 10)
