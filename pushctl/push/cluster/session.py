"""One worker's connection, on the coordinator's side."""

import asyncio
import json
import pickle
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pushctl
from pushctl.model import Cause, Outcome
from pushctl.push import journal
from pushctl.push.cluster import wire
from pushctl.push.cluster.chunk_state import Chunk, Source
from pushctl.push.cluster.wire import BrokenFrameError, Kind
from pushctl.rules.delivery.endpoints import cut_origin

HELLO_SECONDS = 20.0  # for the first frame, whose sender has shown a certificate
_MOST = 2_048  # letters in one frame


class Session:
    def __init__(
        self,
        coordinator: Source,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._coordinator, self._reader, self._writer = coordinator, reader, writer
        self.worker = ""
        self.chunk: Chunk | None = None

    async def run(self) -> None:
        """Answer the worker until one of both sides closes the connection."""
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                kind, body = await self._read()
                welcome = self._greet(kind, body)
            self._writer.write(welcome)
            await self._writer.drain()
            while True:
                kind, body = await self._read()
                for frame in self._answer(kind, body):
                    self._writer.write(frame)
                await self._writer.drain()
        except (EOFError, OSError, TimeoutError, ssl.SSLError, BrokenFrameError, ValueError):
            pass  # the worker has ended, or is none
        finally:
            self.abort()

    async def _read(self) -> tuple[Kind, bytes]:
        kind, size = wire.read_head(await self._reader.readexactly(wire.HEAD.size))
        return kind, await self._reader.readexactly(size)

    def _greet(self, kind: Kind, body: bytes) -> bytes:
        """Return the answer to a worker's first frame: what it needs to send, or why not."""
        if kind is not Kind.HELLO:
            raise BrokenFrameError(f"{kind.name} first")
        said = json.loads(body)
        if not isinstance(said, dict):
            raise BrokenFrameError("no object")
        self.worker = str(said.get("worker"))[:200]
        if (said.get("version"), said.get("protocol")) != (pushctl.__version__, wire.PROTOCOL):
            theirs = str(said.get("version"))[:40]
            why = f"it has pushctl {theirs}, this machine {pushctl.__version__}"
            self._coordinator.refuse(self.worker, why)
            return wire.pack(Kind.REFUSED, why.encode())
        # Its paths are this machine's.
        nowhere = Path("/nonexistent")
        postbox = replace(self._coordinator.postbox, journal=nowhere, stop=None, withheld=None)
        return wire.pack(Kind.WELCOME, pickle.dumps(postbox, pickle.HIGHEST_PROTOCOL))

    def _answer(self, kind: Kind, body: bytes) -> Iterator[bytes]:
        if kind is Kind.TAKE:
            yield self._take(body.decode("ascii"))
            return
        if (chunk := self.chunk) is None:
            raise BrokenFrameError(f"{kind.name} without a chunk")
        if kind is Kind.MORE:
            yield from self._hand_out(chunk, *wire.COUNT.unpack(body))
        elif kind is Kind.ANSWERED:
            self._note(chunk, body)
        elif kind is Kind.RENEW:
            (number,) = wire.COUNT.unpack(body)
            seconds = self._coordinator.renew(chunk)
            yield wire.pack(Kind.EXTENDED, wire.RENEWED.pack(number, seconds))
        elif kind is Kind.END:
            self._coordinator.finish(chunk)
            self.chunk = None
        else:
            raise BrokenFrameError(f"{kind.name} from a worker")

    def _take(self, token: str) -> bytes:
        if self.chunk is not None:
            raise BrokenFrameError("two chunks at once")
        granted = self._coordinator.take(token, self)
        if granted is None:
            return wire.pack(Kind.TAKEN)
        self.chunk, seconds = granted
        return wire.pack(Kind.GRANTED, wire.SECONDS.pack(seconds))

    def _hand_out(self, chunk: Chunk, count: int) -> Iterator[bytes]:
        letters, more = self._coordinator.hand_out(chunk, min(count, _MOST))
        if letters:
            yield wire.pack(Kind.LETTERS, wire.pack_letters(letters))
        if not more:
            yield wire.pack(Kind.LAST)

    def _note(self, chunk: Chunk, body: bytes) -> None:
        outcomes = [it for it in journal.read(body) if isinstance(it, Outcome)]
        for outcome in outcomes:
            letter = chunk.handed.get(outcome.delivery)
            if outcome.cause is not Cause.HELD_BACK or letter is None:
                continue
            # Its worker sends no more to that service; a single letter may be withheld.
            if not self._coordinator.is_withheld(outcome.delivery):
                self._coordinator.hold_origin(chunk, cut_origin(letter.endpoint))
        self._coordinator.note(chunk, outcomes)

    def tell(self, withheld: frozenset[int] | None) -> None:
        """Tell the worker what it shall not begin; None: nothing more at all."""
        chunk = self.chunk
        if chunk is None:
            return
        if withheld is None:
            frame = wire.pack(Kind.STOP)
        elif theirs := [one for one in chunk.handed if one in withheld]:
            frame = wire.pack(Kind.WITHHELD, wire.pack_numbers(theirs))
        else:
            return
        with suppress(OSError, RuntimeError):
            self._writer.write(frame)

    def abort(self) -> None:
        """Close the connection without waiting for the other side."""
        with suppress(OSError, RuntimeError):
            self._writer.transport.abort()
