"""
The frames between a coordinator and a worker: kind, length, body.

A worker asks, the coordinator answers in order; two kinds come unasked (STOP, WITHHELD).
What a worker writes is read without pickle; what it reads was written by the coordinator,
whose code it runs anyway.
"""

import pickle
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from pushctl.model import Letter
from pushctl.rules.limits import MAX_CLUSTER_FRAME_BYTES

# Of both sides together: a worker with another number is refused.
PROTOCOL = 1

HEAD = struct.Struct("<BI")  # kind, bytes of the body
SECONDS = struct.Struct("<d")
COUNT = struct.Struct("<I")
RENEWED = struct.Struct("<Id")  # the number of the RENEW, seconds


class Kind(IntEnum):
    """The kind of a frame; in brackets its body."""

    # from a worker
    HELLO = 1  # first on a connection (JSON)
    TAKE = 2  # a chunk's lease (its token)
    MORE = 3  # letters wanted (COUNT)
    ANSWERED = 4  # records of a journal
    RENEW = 5  # the lease (COUNT: a number)
    END = 6  # of the chunk: nothing is in flight any more
    # from the coordinator
    WELCOME = 16  # (a pickled Postbox)
    REFUSED = 17  # (a text)
    GRANTED = 18  # the lease, for so long (SECONDS)
    TAKEN = 19  # another worker has or had the chunk, or nobody knows it
    LETTERS = 20  # (pickled tuples)
    LAST = 21  # no letter of this chunk comes any more
    EXTENDED = 22  # the lease, from the RENEW of that number on (RENEWED)
    STOP = 23  # begin nothing more
    WITHHELD = 24  # do not begin these deliveries (64-bit numbers)


class BrokenFrameError(Exception):
    """The other side does not speak as agreed."""


@dataclass(frozen=True)
class Ticket:
    """What Dask carries: where a worker asks for the letters of one chunk."""

    address: tuple[str, int]  # of the coordinator
    token: str = field(repr=False)  # Dask logs the arguments of what fails
    version: str
    encrypted: bool


def pack(kind: Kind, body: bytes = b"") -> bytes:
    return HEAD.pack(kind, len(body)) + body


def read_head(head: bytes) -> tuple[Kind, int]:
    """Return kind and length of a frame; raises BrokenFrameError."""
    kind, size = HEAD.unpack(head)
    if size > MAX_CLUSTER_FRAME_BYTES:
        raise BrokenFrameError(f"a frame of {size} bytes")
    try:
        return Kind(kind), size
    except ValueError:
        raise BrokenFrameError(f"a frame of kind {kind}") from None


def pack_letters(letters: Iterable[Letter]) -> bytes:
    # Plain tuples: a third of the time of named ones.
    return pickle.dumps([tuple(letter) for letter in letters], pickle.HIGHEST_PROTOCOL)


def read_letters(body: bytes) -> list[Letter]:
    return [Letter(*one) for one in pickle.loads(body)]  # noqa: S301 - from the coordinator


def pack_numbers(numbers: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(numbers)}Q", *numbers)


def read_numbers(body: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(body) // 8}Q", body)
