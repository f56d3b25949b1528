"""JSON with gaps for values: what is the same for many messages is made once."""

import re
from collections.abc import Sequence
from typing import NamedTuple, Self

from pushctl.rules.messages.payload import Frame


class JsonTemplate(NamedTuple):
    """A frame's constants, and which value goes into each gap."""

    head: bytes  # with %b for each gap
    gaps: tuple[int, ...]
    tail: bytes  # likewise, where it has gaps
    tail_gaps: tuple[int, ...]
    timed: bool

    @classmethod
    def cut(cls, made: Frame, marks: re.Pattern[bytes]) -> Self:
        """Return *made* with a gap for each of *marks*, whose group is the value's number."""
        head, tail = map(marks.split, made[:2])
        gaps = tuple(map(int, tail[1::2]))
        return cls(
            _join(head), tuple(map(int, head[1::2])), _join(tail) if gaps else made.tail, gaps,
            made.timed,
        )  # fmt: skip

    def fill(self, values: Sequence[bytes]) -> Frame:
        """Return the frame with *values*, as they stand in JSON."""
        head = self.head % tuple([values[at] for at in self.gaps])
        tail = self.tail
        if self.tail_gaps:
            tail %= tuple([values[at] for at in self.tail_gaps])
        return Frame(head, tail, self.timed)


def _join(pieces: Sequence[bytes]) -> bytes:
    """Return literal text and gaps, in turn in *pieces*, as a text for "%"."""
    return b"%b".join(piece.replace(b"%", b"%%") for piece in pieces[::2])
