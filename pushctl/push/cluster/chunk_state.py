"""A chunk that is offered to workers, and what a session has to know of a coordinator."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from pushctl.model import Letter, Outcome
from pushctl.push.journal import Journal
from pushctl.push.postbox import Postbox


class Peer(Protocol):
    """A worker's connection."""

    def abort(self) -> None: ...


@dataclass(eq=False)
class Chunk:
    """Letters that were offered together."""

    token: str
    waiting: deque[Letter]  # not handed out
    session: Peer | None = None  # of the worker that has taken it
    handed: dict[int, Letter] = field(default_factory=dict)  # without an answer yet
    held: set[str] = field(default_factory=set)  # services that its worker sends no more to
    journal: Journal | None = None
    until: float = 0.0  # the end of the lease
    unsettled: list[int] = field(default_factory=list)  # answers that are not committed


class Source(Protocol):
    """The coordinator, as its sessions see it."""

    postbox: Postbox

    def take(self, token: str, session: Peer) -> tuple[Chunk, float] | None: ...

    def renew(self, chunk: Chunk) -> float: ...

    def hand_out(self, chunk: Chunk, count: int) -> tuple[list[Letter], bool]: ...

    def note(self, chunk: Chunk, outcomes: Iterable[Outcome]) -> None: ...

    def finish(self, chunk: Chunk) -> None: ...

    def hold_origin(self, chunk: Chunk, origin: str) -> None: ...

    def is_withheld(self, delivery: int) -> bool: ...

    def refuse(self, worker: str, why: str) -> None: ...
