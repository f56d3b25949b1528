"""The section [baseline] of pushctl.toml."""

from dataclasses import dataclass, field

from pushctl.rules.config import checks


def _share() -> float | None:
    found: float | None = field(default=None, metadata={"check": checks.between(0, 1)})
    return found


@dataclass(frozen=True)
class BaselineConfig:
    """A user's own shares from before, or of another channel; they stand beside the figures."""

    # who clicked or acted, of those reached: by a promotion, by news, by a trigger
    promotion: float | None = _share()
    information: float | None = _share()
    trigger: float | None = _share()
    # who came back to an abandoned basket, and who of them bought
    cart_return: float | None = _share()
    cart_bought: float | None = _share()
    # who bought an abandoned basket after an e-mail
    cart_email: float | None = _share()
    # new visitors who subscribed
    optin: float | None = _share()
