"""
The gate of the API: who may come in.

A key comes as ``Authorization: Bearer ...`` and in no other way, over TLS or from this
machine. Its requests count against the key, not against its server's address; wrong keys
count against the address.
"""

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from pushctl.apikeys import SECRET, ApiKey, Ring
from pushctl.config import ApiConfig
from pushctl.errors import ConfigError
from pushctl.receiver.addresses import is_loopback, make_rate_key
from pushctl.receiver.answers import Refusal, retry_later
from pushctl.receiver.rates import Buckets, RateLimits
from pushctl.rules.limits import MAX_WRONG_API_KEYS

_BEARER = re.compile(r"bearer +([\x21-\x7e]+)", re.IGNORECASE)
# Names under which programs put keys into addresses.
_KEY_NAMES = frozenset(
    {"key", "api_key", "apikey", "api-key", "access_token", "token", "auth", "bearer", "secret"}
)
_FORWARDED = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded")
_MINUTE = 60.0
_MOST_ADDRESSES = 10_000
_ASK = 'Bearer realm="pushctl"'
_ANOTHER = "Make another one: pushctl apikeys create"


@dataclass
class Call:
    """One request, and whose it is as soon as that is known: the log names the key."""

    route: str
    key: ApiKey | None = None


class Gate:
    """Admits requests with a valid key; ``admit`` raises Refusal for the others."""

    def __init__(
        self,
        ring: Ring,
        rates: RateLimits,
        settings: ApiConfig,
        sites: Collection[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ring = ring
        self._sites = sites
        self._rates = rates
        minute = settings.requests_per_minute / _MINUTE
        self._requests = Buckets(minute, burst_seconds=_MINUTE, clock=clock)
        self._items = Buckets(settings.events_per_second, clock=clock)
        self._wrong = WrongKeys(clock)

    def admit(
        self, call: Call, scope: Any, scopes: Collection[str], secret: str | None = None
    ) -> ApiKey:
        """
        Return the key of a request; it has one of *scopes*.

        Its *secret*, where it came in another form than as a bearer's.
        """
        heads = dict(scope["headers"])
        self._refuse_query(call, scope["query_string"])
        self._refuse_open(scope, heads)
        call.key = key = self._find_key(scope, secret or _read_bearer(heads))
        now = time.time_ns() // 1_000_000
        if end := key.find_end(now):
            raise _refuse_key(f"This key is {end}.", _ANOTHER, end)
        if key.site not in self._sites:
            raise _refuse_key("This key's site is no more.", _ANOTHER, "no site")
        if not key.scopes & set(scopes):
            raise refuse_scope(scopes)
        if wait := self._requests.take(key.id):
            raise _refuse_rate("requests", wait)
        return key

    def count_items(self, key: ApiKey, number: int) -> None:
        """Raise Refusal (429) when *key* sends more items a second than it may."""
        if wait := self._items.take(key.id, number):
            raise _refuse_rate("items", wait)

    def _refuse_query(self, call: Call, raw: bytes) -> None:
        """Refuse a key in the address, where proxies and logs would keep it."""
        if not raw:
            return
        text = raw.decode("latin-1")
        # Its length is bounded by that of a request's head.
        pairs = parse_qsl(text, keep_blank_values=True)
        found = SECRET.search(text)
        if not found and not any(name.lower() in _KEY_NAMES for name, _ in pairs):
            return
        if found:
            with suppress(ConfigError):
                call.key = self._ring.find(found[0])
        named = f"The key {call.key.id} was" if call.key else "A key was"
        error = f"{named} sent in the address, where logs keep it."
        remedy = "Send it as Authorization: Bearer, and revoke one that was in an address."
        raise Refusal(400, "key in address", error, remedy)

    def _refuse_open(self, scope: Any, heads: Mapping[bytes, bytes]) -> None:
        """Refuse what did not come over TLS or from this machine."""
        if scope["scheme"] == "https":
            return
        peer = scope["client"][0]
        forwarded = any(name in heads for name in _FORWARDED)
        if forwarded and self._rates.proxies.trusts(_strip_mapped(peer)):
            # The nearest proxy's own word stands last.
            last = heads.get(b"x-forwarded-proto", b"").split(b",")[-1].strip().lower()
            if last == b"https":
                return
            remedy = "Let your proxy send X-Forwarded-Proto: https (docs/receiver.md)."
        elif not forwarded and is_loopback(peer):
            return
        else:
            remedy = "Use https, and revoke a key that was sent without."
        error = "The API takes no key over a connection that others can read."
        raise Refusal(403, "no TLS", error, remedy)

    def _find_key(self, scope: Any, secret: str | None) -> ApiKey:
        if secret is None:
            self._rates.check(scope["client"][0], scope["headers"], None)
            error = "There is no API key."
            remedy = "Send it as Authorization: Bearer (pushctl apikeys create)."
            raise Refusal(401, "no key", error, remedy, {"www-authenticate": _ASK})
        try:
            key = self._ring.find(secret) if SECRET.fullmatch(secret) else None
        except ConfigError:
            raise retry_later("keys", "The keys can't be read.", 30) from None
        if key is None:
            address = self._rates.proxies.find_client(scope["client"][0], scope["headers"])
            self._wrong.count(address)
            remedy = "See `pushctl apikeys list`, or make one: pushctl apikeys create"
            raise _refuse_key("This is no key of ours.", remedy, "wrong key")
        return key


class WrongKeys:
    """Wrong keys by address; ``count`` refuses those beyond twenty in a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: OrderedDict[str | bytes, tuple[float, int]] = OrderedDict()

    def count(self, address: str) -> None:
        """
        Count a wrong key; raise Refusal (429) for one too many.

        A right key is always let in: nobody behind the same address can lock a shop out,
        and 32 random bytes are not found by trying.
        """
        name, now = make_rate_key(address), self._clock()
        since, count = self._counts.pop(name, (now, 0))
        if now - since >= _MINUTE:
            since, count = now, 0
        self._counts[name] = (since, count + 1)
        if len(self._counts) > _MOST_ADDRESSES:
            self._counts.popitem(last=False)
        if count >= MAX_WRONG_API_KEYS:
            wait = int(since + _MINUTE - now) + 1
            raise retry_later("wrong keys", "Too many wrong keys.", wait, 429)


def _read_bearer(heads: Mapping[bytes, bytes]) -> str | None:
    given = _BEARER.fullmatch(heads.get(b"authorization", b"").decode("latin-1").strip())
    return given[1] if given else None


def refuse_scope(scopes: Collection[str]) -> Refusal:
    needed = " or ".join(sorted(scopes))
    error = f"This key does not have the scope {needed}."
    remedy = f"Make another key: pushctl apikeys create --scope {min(scopes)}"
    ask = f'{_ASK}, error="insufficient_scope", scope="{" ".join(sorted(scopes))}"'
    return Refusal(403, "scope", error, remedy, {"www-authenticate": ask})


def _refuse_key(error: str, remedy: str, word: str) -> Refusal:
    ask = {"www-authenticate": f'{_ASK}, error="invalid_token"'}
    return Refusal(401, word, error, remedy, ask)


def _refuse_rate(what: str, wait: float) -> Refusal:
    return retry_later(f"{what} rate", f"Too many {what} of this key.", int(wait) + 1, 429)


def _strip_mapped(peer: str) -> str:
    return peer.removeprefix("::ffff:") if "." in peer else peer
