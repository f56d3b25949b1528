"""What is wrong with a server's certificate: its name, its days, who signed it."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pushctl.jobs.project.check_notes import Finding, Level
from pushctl.jobs.project.live.http import quote
from pushctl.model import Millis
from pushctl.rules.units import SECOND
from pushctl.rules.wording import clean, counted

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

AREA = "certificate"
_DAY = timedelta(days=1)
_RENEW = "Renew it, and let the web server load the new one."
_NAME = "Get a certificate for {host}, and let the web server show it there."
_CHAIN = "Let the web server send the whole chain (fullchain.pem) of an authority in browsers."


def judge(origin: str, chain: Sequence[str], now: Millis) -> Finding:
    """Return how long the certificate of *origin*, which TLS has trusted, still counts."""
    leaf = _read(chain)
    if leaf is None:
        return Finding(AREA, Level.NOTE, origin, "is trusted, and can't be read", _RENEW)
    left = leaf.not_valid_after_utc - _read_time(now)
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    text = f"is right; it ends in {_say(left)}, {leaf.not_valid_after_utc:%Y-%m-%d}"
    # Some live for six days only: then a part of their life counts.
    if left < min(7 * _DAY, life / 10):
        text = f"ends in {_say(left)}: its renewal does not work"
        return Finding(AREA, Level.PROBLEM, origin, text, _RENEW)
    if left < min(21 * _DAY, life / 3):
        text = f"ends in {_say(left)}, and should have been renewed by now"
        return Finding(AREA, Level.NOTE, origin, text, _RENEW)
    return Finding(AREA, Level.FINE, origin, text)


def diagnose(origin: str, chain: Sequence[str], fault: str, now: Millis) -> Finding:
    """Return why TLS does not trust the certificate of *origin*: *fault* has its words."""
    host = urlsplit(origin).hostname or ""
    leaf = _read(chain)
    found = list(_list_faults(leaf, host, _read_time(now))) if leaf else []
    if not found:
        found = [(_describe_chain(leaf, len(chain)) if leaf else fault, _CHAIN)]
    text = "; ".join(why for why, _ in found)
    return Finding(AREA, Level.PROBLEM, origin, f"is refused: {text}", found[0][1])


def _list_faults(leaf: "Certificate", host: str, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield (fault, remedy)."""
    if now > leaf.not_valid_after_utc:
        ended = f"{_say(now - leaf.not_valid_after_utc)} ago"
        yield f"it ended {ended}, {leaf.not_valid_after_utc:%Y-%m-%d}", _RENEW
    if now < leaf.not_valid_before_utc:
        begins = f"{leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        yield f"it counts from {begins} on", "Is the clock of this machine right?"
    names = _list_names(leaf)
    if not any(_is_for(name, host) for name in names):
        shown = ", ".join(clean(name)[:60] for name in names[:3]) or "no name"
        more = f" and {len(names) - 3} more" if names[3:] else ""
        yield f"it is for {shown}{more}, not for {host}", _NAME.format(host=host)


def _describe_chain(leaf: "Certificate", length: int) -> str:
    if leaf.issuer == leaf.subject:
        return "it is self-signed"
    issuer = quote(leaf.issuer.rfc4514_string())
    if length == 1:
        return f"the certificate of {issuer}, which signed it, is not sent with it"
    return f"this machine does not trust {issuer}"


def _is_for(name: str, host: str) -> bool:
    """Return whether a certificate's *name* covers *host* (RFC 6125, section 6.4.3)."""
    name, host = name.lower(), host.lower()
    if name.startswith("*."):
        return host.partition(".")[2] == name[2:] and "." in name[2:]
    return name == host


def _list_names(leaf: "Certificate") -> list[str]:
    from cryptography import x509

    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    addresses = names.get_values_for_type(x509.IPAddress)
    return [*names.get_values_for_type(x509.DNSName), *map(str, addresses)]


def _read(chain: Sequence[str]) -> "Certificate | None":
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(chain[0].encode()) if chain else None
    except ValueError:
        return None


def _read_time(now: Millis) -> datetime:
    return datetime.fromtimestamp(now / SECOND, UTC)


def _say(span: timedelta) -> str:
    if span < 2 * _DAY:
        return counted(int(span.total_seconds() // 3600), "hour")
    return counted(span.days, "day")
