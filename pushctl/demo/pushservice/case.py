"""One request to a push service, and its verdict. Pure."""

from dataclasses import dataclass

from pushctl.demo.pushservice import checks
from pushctl.demo.pushservice.exchange import Address, Answer, Message, Request, Verdict

LONGEST_TTL = 30 * 24 * 3600  # seconds; more is cut down silently


@dataclass(frozen=True, slots=True)
class Case:
    request: Request
    address: Address | None  # None: the token is not one of ours
    gone: bool  # unsubscribed, or the browser forgot it
    now: float  # seconds since 1970
    id: str  # a fresh name for the message, should it become one


def refuse(status: int, *headers: tuple[str, str], body: bytes = b"") -> Verdict:
    return Verdict(Answer(status, headers, body))


def accept(
    case: Case, sender: str, *headers: tuple[str, str], status: int = 201, body: bytes = b""
) -> Verdict:
    """Return the verdict that accepts the message of *case*, whose address is known."""
    given = case.request.headers
    ttl = min(checks.read_ttl(given) or 0, LONGEST_TTL)
    assert case.address is not None
    message = Message(
        id=case.id,
        address=case.address,
        endpoint=f"https://{case.request.host}{case.request.path}",
        body=case.request.body,
        sender=sender,
        ttl=ttl,
        expires=case.now + ttl,
        topic=given.get("topic"),
        urgency=given.get("urgency", "normal"),
        encoding=given.get("content-encoding", ""),
    )
    return Verdict(Answer(status, (*headers, ("ttl", str(ttl))), body), message)
