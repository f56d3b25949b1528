"""What a sending process keeps for each request in flight, by the C library's own account."""

import ctypes
from pathlib import Path

import pytest

from pushctl.model import Answer
from pushctl.push import chunk, send_chunk
from tests.push.test_transport import by_answer, letters, postbox
from tests.support import wire

MOST = 40_000  # bytes; libcurl's own choice comes to 76,000


class _Account(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    )


def in_use() -> int:
    """Return the bytes that malloc has given out in this process."""
    try:
        mallinfo = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        pytest.skip("this C library keeps no account of its memory")
    mallinfo.restype = _Account
    told = mallinfo()
    return int(told.uordblks + told.hblkhd)


def test_a_hundred_idle_handles_take_four_megabytes_at_most(tmp_path: Path) -> None:
    with wire.serve(tmp_path, lambda request: wire.Answer(delay=0.001), alpn=("h2",)) as server:
        box = postbox(tmp_path, server, window=100)
        send_chunk(letters(1), box)  # the connection, and what is loaded once
        before = in_use()
        outcomes = send_chunk(letters(400), box)
        grown = in_use() - before
        handles = len(chunk.open_sender(box).transport.line(f"https://{wire.HOST}").idle)
        chunk.close_sender()
    assert by_answer(outcomes) == {Answer.ACCEPTED: 400}
    assert handles == 100
    assert grown < handles * MOST
