"""
Sources of the kind "2checkout": its IPN, and its INS where the settings allow MD5.

Facts: the vendor's pages on IPN parameters, IPN hash signature, IPN read receipt and INS.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pushctl.model import Millis
from pushctl.rules.config import checks
from pushctl.rules.shops import buy_links, twocheckout_ins, twocheckout_ipn, twocheckout_orders
from pushctl.rules.shops.sources import Headers
from pushctl.rules.shops.told import Told

GETS = True  # the vendor's panel looks whether the address answers before it takes it
INS_WORD = "ins"
WORDS: Mapping[str, str] = {
    buy_links.WORD: "the Buy Link Secret Word, which signs links to a basket",
    INS_WORD: "the INS Secret Word, where INS signs with MD5",
}


@dataclass(frozen=True)
class Options:
    """The settings of a source of this kind."""

    md5: bool = False  # believe what is signed with MD5 alone
    email: bool = True  # recognise buyers by the hash of their e-mail address
    # of the account, for notifications without TIMEZONE_OFFSET
    timezone: str | None = field(default=None, metadata={"check": checks.timezone})


def verify(
    raw: bytes, headers: Headers, secrets: Sequence[bytes], now: Millis, options: Options
) -> None:
    """Raise Refused unless one of *secrets* signed the notification."""
    if (told := twocheckout_ins.read(raw)) is not None:
        word = getattr(secrets, "words", {}).get(INS_WORD)
        twocheckout_ins.verify(told, [word] if word else secrets, md5=options.md5)
        return
    twocheckout_ipn.find_key(twocheckout_ipn.parse(raw), secrets, md5=options.md5)


def read(
    raw: bytes, headers: Headers, options: Options, email: Callable[[str], str | None]
) -> Told | None:
    """Return the order that a verified notification is about; None where it is about none."""
    hashing = email if options.email else _hash_nothing
    if (told := twocheckout_ins.read(raw)) is not None:
        return twocheckout_ins.read_order(told, options.timezone, hashing)
    return twocheckout_orders.read(twocheckout_ipn.parse(raw), options.timezone, hashing)


def answer(
    raw: bytes, headers: Headers, secrets: Sequence[bytes], now: Millis, options: Options
) -> tuple[str, bytes]:
    """Return the receipt of an IPN, signed with the key and the algorithm that it came with."""
    if twocheckout_ins.read(raw) is not None:
        return "text/plain", b""
    fields = twocheckout_ipn.parse(raw)
    key, algorithm = twocheckout_ipn.find_key(fields, secrets, md5=options.md5)
    return "text/plain", twocheckout_ipn.write_receipt(fields, key, algorithm, now)


def _hash_nothing(_: str) -> None:
    return None
