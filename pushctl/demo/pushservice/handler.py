"""
Handles requests by the script of faults: logs them, asks the broker, answers.

It knows no version of HTTP; each version gives a Responder for a request.
"""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from typing import Protocol

from pushctl.demo.pushservice.broker import Broker
from pushctl.demo.pushservice.exchange import Answer, Request
from pushctl.demo.pushservice.faults import Fault, FaultPicker
from pushctl.demo.pushservice.sink import Sink

_PIECE = 64 * 1024


class Responder(Protocol):
    """Answers one request, over HTTP/1.1 or HTTP/2."""

    @property
    def open(self) -> bool: ...
    def answer(self, answer: Answer) -> None: ...
    def informational(self) -> None: ...
    def begin(self, answer: Answer, length: int | None) -> None: ...
    async def write(self, piece: bytes) -> None: ...
    def finish(self) -> None: ...
    def reset(self, scope: str) -> None: ...
    def close(self) -> None: ...
    def spoil(self) -> None: ...


class Handler(Protocol):
    """Handles the requests of a connection: ``ScriptedHandler`` or the control port."""

    def opened(
        self, host: str, path: str, responder: Responder
    ) -> tuple[Fault, float] | None: ...
    def received(
        self, request: Request, fault: Fault, delay: float, responder: Responder
    ) -> None: ...


class ScriptedHandler:
    def __init__(self, broker: Broker, sink: Sink, picker: FaultPicker) -> None:
        self.broker = broker
        self.sink = sink
        self.picker = picker
        self._tasks: set[asyncio.Task[None]] = set()

    def opened(self, host: str, path: str, responder: Responder) -> tuple[Fault, float] | None:
        """Return fault and delay for a request whose head was read; None once it is reset."""
        fault, delay = self.picker.pick(host.partition(":")[0], path)
        if fault.do == "reset_before":
            responder.reset(fault.scope)
            return None
        return fault, delay

    def received(
        self, request: Request, fault: Fault, delay: float, responder: Responder
    ) -> None:
        """Log and answer a request whose whole body was read."""
        self.sink.read(request, str(fault.status) if fault.do == "answer" else fault.do)
        if fault.do == "pass" or fault.do in _ALTERED or fault.deliver:
            answer = self.broker.take(request)
        else:
            answer = fault.answer
        if fault.do in ("pass", "answer"):
            self._later(delay, responder, answer)
            return
        task = asyncio.get_running_loop().create_task(
            self._perform(fault, delay, answer, responder)
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _later(self, delay: float, responder: Responder, answer: Answer) -> None:
        if delay:
            asyncio.get_running_loop().call_later(delay, responder.answer, answer)
        else:
            responder.answer(answer)

    async def _perform(
        self, fault: Fault, delay: float, answer: Answer, responder: Responder
    ) -> None:
        await asyncio.sleep(delay)
        await _PERFORM[fault.do](fault, answer, responder)


async def _reset(fault: Fault, answer: Answer, responder: Responder) -> None:
    responder.reset(fault.scope)


async def _silence(fault: Fault, answer: Answer, responder: Responder) -> None:
    return


async def _early_close(fault: Fault, answer: Answer, responder: Responder) -> None:
    responder.begin(answer, fault.size)
    await responder.write(b"x" * (fault.size // 2))
    responder.close()


async def _drip(fault: Fault, answer: Answer, responder: Responder) -> None:
    responder.begin(answer, fault.size)
    for _ in range(fault.size):
        await asyncio.sleep(fault.interval)
        if not responder.open:
            return
        await responder.write(b"x")
    responder.finish()


async def _huge(fault: Fault, answer: Answer, responder: Responder) -> None:
    responder.begin(answer, fault.size)
    left = fault.size
    while left > 0 and responder.open:
        await responder.write(b"x" * min(left, _PIECE))
        left -= _PIECE
    if responder.open:
        responder.finish()


async def _gzip(fault: Fault, answer: Answer, responder: Responder) -> None:
    # 64 kB of zeros make 98 bytes: the members of a gzip stream may follow each other.
    member = gzip.compress(bytes(_PIECE))
    packed = Answer(answer.status, (*answer.headers, ("content-encoding", "gzip")))
    responder.begin(packed, None)
    for _ in range(max(1, fault.size // _PIECE)):
        if not responder.open:
            return
        await responder.write(member)
    responder.finish()


async def _informational(fault: Fault, answer: Answer, responder: Responder) -> None:
    for number in range(fault.size):
        if not responder.open:
            return
        responder.informational()
        if number % 100 == 99:
            await asyncio.sleep(0)
    responder.answer(answer)


async def _headers(fault: Fault, answer: Answer, responder: Responder) -> None:
    more = tuple((f"x-filler-{number}", "x" * 64) for number in range(fault.size))
    responder.answer(Answer(answer.status, (*answer.headers, *more), answer.body))


async def _bad_framing(fault: Fault, answer: Answer, responder: Responder) -> None:
    responder.begin(answer, None)
    responder.spoil()


_PERFORM: dict[str, Callable[[Fault, Answer, Responder], Awaitable[None]]] = {
    "reset_after": _reset,
    "silence": _silence,
    "early_close": _early_close,
    "drip": _drip,
    "huge": _huge,
    "gzip": _gzip,
    "informational": _informational,
    "headers": _headers,
    "bad_framing": _bad_framing,
}

# These give the rules' own answer, in a nasty way.
_ALTERED = frozenset({"informational", "headers"})
