"""The heads of answers, as bytes on the wire."""

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

_LINES = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}
CONTINUE = _LINES[HTTPStatus.CONTINUE] + b"\r\n"


def write_head(status: int, heads: tuple[tuple[bytes, bytes], ...], close: bool) -> bytes:
    """Return an answer's head, with the date that every answer has (RFC 9110, 6.6.1)."""
    return _write_fixed(status, heads, close) + _write_date(int(time.time()))


@lru_cache(maxsize=1024)
def _write_fixed(status: int, heads: tuple[tuple[bytes, bytes], ...], close: bool) -> bytes:
    """Return what is the same for many answers; there are few different ones."""
    lines = [_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status]
    lines += [b"%s: %s\r\n" % pair for pair in heads]
    return b"".join([*lines, b"connection: close\r\n" if close else b""])


@lru_cache(maxsize=2)
def _write_date(seconds: int) -> bytes:
    return b"date: %s\r\n\r\n" % formatdate(seconds, usegmt=True).encode()
