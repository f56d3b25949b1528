"""
How chunks travel to workers of this machine, and their outcomes back.

As plain tuples, by ``marshal``: named tuples and enums would be pickled each by its class's
name and a call of Python's own. Both ends are the same interpreter, which is all that
``marshal`` asks for. A cluster's workers are not: push/cluster/wire has its own form.
"""

import marshal
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, cast

from pushctl import push
from pushctl.model import Answer, Cause, Letter, Outcome
from pushctl.push import Postbox

# Named tuples of plain ones, without a call of Python's own for each (as _make has).
_letter = cast("Callable[[tuple[Any, ...]], Letter]", partial(tuple.__new__, Letter))
_outcome = cast("Callable[[tuple[Any, ...]], Outcome]", partial(tuple.__new__, Outcome))

_ANSWERS = tuple(Answer)
_NUMBERS = {answer: number for number, answer in enumerate(_ANSWERS)}
_CAUSES: dict[str | None, Cause | None] = {None: None, **{it.value: it for it in Cause}}

SendChunk = Callable[[Sequence[Letter], Postbox], list[Outcome]]


def pack_letters(letters: Iterable[Letter]) -> bytes:
    return marshal.dumps(list(map(tuple, letters)))


def read_letters(packed: bytes) -> list[Letter]:
    return list(map(_letter, _load(packed)))


def pack_outcomes(outcomes: Iterable[Outcome]) -> bytes:
    return marshal.dumps(
        [
            (
                delivery,
                _NUMBERS[answer],
                why,
                status,
                wait,
                place,
                latency,
                cause and cause.value,
            )
            for delivery, answer, why, status, wait, place, latency, cause in outcomes
        ]
    )


def read_outcomes(packed: bytes) -> list[Outcome]:
    return [
        _outcome((row, _ANSWERS[number], why, status, wait, place, latency, _CAUSES[cause]))
        for row, number, why, status, wait, place, latency, cause in _load(packed)
    ]


def _load(packed: bytes) -> list[tuple[Any, ...]]:
    # It came through a pipe from a process of our own.
    return cast("list[tuple[Any, ...]]", marshal.loads(packed))  # noqa: S302


def send(packed: bytes, postbox: Postbox, send_chunk: SendChunk = push.send_chunk) -> bytes:
    """Send a packed chunk, in a worker; return its packed outcomes. As ``push.send_chunk``."""
    return pack_outcomes(send_chunk(read_letters(packed), postbox))
