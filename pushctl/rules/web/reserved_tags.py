"""Tags that only the program sets; browsers may by /v1/preferences alone."""

from collections.abc import Collection, Iterable

from pushctl.model import Millis
from pushctl.rules import units
from pushctl.rules.web.fields import fold

RESERVED = "pushctl:"  # how the names of all of them begin

PAUSED = RESERVED + "paused"
FEWER = RESERVED + "fewer"
PREFERENCES = (PAUSED, FEWER)

# What "fewer" means: one message in so long.
FEWER_WITHIN: Millis = units.WEEK

PAUSE = "asked for a pause"
ENOUGH = "asked for fewer messages, and had one within a week"


def is_reserved(name: str) -> bool:
    """Return whether only the program itself may set this tag."""
    return fold(name).startswith(RESERVED)


def refusal(held: Collection[str], sent: Iterable[Millis], now: Millis) -> str:
    """
    Return why a person wants no message now, or "" when they may have it.

    *held* are the person's tags of ``PREFERENCES``, *sent* the times of their messages.
    """
    if PAUSED in held:
        return PAUSE
    if FEWER in held and any(at > now - FEWER_WITHIN for at in sent):
        return ENOUGH
    return ""
