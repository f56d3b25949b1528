"""
Full packets (TCP_CORK): all that is written while a block runs goes out at its end.

libcurl writes each request by itself, and each would be a packet of its own, which costs
both ends much time.
"""

import contextlib
import socket
from collections.abc import Iterator

# macOS and the BSDs have it under another name; elsewhere packets are sent at once.
_OPTION = getattr(socket, "TCP_CORK", getattr(socket, "TCP_NOPUSH", None))


@contextlib.contextmanager
def hold_packets(numbers: set[int]) -> Iterator[None]:
    """Hold part-filled packets back; removes closed file descriptors from *numbers*."""
    _set(numbers, 1)
    try:
        yield
    finally:
        _set(numbers, 0)


def _set(numbers: set[int], on: int) -> None:
    if _OPTION is None:
        return
    for number in tuple(numbers):
        try:
            borrowed = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, number)
        except OSError:
            numbers.discard(number)  # closed since
            continue
        # The number belongs to another file since, which is not TCP.
        with contextlib.suppress(OSError):
            borrowed.setsockopt(socket.IPPROTO_TCP, _OPTION, on)
        borrowed.detach()
