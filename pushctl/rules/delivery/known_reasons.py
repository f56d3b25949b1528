"""The causes of reasons in older rows of the ledger and journals, which had none."""

import re
from functools import lru_cache

from pushctl.model import Cause

# The first that a reason begins with counts; "..., 6 times" may follow.
_KNOWN = {
    Cause.SHOWN: "shown",
    Cause.RECALLED: "recalled",
    Cause.BY_HAND: "assumed sent|sent again by hand|paused by hand",
    Cause.FORGOTTEN: "forgotten",
    Cause.CANCELLED: "cancelled",
    Cause.PAUSED_BY_SUBSCRIBER: "asked for a pause",
    Cause.TIME_OVER: "its time was over",
    Cause.RATE_LIMIT: "its turn comes later",
    Cause.QUIET_HOURS: "quiet hours ",
    Cause.FREQUENCY: "frequency cap|another message goes first",
    Cause.HOLDOUT: "in the control group",
    Cause.SUNSET: "shown none of ",
    Cause.NOT_ACTIVE: "meanwhile ",
    Cause.HELD_BACK: "held back",
    Cause.SENDER_STOPPED: "the sender was stopped",
    Cause.MACHINE_RESTARTED: "the machine was restarted",
    Cause.DATABASE_RESTORED: "the database was restored",
    Cause.MASS_GONE: "mass gone|too many were gone at once",
    Cause.SERVICE_WAITS: "refuses us|asks us to slow down|keeps failing|too many subscriptions",
    Cause.ADDRESS_NOT_ALLOWED: "address not allowed",
    Cause.TOO_LARGE: "payload too large|413 ",
    Cause.KEY_MISSING: "its key is not here|made with the key ",
    Cause.BAD_SUBSCRIPTION_KEY: "its p256dh is off the curve",
    Cause.REQUEST_REFUSED: "(not sent: )?refused by the service",
    Cause.NO_CONNECTION: "not sent: |no network: ",
    Cause.TIMEOUT: "timeout",
    Cause.CONNECTION_LOST_WITH_OTHERS: "connection lost with others",
    Cause.CONNECTION_LOST: "connection lost",
    Cause.BAD_ANSWER: "bad answer",
    Cause.UNEXPECTED: "... unexpected|403 invalid endpoint",
    Cause.REDIRECT: "3.. redirect",
    Cause.GONE: "404 |410 ",
    Cause.SERVICE_FAULT: "5.. service fault|408 |425 ",
    Cause.THROTTLED: "406 |429 ",
    Cause.SUBSCRIPTION_REFUSED: "40. (unauthorized reg|other key|key or channel refused)",
    Cause.SENDER_REFUSED: "401 |403 ",
    Cause.BAD_REQUEST: "400 (bad (?!request)|no TTL|TTL against)",
}


@lru_cache(maxsize=1024)
def cause_of(reason: str) -> Cause:
    """Return the cause of a reason as earlier versions wrote it; OTHER for an unknown one."""
    return next((it for it, known in _KNOWN.items() if re.match(known, reason)), Cause.OTHER)
