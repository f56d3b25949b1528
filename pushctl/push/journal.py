"""
The journal of started and answered letters, which outlives the sending process.

One file a chunk: ``<run>-<first delivery>-<random>.journal``, under an exclusive flock of
the process that writes it. Not synced: a power loss may take its last records, for which
the reader must allow (jobs/delivery/recovery).
"""

import fcntl
import os
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pushctl import durable
from pushctl.errors import BusyError
from pushctl.model import Answer, Cause, Letter, Outcome
from pushctl.rules.delivery.known_reasons import cause_of

_STARTED = struct.Struct("<BQ")
# delivery, answer, status (0: none), retry after (-1: none), latency, and the lengths
# of reason and location (65535: none). Cause and NUL precede the reason, except in records
# of the second kind, which earlier versions wrote.
_ANSWERED = struct.Struct("<BQBHqIHH")
_IS_STARTED, _IS_WITHOUT_CAUSE, _IS_ANSWERED, _IS_SETTLED = 1, 2, 3, 4
_NONE = 0xFFFF
_ANSWERS = tuple(Answer)
_CAUSES = frozenset(Cause)
_NUMBERS = {answer: number for number, answer in enumerate(_ANSWERS)}


@dataclass(frozen=True)
class Recovered:
    """
    The content of the journals of a dead run, by delivery.

    A claimed delivery in neither was never started, unless the machine has restarted since.
    """

    outcomes: dict[int, Outcome]
    started: set[int]  # begun and not answered: in doubt
    files: tuple[Path, ...]

    def discard(self) -> None:
        """Remove the files; call it after the outcomes are committed."""
        for file in self.files:
            file.unlink(missing_ok=True)


class Journal:
    """The journal of one chunk; use it as a context manager."""

    def __init__(self, folder: Path, run: str, letters: Sequence[Letter]) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{run}-{letters[0].delivery}-{os.urandom(4).hex()}.journal"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self.path = folder / name
        self._file = os.open(self.path, flags, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._end = 0  # of the last whole record

    def write_started(self, deliveries: Iterable[int]) -> None:
        """Record that these are about to be sent; raises OSError."""
        pack = _STARTED.pack
        self._write(b"".join([pack(_IS_STARTED, delivery) for delivery in deliveries]))

    def write_answered(self, outcomes: Iterable[Outcome]) -> None:
        self._write(pack(outcomes))

    def write_settled(self, deliveries: Iterable[int]) -> None:
        """
        Record that these concern this journal no more; raises OSError.

        Their outcomes are committed while others of the chunk are under way, or a worker has
        given them back unsent: the run may send them in another chunk.
        """
        pack = _STARTED.pack
        self._write(b"".join([pack(_IS_SETTLED, delivery) for delivery in deliveries]))

    def _write(self, records: bytes) -> None:
        end = self._end + len(records)
        try:
            durable.write_all(self._file, records)
        except OSError:
            # Half a record would garble the next one.
            with suppress(OSError):
                os.ftruncate(self._file, self._end)
            raise
        self._end = end

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._file)


def pack(outcomes: Iterable[Outcome]) -> bytes:
    """Return the records of answered letters, as ``read`` reads them."""
    return b"".join([_pack(outcome) for outcome in outcomes])


def _pack(outcome: Outcome) -> bytes:
    reason = f"{outcome.cause or ''}\0{outcome.reason}".encode()[:4096]
    location = None if outcome.location is None else outcome.location.encode()[:4096]
    head = _ANSWERED.pack(
        _IS_ANSWERED,
        outcome.delivery,
        _NUMBERS[outcome.answer],
        outcome.http_status or 0,
        -1 if outcome.retry_after is None else outcome.retry_after,
        outcome.latency,
        len(reason),
        _NONE if location is None else len(location),
    )
    return head + reason + (location or b"")


class Settled(int):
    """The number of a delivery that concerns the journal no more."""


def read(records: bytes) -> Iterator[int | Outcome]:
    """Yield a journal's records: a started delivery's number, an Outcome, or a Settled."""
    at = 0
    while at < len(records):
        kind = records[at]
        if kind in (_IS_STARTED, _IS_SETTLED) and at + _STARTED.size <= len(records):
            number = _STARTED.unpack_from(records, at)[1]
            yield number if kind == _IS_STARTED else Settled(number)
            at += _STARTED.size
            continue
        known = kind in (_IS_ANSWERED, _IS_WITHOUT_CAUSE)
        if not known or at + _ANSWERED.size > len(records):
            return  # torn by a full disk: the missing ones stay started, so in doubt
        _, delivery, answer, status, wait, latency, reason, location = _ANSWERED.unpack_from(
            records, at
        )
        at += _ANSWERED.size
        end = at + reason + (0 if location == _NONE else location)
        if answer >= len(_ANSWERS) or end > len(records):
            return
        text = records[at : at + reason].decode("utf-8", "replace")
        before, _, why = text.partition("\0") if kind == _IS_ANSWERED else ("", "", text)
        place = records[at + reason : end].decode("utf-8", "replace")
        cause = Cause(before) if before in _CAUSES else Cause.OTHER if before else None
        if kind == _IS_WITHOUT_CAUSE and _ANSWERS[answer] is not Answer.ACCEPTED:
            cause = cause_of(why)
        retry_after = None if wait < 0 else wait
        stored = None if location == _NONE else place
        yield Outcome(
            delivery, _ANSWERS[answer], why, status or None, retry_after, stored, latency, cause
        )
        at = end


def recover(folder: Path, run: str, wait: float = 10.0) -> Recovered:
    """
    Read the journals of *run*, whose lock the caller holds.

    Waits up to *wait* seconds for workers of a dead parent to end; then raises BusyError.
    """
    deadline = time.monotonic() + wait
    outcomes: dict[int, Outcome] = {}
    started: set[int] = set()
    files = tuple(sorted(find_files(folder, run)))
    for file in files:
        answered, begun = _sort(read(_read_once_free(file, deadline)))
        outcomes |= answered
        started |= begun
    return Recovered(outcomes, started - outcomes.keys(), files)


def _sort(records: Iterable[int | Outcome]) -> tuple[dict[int, Outcome], set[int]]:
    """Return the outcomes of one journal, and what was started in it."""
    outcomes: dict[int, Outcome] = {}
    started: set[int] = set()
    for record in records:
        if isinstance(record, Outcome):
            outcomes[record.delivery] = record
        elif isinstance(record, Settled):
            outcomes.pop(record, None)
            started.discard(record)
        else:
            started.add(record)
    return outcomes, started


def find_files(folder: Path, run: str) -> list[Path]:
    """Return the journals of *run*, in no order."""
    if not folder.is_dir():
        return []
    # A glob takes five times as long, and Python caches each pattern.
    with os.scandir(folder) as files:
        names = [file.name for file in files if file.name.startswith(f"{run}-")]
    return [folder / name for name in names if name.endswith(".journal")]


def discard(folder: Path, run: str, first: int) -> None:
    """
    Remove the journal of the chunk whose first letter is the delivery *first*.

    Call it after its outcomes are committed.
    """
    for file in find_files(folder, f"{run}-{first}"):
        file.unlink(missing_ok=True)


def _read_once_free(file: Path, deadline: float) -> bytes:
    with file.open("rb") as stream:
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return stream.read()
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise BusyError(
                        f"a sending process of an earlier run still writes {file}. "
                        "Try again when it has ended."
                    ) from None
                time.sleep(0.02)
