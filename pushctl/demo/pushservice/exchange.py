"""Requests, answers and messages of the push service, as values."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """One request with its whole body, whichever HTTP it came by."""

    method: str
    host: str  # as the sender wrote it, lower case: "fcm.googleapis.com", "127.0.0.1:8443"
    path: str  # with the query
    headers: Mapping[str, str]  # lower-case names; repeated ones are joined by ", "
    body: bytes

    @property
    def origin(self) -> str:
        return "https://" + self.host.removesuffix(":443")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a subscription's messages go, as its token holds it."""

    service: str  # "mozilla", "fcm", "wns", "apple"
    device: str  # the browser: a uaid, an Android id, or "simulated-..."
    channel: str  # the subscription within the browser
    key_hash: str = ""  # of the applicationServerKey; empty: subscribed without one


@dataclass(frozen=True, slots=True)
class Message:
    """An accepted message; *body* is encrypted for its browser."""

    id: str
    address: Address
    endpoint: str
    body: bytes
    sender: str  # the VAPID public key that signed, base64url; empty without one
    ttl: int  # seconds
    expires: float  # seconds since 1970
    topic: str | None = None
    urgency: str = "normal"
    encoding: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer, with a message to deliver or one to recall."""

    answer: Answer
    message: Message | None = None
    recalled: str | None = None  # the id of a message that its sender took back
