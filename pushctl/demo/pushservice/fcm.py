"""
Google's FCM for browsers: /fcm/send/, /wp/ and /preprod/wp/, plain-text reasons.

The texts are those that senders report; they decide by status.
"""

from pushctl.demo.pushservice import checks, vapid
from pushctl.demo.pushservice.case import Case, accept, refuse
from pushctl.demo.pushservice.exchange import Verdict

PATHS = ("/fcm/send/", "/wp/", "/preprod/wp/")

_NOWHERE = (
    b"A valid push subscription endpoint should be specified in the URL as such: "
    b"https://fcm.googleapis.com/wp/dHIoDxE7Hdg:APA91bH1Zj0kNa..."
)
_MISMATCH = (
    b"the VAPID credentials in the authorization header do not correspond to the "
    b"credentials used to create the subscriptions."
)
_GONE = b"push subscription has unsubscribed or expired."


def judge(case: Case) -> Verdict:
    """Answer a POST to an endpoint on fcm.googleapis.com or jmt17.google.com."""
    request = case.request
    if case.address is None:
        return refuse(404, body=_NOWHERE)
    if request.method != "POST":
        return refuse(405)
    given = request.headers.get("authorization")
    signed = vapid.check(given, request.origin, case.address.key_hash, case.now)
    if signed.flaw is vapid.Flaw.MISSING:
        return refuse(401, body=b"crypto-key and authorization headers should be provided.")
    if signed.flaw is vapid.Flaw.MISMATCH:
        return refuse(403, body=_MISMATCH)
    if signed.flaw:
        return refuse(403, body=b"invalid JWT provided: " + signed.flaw.value.encode())
    if case.gone:
        return refuse(410, body=_GONE)
    return _check_form(case) or accept(
        case, signed.key, ("location", f"{request.origin}/0:{case.id}")
    )


def _check_form(case: Case) -> Verdict | None:
    headers, body = case.request.headers, case.request.body
    ttl = checks.read_ttl(headers)
    if len(body) > checks.MAX_BODY:
        return refuse(413, body=b"payload size limit exceeded")
    if ttl is None or ttl < 0:
        return refuse(400, body=b"TTL header must be a non-negative integer")
    if not checks.is_valid_topic(headers):
        return refuse(400, body=b"Topic header is invalid")
    if not checks.is_valid_urgency(headers):
        return refuse(400, body=b"Urgency header is invalid")
    if flaw := checks.find_encoding_flaw(headers, body):
        return refuse(400, body=flaw.encode())
    return None
