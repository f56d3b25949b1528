"""
Meanings of push services' answers, one table per service (docs/push-services.md shows it).

The text of an answer comes from strangers: it is searched for known words, never passed on.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from pushctl.model import Answer, Cause, Millis, Outcome
from pushctl.rules import units
from pushctl.rules.delivery import retry
from pushctl.rules.limits import MAX_ANSWER_BYTES


class Verdict(NamedTuple):
    answer: Answer
    reason: str  # the status and a word of ours: "201", "410 unsubscribed"
    retry_after: Millis | None = None
    cause: Cause | None = None


class _Row(NamedTuple):
    """*status* and *words* (any of them, in body or headers) make *answer*."""

    status: int
    words: tuple[str, ...]  # lower case; none: any answer of that status
    answer: Answer
    label: str
    cause: Cause | None = None  # None: what _CAUSES has for the answer


def service(host: str) -> str:
    """Return the push service of *host*: fcm, mozilla, apple, wns, or other."""
    for name, ends in _HOSTS.items():
        if any(host == end or (end[0] == "." and host.endswith(end)) for end in ends):
            return name
    return "other"


_HOSTS = {
    # jmt17.google.com: Chromium builds without Google's keys.
    "fcm": ("fcm.googleapis.com", "jmt17.google.com"),
    "mozilla": (".push.services.mozilla.com",),
    "apple": (".push.apple.com",),
    "wns": (".notify.windows.com",),
}

# A refusal where somebody registered with another key than ours, or not at all.
_ONE = Cause.SUBSCRIPTION_REFUSED
_UNAUTHORIZED = "unauthorized registration"

_SERVICES: dict[str, tuple[_Row, ...]] = {
    "fcm": (
        # Bad parameters too: the canaries tell whether all are bad or this one.
        _Row(400, ("unauthorizedregistration",), Answer.REFUSED, _UNAUTHORIZED, _ONE),
        _Row(400, (), Answer.REFUSED, "bad request", _ONE),
        # Seen for a day on endpoints that then worked again.
        _Row(403, ("invalid push subscription",), Answer.QUARANTINE, "invalid endpoint"),
        _Row(403, ("do not correspond", "sender"), Answer.REFUSED, "other key", _ONE),
        _Row(403, ("aud",), Answer.REFUSED, "wrong audience"),
        _Row(404, (), Answer.GONE, "stale"),
        _Row(410, (), Answer.GONE, "unsubscribed"),
    ),
    "mozilla": (
        _Row(400, ("errno 108.",), Answer.OUR_FAULT, "bad router"),
        _Row(400, ("errno 110.",), Answer.OUR_FAULT, "bad encryption headers"),
        _Row(400, ("errno 111.",), Answer.OUR_FAULT, "no TTL"),
        _Row(400, ("errno 112.", "errno 114."), Answer.OUR_FAULT, "bad TTL"),
        _Row(400, ("errno 113.",), Answer.OUR_FAULT, "bad topic"),
        # Checked before the user is looked up: says nothing about the subscription.
        _Row(401, (), Answer.REFUSED, "key refused"),
        _Row(404, (), Answer.GONE, "unknown"),
        _Row(410, (), Answer.GONE, "unsubscribed"),
    ),
    "apple": (
        _Row(400, ("badwebpushtopic",), Answer.OUR_FAULT, "bad topic"),
        _Row(400, ("badttl",), Answer.OUR_FAULT, "bad TTL"),
        _Row(400, ("badurgency",), Answer.OUR_FAULT, "bad urgency"),
        _Row(400, ("badwebpushrequest",), Answer.OUR_FAULT, "bad request"),
        _Row(400, ("vapidpkhashmismatch",), Answer.REFUSED, "other key", _ONE),
        _Row(403, ("vapidpkhashmismatch",), Answer.REFUSED, "other key", _ONE),
        _Row(403, ("badjwttoken",), Answer.REFUSED, "token refused"),
        _Row(404, (), Answer.GONE, "unknown"),
        _Row(410, (), Answer.GONE, "unsubscribed"),
        # Counted per device there, so the others go on.
        _Row(429, (), Answer.THROTTLED_ONE, "too many for this device"),
    ),
    "wns": (
        _Row(400, ("ttl value conflicts",), Answer.OUR_FAULT, "TTL against cache policy"),
        _Row(401, (), Answer.REFUSED, "key or channel refused", _ONE),
        _Row(404, (), Answer.GONE, "unknown channel"),
        _Row(406, (), Answer.THROTTLED, "throttled"),
        _Row(410, (), Answer.GONE, "channel expired"),
    ),
    "other": (),
}

_CAUSES = {
    Answer.GONE: Cause.GONE,
    Answer.RETRY: Cause.SERVICE_FAULT,
    Answer.THROTTLED: Cause.THROTTLED,
    Answer.THROTTLED_ONE: Cause.THROTTLED,
    Answer.REFUSED: Cause.SENDER_REFUSED,
    Answer.TOO_LARGE: Cause.TOO_LARGE,
    Answer.QUARANTINE: Cause.UNEXPECTED,
    Answer.OUR_FAULT: Cause.BAD_REQUEST,
}

# All services' rows, after a service's own.
_COMMON = (
    _Row(400, (), Answer.QUARANTINE, "bad request"),
    _Row(401, (), Answer.REFUSED, "unauthorized"),
    _Row(403, (), Answer.REFUSED, "forbidden"),
    _Row(404, (), Answer.GONE, "unknown"),
    # The service has not got the request whole, or not looked at it.
    _Row(408, (), Answer.RETRY, "request timeout"),
    _Row(410, (), Answer.GONE, "unsubscribed"),
    _Row(413, (), Answer.TOO_LARGE, "too large"),
    _Row(425, (), Answer.RETRY, "too early"),
    _Row(429, (), Answer.THROTTLED, "too many requests"),
)


def classify(
    host: str, status: int, headers: Mapping[str, str], body: bytes, now: Millis
) -> Verdict:
    """
    Return the meaning of the answer *status* of *host*.

    *headers* have lower-case names; *body* may have been cut short. A Retry-After given as
    a date takes *now*.
    """
    if 200 <= status < 300:
        return Verdict(Answer.ACCEPTED, str(status))
    if 300 <= status < 400:
        return Verdict(Answer.RETRY, f"{status} redirect", None, Cause.REDIRECT)
    if status >= 500:
        wait = retry_after(headers["retry-after"], now) if "retry-after" in headers else None
        return Verdict(Answer.RETRY, f"{status} service fault", wait, Cause.SERVICE_FAULT)

    row = _find(service(host), status, headers, body)
    if row is None:
        return Verdict(Answer.QUARANTINE, f"{status} unexpected", None, Cause.UNEXPECTED)
    throttled = row.answer in (Answer.THROTTLED, Answer.THROTTLED_ONE)
    wait = retry_after(headers.get("retry-after"), now) if throttled else None
    return Verdict(row.answer, f"{status} {row.label}", wait, row.cause or _CAUSES[row.answer])


def is_about_one(outcome: Outcome) -> bool:
    """
    Return whether *outcome* is a refusal that can be about one subscription alone.

    A refused token or a wrong audience is our fault for every receiver.
    """
    return outcome.answer is Answer.QUARANTINE or outcome.cause is Cause.SUBSCRIPTION_REFUSED


def _find(name: str, status: int, headers: Mapping[str, str], body: bytes) -> _Row | None:
    rows = [row for row in (*_SERVICES[name], *_COMMON) if row.status == status]
    if not any(row.words for row in rows):
        return rows[0] if rows else None
    text = _text(headers, body)
    return next(
        (row for row in rows if not row.words or any(word in text for word in row.words)), None
    )


def _text(headers: Mapping[str, str], body: bytes) -> str:
    """Return an answer's text in lower case: body, error number, WNS's headers."""
    parts = [body[:MAX_ANSWER_BYTES].decode("utf-8", "replace")]
    parts += [value for name, value in headers.items() if name.startswith("x-wns-")]
    with suppress(ValueError, RecursionError):
        answer = json.loads(body)
        if isinstance(answer, dict) and type(answer.get("errno")) is int:
            parts.append(f"errno {answer['errno']}.")
    return "\n".join(parts).lower()


def retry_after(value: str | None, now: Millis) -> Millis:
    """
    Return how long to wait: seconds or an HTTP date, between 1 s and 24 h.

    Absent or junk: a minute. (The caller knows the message's TTL and ends there.)
    """
    if value is None:
        return units.MINUTE
    value = value.strip()
    if re.fullmatch(r"[0-9]{1,12}", value, re.ASCII):
        wait = int(value) * units.SECOND
    else:
        try:
            date = parsedate_to_datetime(value)
            # A date without a zone is meant in UTC (RFC 9110, section 5.6.7).
            wait = int(date.replace(tzinfo=date.tzinfo or UTC).timestamp() * units.SECOND) - now
        except (ValueError, TypeError, IndexError, OverflowError):
            return units.MINUTE
    return retry.clamp_to_day(wait)
