"""
Windows' WNS, as Edge subscribes to it: empty bodies, reasons in headers.

X-WNS-Cache-Policy must fit the TTL; an absent one means "cache".
"""

from pushctl.demo.pushservice import checks, vapid
from pushctl.demo.pushservice.case import Case, accept, refuse
from pushctl.demo.pushservice.exchange import Answer, Verdict

_REASON = "x-wns-error-description"
_CONFLICT = "Ttl value conflicts with X-WNS-Cache-Policy."


def judge(case: Case) -> Verdict:
    """Answer a POST to https://wns2-....notify.windows.com/w/?token=..."""
    request = case.request
    if case.address is None:
        return _refuse(404, "The channel URI is invalid.")
    if request.method != "POST":
        return _refuse(405, "Only POST.")
    given = request.headers.get("authorization")
    signed = vapid.check(given, request.origin, case.address.key_hash, case.now)
    if signed.flaw:
        return _refuse(401, signed.flaw.value)
    if case.gone:
        return _refuse(410, "The channel has expired.")
    return _check_form(case) or accept(
        case,
        signed.key,
        ("x-wns-status", "received"),
        ("x-wns-notificationstatus", "received"),
        ("x-wns-msg-id", case.id),
    )


def refuse_throttled(status: int = 406, seconds: int = 900) -> Answer:
    """Return the refusal of an application over its rate: 406, or 429 since 2026."""
    return Answer(
        status,
        (
            ("retry-after", str(seconds)),
            ("x-wns-status", "appthrottled"),
            (_REASON, "The application exceeded its rate."),
        ),
    )


def _check_form(case: Case) -> Verdict | None:
    headers, body = case.request.headers, case.request.body
    ttl = checks.read_ttl(headers)
    policy = headers.get("x-wns-cache-policy", "cache")
    if len(body) > checks.MAX_BODY:
        return _refuse(413, "The notification payload is too large.")
    if ttl is None or ttl < 0:
        return _refuse(400, "Ttl value is missing or invalid.")
    if policy not in ("cache", "no-cache") or (ttl == 0) != (policy == "no-cache"):
        return _refuse(400, _CONFLICT)
    if not checks.is_valid_topic(headers):
        return _refuse(400, "Topic value is invalid.")
    if not checks.is_valid_urgency(headers):
        return _refuse(400, "Urgency value is invalid.")
    if flaw := checks.find_encoding_flaw(headers, body):
        return _refuse(400, flaw)
    return None


def _refuse(status: int, reason: str) -> Verdict:
    return refuse(status, ("x-wns-status", "dropped"), (_REASON, reason))
