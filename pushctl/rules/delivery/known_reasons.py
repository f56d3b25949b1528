"""
The causes of reasons that were written before causes were: rows of the ledger, journals.

Nothing that is written now is looked up here.
"""

import re
from functools import lru_cache

from pushctl.model import Cause

# The first that a reason begins with counts; "..., 6 times" may follow.
_KNOWN = (
    (r"shown", Cause.SHOWN),
    (r"recalled", Cause.RECALLED),
    (r"assumed sent|sent again by hand|paused by hand", Cause.BY_HAND),
    (r"forgotten", Cause.FORGOTTEN),
    (r"cancelled", Cause.CANCELLED),
    (r"asked for a pause", Cause.PAUSED_BY_SUBSCRIBER),
    (r"its time was over", Cause.TIME_OVER),
    (r"its turn comes later", Cause.RATE_LIMIT),
    (r"quiet hours ", Cause.QUIET_HOURS),
    (r"meanwhile ", Cause.NOT_ACTIVE),
    (r"held back", Cause.HELD_BACK),
    (r"the sender was stopped", Cause.SENDER_STOPPED),
    (r"the machine was restarted", Cause.MACHINE_RESTARTED),
    (r"the database was restored", Cause.DATABASE_RESTORED),
    (r"mass gone|too many were gone at once", Cause.MASS_GONE),
    (
        r"(refuses us|asks us to slow down|keeps failing) \(|too many subscriptions are gone",
        Cause.SERVICE_WAITS,
    ),
    (r"address not allowed", Cause.ADDRESS_NOT_ALLOWED),
    (r"payload too large|413 ", Cause.TOO_LARGE),
    (r"its key is not here|made with the key ", Cause.KEY_MISSING),
    (r"its p256dh is off the curve", Cause.BAD_SUBSCRIPTION_KEY),
    (r"(not sent: )?refused by the service", Cause.REQUEST_REFUSED),
    (r"not sent: ", Cause.NO_CONNECTION),
    (r"timeout", Cause.TIMEOUT),
    (r"connection lost with others", Cause.CONNECTION_LOST_WITH_OTHERS),
    (r"connection lost", Cause.CONNECTION_LOST),
    (r"bad answer", Cause.BAD_ANSWER),
    (r"... unexpected|403 invalid endpoint", Cause.UNEXPECTED),
    (r"3.. redirect", Cause.REDIRECT),
    (r"404 |410 ", Cause.GONE),
    (r"5.. service fault|408 |425 ", Cause.SERVICE_FAULT),
    (r"406 |429 ", Cause.THROTTLED),
    (
        r"40. (unauthorized registration|other key|key or channel refused)",
        Cause.SUBSCRIPTION_REFUSED,
    ),
    (r"401 |403 ", Cause.SENDER_REFUSED),
    (r"400 (bad (?!request)|no TTL|TTL against)", Cause.BAD_REQUEST),
)


@lru_cache(maxsize=1024)
def cause_of(reason: str) -> Cause:
    """Return the cause of a reason as earlier versions wrote it; OTHER for an unknown one."""
    return next((cause for known, cause in _KNOWN if re.match(known, reason)), Cause.OTHER)
