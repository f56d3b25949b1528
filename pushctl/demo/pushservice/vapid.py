"""Check that the sender holds the subscription's key (VAPID, RFC 8292). Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from pushctl.demo.pushservice.addresses import key_hash
from pushctl.rules.tokens import decode

DAY_SECONDS = 24 * 3600


class Flaw(Enum):
    """Why an Authorization header is refused."""

    MISSING = "no Authorization header"
    SCHEME = "not the vapid scheme with t= and k="
    KEY = "k is no unpadded base64url P-256 key"
    TOKEN = "t is no ES256 JSON web token"  # noqa: S105
    SIGNATURE = "the signature does not verify"
    AUDIENCE = "aud is not the endpoint's origin"
    EXPIRY = "exp is missing, past or more than 24 hours ahead"
    SUBJECT = "sub is missing or neither mailto: nor https:"
    MISMATCH = "the key is not the one that the subscription was made with"


@dataclass(frozen=True, slots=True)
class Signed:
    """A token with a valid signature, or the flaw that made it unreadable."""

    key: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict)
    flaw: Flaw | None = None


def check(authorization: str | None, origin: str, expected: str, now: float) -> Signed:
    """
    Check an Authorization header for an endpoint on *origin*.

    *expected* is the hash of the subscription's key, *now* seconds since 1970.
    Returns the key and the claims, with the first flaw found.
    """
    if not authorization:
        return Signed(flaw=Flaw.MISSING)
    signed = _read(authorization)
    if signed.flaw:
        return signed
    return Signed(signed.key, signed.claims, _find_claims_flaw(signed, origin, expected, now))


def _find_claims_flaw(signed: Signed, origin: str, expected: str, now: float) -> Flaw | None:
    claims = signed.claims
    expiry = claims.get("exp")
    subject = claims.get("sub")
    if claims.get("aud") != origin:
        return Flaw.AUDIENCE
    if isinstance(expiry, bool) or not isinstance(expiry, int | float):
        return Flaw.EXPIRY
    if not now < expiry <= now + DAY_SECONDS:
        return Flaw.EXPIRY
    if not isinstance(subject, str) or not subject.startswith(("mailto:", "https:")):
        return Flaw.SUBJECT
    if expected and key_hash(decode(signed.key)) != expected:
        return Flaw.MISMATCH
    return None


# A sender signs once per origin and half a day: most headers were seen before.
@lru_cache(maxsize=4096)
def _read(authorization: str) -> Signed:
    scheme, _, rest = authorization.partition(" ")
    pairs = (part.strip().partition("=") for part in rest.split(","))
    parameters = {name.lower(): value for name, _, value in pairs}
    if scheme.lower() != "vapid" or not parameters.keys() >= {"t", "k"}:
        return Signed(flaw=Flaw.SCHEME)
    key, token = parameters["k"], parameters["t"]
    try:
        point = decode(key)
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        return Signed(flaw=Flaw.KEY)
    if len(point) != 65 or "=" in key:
        return Signed(flaw=Flaw.KEY)
    return _verify(key, public, token)


def _verify(key: str, public: ec.EllipticCurvePublicKey, token: str) -> Signed:
    signed, _, tail = token.rpartition(".")
    try:
        header, claims = (json.loads(decode(part)) for part in signed.split("."))
        signature = decode(tail)
    except ValueError:
        return Signed(flaw=Flaw.TOKEN)
    if not isinstance(header, dict) or not isinstance(claims, dict):
        return Signed(flaw=Flaw.TOKEN)
    if header.get("alg") != "ES256" or len(signature) != 64:
        return Signed(flaw=Flaw.TOKEN)
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    try:
        public.verify(encode_dss_signature(r, s), signed.encode(), ec.ECDSA(SHA256()))
    except InvalidSignature:
        return Signed(flaw=Flaw.SIGNATURE)
    return Signed(key, claims)
