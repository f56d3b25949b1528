"""
Which message has brought about an order: the rule.

The last click of the person within the window, its ends included; of two at one time the
message with the higher number. Without a click, a promo code of one of the person's messages
that the order redeems: who types a code in has read that message, whenever it was. Both are
"direct". Without either, the message that was shown last within the window has "influenced"
it. An order has one message, or none. (Klaviyo, Insider: last touch; OneSignal's three kinds.)
"""

from bisect import bisect_right
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from pushctl.model import Millis

_LAST = 2**63  # behind every delivery


class Kind(StrEnum):
    DIRECT = "direct"
    INFLUENCED = "influenced"  # shown, not clicked; never added to what is direct


class Basis(StrEnum):
    """What of the message it was."""

    CLICK = "click"
    CODE = "code"
    SHOWN = "shown"


class Touch(NamedTuple):
    """A click on a message, the first time it was shown, or the binding of a code to it."""

    at: Millis
    delivery: int


class Touches(NamedTuple):
    """All of one person, each kind sorted."""

    clicks: Sequence[Touch] = ()
    shown: Sequence[Touch] = ()


class Choice(NamedTuple):
    """The message that an order goes to, and why."""

    delivery: int
    kind: Kind
    basis: Basis
    touched_at: Millis


def choose(
    at: Millis, window: Millis, touches: Touches, codes: Sequence[Touch] = ()
) -> Choice | None:
    """
    Return the message that an order of *at* goes to, None where it is nobody's.

    *touches* are those of the order's person on all devices, *codes* the messages of the
    person whose code the order redeems; nothing later than the order counts.
    """
    click = _find_last(touches.clicks, at, at - window)
    if click is not None:
        return Choice(click.delivery, Kind.DIRECT, Basis.CLICK, click.at)
    code = max((one for one in codes if one.at <= at), default=None)
    if code is not None:
        return Choice(code.delivery, Kind.DIRECT, Basis.CODE, code.at)
    shown = _find_last(touches.shown, at, at - window)
    if shown is not None:
        return Choice(shown.delivery, Kind.INFLUENCED, Basis.SHOWN, shown.at)
    return None


def _find_last(touches: Sequence[Touch], until: Millis, since: Millis) -> Touch | None:
    place = bisect_right(touches, (until, _LAST))
    found = touches[place - 1] if place else None
    return found if found is not None and found.at >= since else None
