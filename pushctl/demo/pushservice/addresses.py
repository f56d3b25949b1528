"""
Tokens of endpoints, self-contained: they say where they lead, sealed by an HMAC.

So the service knows the subscriptions that it gave out before a restart, as Mozilla's
does, and 300,000 of them cost no memory.
"""

import hashlib
import hmac
from urllib.parse import quote, unquote

from pushctl.demo.pushservice.exchange import Address
from pushctl.rules.tokens import decode, encode

_MAC = 16
_BETWEEN = "\x1f"

# How an endpoint of each service looks; Chromium builds without Google's keys get
# jmt17.google.com, Google's own fcm.googleapis.com.
PREFIXES = {
    "mozilla": "https://updates.push.services.mozilla.com/wpush/v2/",
    "fcm": "https://fcm.googleapis.com/fcm/send/",
    "chromium": "https://jmt17.google.com/fcm/send/",
    "wns": "https://wns2-par02p.notify.windows.com/w/?token=",
    "apple": "https://web.push.apple.com/",
}


def key_hash(key: bytes) -> str:
    """Return the part of the applicationServerKey *key* (65 bytes) that a token has."""
    return encode(hashlib.sha256(key).digest()[:16])


def seal(address: Address, secret: bytes) -> str:
    """Return the token of *address*: base64url, some 150 characters."""
    raw = _BETWEEN.join(
        (address.service, address.device, address.channel, address.key_hash)
    ).encode()
    return encode(hmac.digest(secret, raw, "sha256")[:_MAC] + raw)


def unseal(token: str, secret: bytes) -> Address | None:
    """Return the address in *token*, or None when it was not made with *secret*."""
    try:
        sealed = decode(token)
    except ValueError:
        return None
    mac, raw = sealed[:_MAC], sealed[_MAC:]
    if not hmac.compare_digest(mac, hmac.digest(secret, raw, "sha256")[:_MAC]):
        return None
    return Address(*raw.decode().split(_BETWEEN))


def endpoint(address: Address, secret: bytes, prefix: str) -> str:
    """Return the endpoint of *address* below *prefix*, percent-encoded as WNS does it."""
    token = seal(address, secret)
    if address.service == "wns":
        # WNS tokens hold such characters: a sender that decodes and re-encodes breaks them.
        token = quote(token[:8] + "/+" + token[8:] + "==", safe="")
    return prefix + token


def wns_token(query: str) -> str | None:
    """Return our token within ``token=...`` as it was given out, or None."""
    head, _, given = query.partition("token=")
    token = unquote(given)
    if (
        head
        or token[8:10] != "/+"
        or not token.endswith("==")
        or quote(token, safe="") != given
    ):
        return None
    return token[:8] + token[10:-2]
