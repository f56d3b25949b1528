"""
Full packets: what is written while a block runs goes out together at its end.

libcurl writes each request by itself. Without this, a batch of them leaves in as many
packets, which costs both ends a good part of their work.
"""

import contextlib
import socket
from collections.abc import Iterator

# macOS and the BSDs have the same under another name; elsewhere nothing is held back.
_OPTION = getattr(socket, "TCP_CORK", getattr(socket, "TCP_NOPUSH", None))


@contextlib.contextmanager
def corked(numbers: set[int]) -> Iterator[None]:
    """
    Hold back part-filled packets of the sockets with these file descriptors.

    Those that are closed meanwhile are taken out of *numbers*.
    """
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
        # One that isn't TCP: the number was given to another file since.
        with contextlib.suppress(OSError):
            borrowed.setsockopt(socket.IPPROTO_TCP, _OPTION, on)
        borrowed.detach()
