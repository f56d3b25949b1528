"""
How chunks travel to workers of this machine, and their outcomes back.

A worker gets letters; or the claimed rows of a campaign that asks the database for nothing
more, and writes the letters itself: that costs as much as all that the coordinator does
with a row. The secret of their tokens is in its memory then, beside the VAPID keys.

As plain tuples, by ``marshal``: named tuples and enums would be pickled each by its class's
name and a call of Python's own. Both ends are the same interpreter, which is all that
``marshal`` asks for. A cluster's workers are not: push/cluster/wire has its own form.
"""

import marshal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from pushctl import push
from pushctl.config import Site
from pushctl.jobs.delivery.rendering.render import Renderer
from pushctl.jobs.delivery.types import Sendable
from pushctl.model import Answer, Campaign, Cause, Letter, Millis, Outcome
from pushctl.push import Postbox
from pushctl.store.clocks import read_seconds
from pushctl.store.ledger_rows import ClaimedRow
from pushctl.templates import Template

# Named tuples of plain ones, without a call of Python's own for each (as _make has).
_letter = cast("Callable[[tuple[Any, ...]], Letter]", partial(tuple.__new__, Letter))
_row = cast("Callable[[tuple[Any, ...]], ClaimedRow]", partial(tuple.__new__, ClaimedRow))
_outcome = cast("Callable[[tuple[Any, ...]], Outcome]", partial(tuple.__new__, Outcome))

_ANSWERS = tuple(Answer)
_NUMBERS = {answer: number for number, answer in enumerate(_ANSWERS)}
_CAUSES: dict[str | None, Cause | None] = {None: None, **{it.value: it for it in Cause}}

# Of the form. Later ones ask for each value whether it was written before, which takes half
# of the time and finds nothing in rows of a database.
_VERSION = 2

SendChunk = Callable[[Sequence[Letter], Postbox], list[Outcome]]


def arrange(items: Sequence[Sendable]) -> list[Sendable]:
    """Return a chunk in the order in which a worker sends it: its journal is called so."""
    rows = [item for item in items if isinstance(item, ClaimedRow)]
    if len(rows) == len(items):
        return list(rows)
    return [*(item for item in items if isinstance(item, Letter)), *rows]


def pack(arranged: Sequence[Sendable], now: Millis) -> bytes:
    """Return a chunk; letters of rows are written as of *now*."""
    letters = [tuple(item) for item in arranged if isinstance(item, Letter)]
    rows = [it for it in arranged if isinstance(it, ClaimedRow)] if letters else arranged
    return marshal.dumps((now, read_seconds(), letters, list(map(tuple, rows))), _VERSION)


def read(packed: bytes) -> tuple[Millis, float, list[Letter], list[ClaimedRow]]:
    """Return as of when letters are written, when the chunk was packed, and what is in it."""
    now, began, letters, rows = _load(packed)
    return now, began, list(map(_letter, letters)), list(map(_row, rows))


def pack_answer(outcomes: Iterable[Outcome], unwritten: Sequence[int] = ()) -> bytes:
    """Return what became of a chunk; *unwritten*: the rows that have no letter."""
    told = [
        (row, _NUMBERS[answer], why, status, wait, place, latency, cause and cause.value)
        for row, answer, why, status, wait, place, latency, cause in outcomes
    ]
    return marshal.dumps((told, list(unwritten)))


def read_answer(packed: bytes) -> tuple[list[Outcome], list[int]]:
    told, unwritten = _load(packed)
    outcomes = [
        _outcome((row, _ANSWERS[number], why, status, wait, place, latency, _CAUSES[cause]))
        for row, number, why, status, wait, place, latency, cause in told
    ]
    return outcomes, unwritten


def _load(packed: bytes) -> Any:
    # It came through a pipe from a process of our own.
    return marshal.loads(packed)  # noqa: S302


@dataclass(frozen=True)
class Recipe:
    """All that a worker needs to write letters of a campaign from its rows alone."""

    campaign: Campaign
    sites: Mapping[str, Site]
    keys: frozenset[str]  # ids
    token_secret: bytes = field(repr=False)

    def secret(self) -> bytes:
        return self.token_secret

    def make_renderer(self) -> Renderer:
        template = Template.from_sources(self.campaign.template, self.campaign.sources)
        return Renderer(self.campaign, template, self, self.keys)


_renderer: Renderer | None = None  # of this worker


def begin(recipe: Recipe) -> None:
    """Prepare this worker for chunks with rows."""
    global _renderer
    _renderer = recipe.make_renderer()


def send(packed: bytes, postbox: Postbox, send_chunk: SendChunk = push.send_chunk) -> bytes:
    """
    Send a packed chunk, in a worker; return its packed answer. As ``push.send_chunk``.

    Nothing is noted of a row that has no letter: the coordinator finds out why. All comes back
    unsent where the machine slept since the chunk was packed, or this worker was stopped.
    """
    now, began, letters, rows = read(packed)
    unwritten: list[int] = []
    if read_seconds() - began > postbox.standstill:
        return pack_answer([])
    if rows:
        assert _renderer is not None
        written, unwritten = _renderer.write(rows, now)
        letters += written
    return pack_answer(send_chunk(letters, postbox), unwritten)
