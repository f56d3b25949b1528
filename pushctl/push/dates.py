"""Asks push services for the time: the Date of any answer of theirs (RFC 9110, 6.6.1)."""

from collections.abc import Iterable
from email.utils import parsedate_to_datetime

import pycurl

from pushctl.model import Letter, Millis
from pushctl.push.postbox import Postbox
from pushctl.push.transport import Transport

_HEAD = ("Accept-Encoding: identity", "Content-Type:", "Expect:")


def ask(origins: Iterable[str], postbox: Postbox) -> list[Millis]:
    """
    Return the times that *origins* ("https://host") tell, those without an answer left out.

    Nothing is sent but a GET of the root, without a subscription or a key.
    """
    transport = Transport(postbox)
    transport.options.append((pycurl.CUSTOMREQUEST, "GET"))
    dates = []
    try:
        for number, origin in enumerate(origins):
            letter = Letter(number, f"{origin}/", b"", b"", "", b"", 0, "", None)
            transport.start(transport.line(origin), letter, _HEAD, b"")
        while transport.in_flight:
            for reply in transport.pump(0.25):
                date = _find_date(reply.headers) if reply.status else None
                if date is not None:
                    dates.append(date)
    finally:
        transport.close()
    return dates


def _find_date(lines: list[bytes]) -> Millis | None:
    for line in reversed(lines):
        if line[:5].lower() == b"date:":
            try:
                date = parsedate_to_datetime(line[5:].decode("latin-1").strip())
                return int(date.timestamp() * 1000)
            except (ValueError, TypeError, IndexError, OverflowError):
                return None
    return None
