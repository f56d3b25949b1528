"""
Apple's web.push.apple.com: JSON reasons, and the pickiest taste in VAPID subjects.

It refuses what others let pass: a sub on localhost, .local or .invalid, or one with
spaces or angle brackets; a Topic that is no whole number of bytes.
"""

import json
import re

from pushctl.demo.pushservice import checks, vapid
from pushctl.demo.pushservice.case import Case, accept, refuse
from pushctl.demo.pushservice.exchange import Verdict

_BAD_SUBJECT = re.compile(r"[\s<>]|(?:@|//|\.)(?:localhost|local|invalid)(?:[:/]|$)", re.ASCII)


def judge(case: Case) -> Verdict:
    """Answer a POST to https://web.push.apple.com/TOKEN."""
    request = case.request
    if case.address is None:
        return _refuse(404, "BadPath")
    if request.method != "POST":
        return _refuse(405, "MethodNotAllowed")
    given = request.headers.get("authorization")
    signed = vapid.check(given, request.origin, case.address.key_hash, case.now)
    if signed.flaw is vapid.Flaw.MISMATCH:
        return _refuse(400, "VapidPkHashMismatch")
    if signed.flaw or _BAD_SUBJECT.search(signed.claims["sub"]):
        return _refuse(403, "BadJwtToken")
    if case.gone:
        return _refuse(410, "Unregistered")
    return _check_form(case) or accept(case, signed.key, ("apns-id", case.id))


def _check_form(case: Case) -> Verdict | None:
    headers, body = case.request.headers, case.request.body
    ttl = checks.read_ttl(headers)
    if len(body) > checks.MAX_BODY:
        return _refuse(413, "PayloadTooLarge")
    if ttl is None or ttl < 0:
        return _refuse(400, "BadTtl")
    # base64url of whole bytes never leaves a remainder of 1: 5 and 13 characters fail.
    if not checks.is_valid_topic(headers) or len(headers.get("topic", "")) % 4 == 1:
        return _refuse(400, "BadWebPushTopic")
    if not checks.is_valid_urgency(headers):
        return _refuse(400, "BadUrgency")
    if checks.find_encoding_flaw(headers, body):
        return _refuse(400, "BadWebPushRequest")
    return None


def _refuse(status: int, reason: str) -> Verdict:
    body = json.dumps({"reason": reason}).encode()
    return refuse(status, ("content-type", "application/json"), body=body)
