"""Sending of a chunk whose letters come, and whose outcomes leave, while it is sent."""

import os
import select
from collections.abc import Iterable, Sequence
from errno import ETIMEDOUT

from pushctl.model import Answer, Cause, Letter, Millis, Outcome
from pushctl.push import clock, journal
from pushctl.push.chunk import Chunk, Sender
from pushctl.push.cluster import wire
from pushctl.push.cluster.link import Lease, Link
from pushctl.push.cluster.wire import Kind
from pushctl.push.transport import Reply

# Letters that wait here, beside those in flight: as few as keep the wire busy, for they are
# in doubt if this worker dies. Doubled whenever it runs dry.
_FIRST, _MOST = 64, 1024
_WAIT_SECONDS = 0.25


class LeaseEndedError(Exception):
    """The lease ended while letters were in flight: nobody waits for their outcomes."""


class RemoteJournal:
    """In place of a journal on this machine: the coordinator has it."""

    def __init__(self, link: Link, lease: Lease) -> None:
        self._link, self._lease = link, lease

    def write_started(self, deliveries: Iterable[int]) -> None:
        """Raise OSError where nothing more may be begun; the coordinator knows the rest."""
        if self._link.lost or not self._lease.may_begin():
            raise OSError(ETIMEDOUT, os.strerror(ETIMEDOUT))

    def write_answered(self, outcomes: Sequence[Outcome]) -> None:
        self._link.send(Kind.ANSWERED, journal.pack(outcomes))


class StreamedChunk(Chunk):
    """A chunk that comes through *link*."""

    def __init__(self, sender: Sender, link: Link, lease: Lease) -> None:
        self._remote_journal = RemoteJournal(link, lease)
        super().__init__(sender, link.postbox, self._remote_journal, None)
        self._link, self._lease = link, lease
        self._wanted = _FIRST
        self._asked = self._all = False  # letters are under way to us; there are no more

    def send(self) -> None:
        """Send what comes until nothing more does; raises LeaseEndedError."""
        self.transport.drop_dead_connections()
        while True:
            self._exchange()
            self._return_held()
            started = self._start_some()
            if not started and not self.transport.in_flight and self._is_over():
                break
            self._take(self._pump())
            self.outcomes.clear()  # they are told
        self._return_held()

    def _is_over(self) -> bool:
        if self._link.lost:
            return True
        # What was asked for is ours as soon as it leaves: it has to come and be given back.
        return not self._asked and not self._count_waiting() and (self._all or self._stopped)

    @property
    def _stopped(self) -> bool:
        return self._unwritable is not None

    def _exchange(self) -> None:
        """Read what the coordinator says, ask for letters, renew the lease."""
        for kind, body in self._link.receive():
            self._read(kind, body)
        if self._link.lost or not self._lease.may_begin():
            self._stop()
        if self._lease.has_ended():
            raise LeaseEndedError
        number = self._lease.ask_again(clock.read_seconds())
        if number is not None:
            self._link.send(Kind.RENEW, wire.COUNT.pack(number))
        self._ask_for_more()
        self._link.flush()

    def _read(self, kind: Kind, body: bytes) -> None:
        if kind is Kind.LETTERS:
            self._asked = False
            if self.queues and not self._count_waiting():
                self._wanted = min(2 * self._wanted, _MOST)
            for letter in wire.read_letters(body):
                self._enqueue(letter)
        elif kind is Kind.LAST:
            self._asked, self._all = False, True
        elif kind is Kind.EXTENDED:
            self._lease.extend(*wire.RENEWED.unpack(body))
        elif kind is Kind.STOP:
            self._stop()
        elif kind is Kind.WITHHELD:
            self._hold_back(set(wire.read_numbers(body)))

    def _ask_for_more(self) -> None:
        if self._asked or self._all or self._stopped:
            return
        waiting = self._count_waiting()
        if waiting < self._wanted:
            self._link.send(Kind.MORE, wire.COUNT.pack(2 * self._wanted - waiting))
            self._asked = True

    def _count_waiting(self) -> int:
        return sum(len(it.waiting) for it in self.queues.values() if not it.held)

    def _stop(self) -> None:
        self._unwritable = self._unwritable or OSError(ETIMEDOUT, os.strerror(ETIMEDOUT))
        self._hold_all()

    def _return_held(self) -> None:
        """Give letters back whose service is held."""
        for queue in self.queues.values():
            if queue.held or self._stopped:
                queue.held = True
                while queue.waiting:
                    letter, wait = queue.waiting.popleft(), queue.retry_after
                    self._refuse(letter, Answer.RETRY, Cause.HELD_BACK, "held back", wait)

    def _refuse(
        self,
        letter: Letter,
        answer: Answer,
        cause: Cause,
        reason: str,
        wait: Millis | None = None,
    ) -> None:
        super()._refuse(letter, answer, cause, reason, wait)
        self._remote_journal.write_answered(self.outcomes[-1:])

    def _wait_for_replies(self) -> list[Reply]:
        self._wait()
        return self.transport.pump(0)

    def _wait(self) -> None:
        """Wait until a push service or the coordinator says something."""
        poll = select.poll()
        self._link.register(poll)
        poll.poll(self.transport.register(poll, _WAIT_SECONDS))
