"""A browser's hints, place and privacy signal, which the inbox stores with its request."""

from collections.abc import Mapping
from typing import Any

import orjson

from pushctl.receiver.geo import Lookup
from pushctl.rules.limits import MAX_HINT_CHARACTERS, MAX_RECEIVED_USER_AGENT_CHARACTERS

# Stored with a subscription.
_HINTS = (
    b"accept-language",
    b"sec-ch-ua",
    b"sec-ch-ua-mobile",
    b"sec-ch-ua-platform",
    b"sec-ch-ua-platform-version",
    b"sec-ch-ua-model",
)
# Fields of a subscription about behaviour; Global Privacy Control forbids to keep them.
_PRIVATE = ("page", "referrer", "source", "attributes", "events")

# Invitations are counted by browser alone.
_BRIEF = (b"sec-ch-ua", b"sec-ch-ua-mobile", b"sec-ch-ua-platform")


class Visitor:
    """Describes a browser by its headers and, where the settings ask for it, its address."""

    def __init__(
        self,
        country_header: str | None = None,
        lookup: Lookup | None = None,
        keep_address: bool = False,
    ) -> None:
        self._country = country_header.lower().encode() if country_header else None
        self._lookup = lookup
        self._keep_address = keep_address

    def describe(self, path: str, heads: Mapping[bytes, bytes], address: str) -> dict[str, Any]:
        """
        Return user_agent and hints for the inbox, of subscriptions and prompts alone.

        Of other requests, Global Privacy Control: it is a state of the subscription.
        """
        if path not in ("/v1/subscribe", "/v1/prompts"):
            return {"hints": {"gpc": "1"}} if asks_for_privacy(heads) else {}
        is_subscription = path == "/v1/subscribe"
        hints = {
            name.decode(): text
            for name in (_HINTS if is_subscription else _BRIEF)
            if (text := clean_header(heads.get(name, b""), MAX_HINT_CHARACTERS))
        }
        if is_subscription:
            hints |= self._find_place(heads, address)
        agent = clean_header(heads.get(b"user-agent", b""), MAX_RECEIVED_USER_AGENT_CHARACTERS)
        return {"user_agent": agent or None, "hints": hints}

    def _find_place(self, heads: Mapping[bytes, bytes], address: str) -> dict[str, str]:
        found = dict(self._lookup(address)) if self._lookup else {}
        named = heads.get(self._country, b"") if self._country else b""
        if country := clean_header(named, MAX_HINT_CHARACTERS):
            found["country"] = country
        if asks_for_privacy(heads):
            found.pop("city", None)
            found["gpc"] = "1"
        elif self._keep_address:
            found["address"] = address
        return found


def asks_for_privacy(heads: Mapping[bytes, bytes]) -> bool:
    """Return whether the browser sends Global Privacy Control (Sec-GPC: 1)."""
    return heads.get(b"sec-gpc") == b"1"


def remove_private(body: bytes, signature: str | None) -> bytes:
    """Return a subscription's *body* without what Global Privacy Control forbids to keep."""
    fields = orjson.loads(body)
    if signature is not None and "previous" in fields and "previous_signature" not in fields:
        # The old endpoint's secret signs the whole body: a changed one would not verify,
        # and the subscriber would be lost. The import drops the same fields.
        return body
    kept = {name: value for name, value in fields.items() if name not in _PRIVATE}
    return body if len(kept) == len(fields) else orjson.dumps(kept)


def clean_header(raw: bytes, most: int) -> str:
    """Return a header as printable ASCII of at most *most* characters."""
    return "".join(char for char in raw[:most].decode("latin-1") if " " <= char <= "~")
