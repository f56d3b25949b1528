"""
Mozilla's autopush: its checks in its order, with its errno (autoendpoint 1.83).

Stricter than the real one where a sender could go wrong unseen: sub, Urgency, one
record, the form of k.
"""

import json

from pushctl.demo.pushservice import checks, vapid
from pushctl.demo.pushservice.case import Case, accept, refuse
from pushctl.demo.pushservice.exchange import Answer, Verdict

_MAX_BODY = 5630  # autoendpoint's max_data_bytes

_NAMES = {
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    410: "Gone",
    413: "Payload Too Large",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


def error(status: int, errno: int, message: str, *headers: tuple[str, str]) -> Answer:
    """Return autopush's error answer; scripts use it to play bridge or database trouble."""
    body = {
        "code": status,
        "errno": errno,
        "error": _NAMES.get(status, "Error"),
        "message": message,
        "more_info": "https://autopush.readthedocs.io/en/latest/http.html#error-codes",
    }
    kind = ("content-type", "application/json")
    return Answer(status, (kind, *headers), json.dumps(body).encode())


def judge(case: Case) -> Verdict:
    """Answer a POST to /wpush/v1/TOKEN or /wpush/v2/TOKEN, or DELETE of a Location."""
    request = case.request
    if request.path.startswith("/m/"):
        return _recall(case)
    if case.address is None:
        return Verdict(error(404, 102, "Request did not validate: invalid token"))
    if request.method != "POST":
        return Verdict(error(405, 0, "only POST"))

    signed = vapid.Signed()
    if request.path.startswith("/wpush/v2/"):
        given = request.headers.get("authorization")
        signed = vapid.check(given, request.origin, case.address.key_hash, case.now)
        if signed.flaw:
            return Verdict(error(401, 109, signed.flaw.value))
    elif case.address.key_hash:
        return Verdict(error(404, 102, "Request did not validate: invalid token"))
    if case.gone:
        aged = ("cache-control", "max-age=86400")
        return Verdict(error(410, 106, "No such subscription", aged))
    return _check_form(case) or _accept(case, signed)


def _check_form(case: Case) -> Verdict | None:
    headers, body = case.request.headers, case.request.body
    ttl = checks.read_ttl(headers)
    flaw = checks.find_encoding_flaw(headers, body)
    if len(body) > _MAX_BODY or (body and len(body) > checks.MAX_BODY):
        # The real limit is 5630 bytes; here it is 4096, as at the other services.
        return Verdict(error(413, 104, "This message is intended for a constrained device"))
    if ttl is None:
        return Verdict(error(400, 111, "Missing or invalid TTL header"))
    if ttl < 0:
        return Verdict(error(400, 114, "TTL must not be negative"))
    if flaw:
        return Verdict(error(400, 110, flaw))
    if not checks.is_valid_topic(headers):
        return Verdict(error(400, 113, "Invalid Topic: at most 32 of A-Za-z0-9_-"))
    if not checks.is_valid_urgency(headers):
        return Verdict(error(400, 110, "Urgency is none of the four values"))
    return None


def _accept(case: Case, signed: vapid.Signed) -> Verdict:
    # 201 also when TTL 0 meets an absent browser and the message is dropped.
    return accept(case, signed.key, ("location", f"{case.request.origin}/m/{case.id}"))


def _recall(case: Case) -> Verdict:
    if case.request.method != "DELETE":
        return Verdict(error(405, 0, "only DELETE"))
    recalled = case.request.path.removeprefix("/m/")
    return Verdict(refuse(204).answer, recalled=recalled)
