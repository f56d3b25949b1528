"""One chunk: encrypt, post, journal, classify; hold letters back where an origin refuses."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from pushctl.errors import ConfigError, InputError
from pushctl.model import Answer, Cause, Letter, Millis, Outcome
from pushctl.push import vapid
from pushctl.push.clock import read_seconds
from pushctl.push.encoder import Encoder, choose
from pushctl.push.journal import Journal
from pushctl.push.postbox import Postbox
from pushctl.push.request import make_headers
from pushctl.push.transport import Line, Reply, Transport
from pushctl.rules.delivery import answers, endpoints
from pushctl.rules.limits import MAX_ENDPOINT_CHARACTERS, MAX_PAYLOAD_BYTES

# Letters encrypted and started at once: enough for turbo's lanes and a TLS record, few
# enough that answers are read in between.
_BATCH = 64
_REFUSED_IN_A_ROW = 5  # then our key is at fault (rules/delivery/lane decides further)
_FAILED_IN_A_ROW = 20  # then the service is down; more letters would end in doubt
_MORE_TRIES = 2
_STOP_CHECK_SECONDS = 0.05
_MAX_WAIT_SECONDS = 0.25
_NOT_ALLOWED = "address not allowed"
_NETWORK = ("no address", "no address of the proxy", "no connection", "timeout")


@dataclass
class Sender:
    """Connections, keys and encoder, which a process keeps from chunk to chunk."""

    postbox: Postbox
    transport: Transport
    encoder: Encoder
    keys: dict[str, vapid.Key]

    def matches(self, postbox: Postbox) -> bool:
        """Return whether all fields of *postbox* that this was made of are the same."""
        same = {name: getattr(postbox, name) for name in ("journal", "run", "stop", "withheld")}
        return replace(self.postbox, allowed_hosts=postbox.allowed_hosts, **same) == postbox


_lock = threading.RLock()
_sender: Sender | None = None
stopping = threading.Event()  # set by a worker that was told to end


def send(
    letters: Sequence[Letter], postbox: Postbox, look: Callable[[], None] | None = None
) -> list[Outcome]:
    """Send *letters*; see ``pushctl.push.send_chunk``."""
    if not letters:
        return []
    with _lock:
        try:
            journal = Journal(postbox.journal, postbox.run, letters)
        except OSError as error:
            raise _unwritable(postbox, error) from error
        with journal, sending(postbox) as sender:
            return Chunk(sender, postbox, journal, look).run(letters)


@contextmanager
def sending(postbox: Postbox) -> Iterator[Sender]:
    """Yield this process's connections and keys, for one chunk."""
    with _lock:
        try:
            yield open_sender(postbox)
        except BaseException:
            close_sender()  # the answers to requests in flight would be the next chunk's
            raise


def _unwritable(postbox: Postbox, error: OSError) -> ConfigError:
    return ConfigError(
        f"{postbox.journal} can't be written: {error.strerror}. Without it nothing more is "
        "sent, for a crash could not tell what was. Make room or put the folder right, then "
        "go on with pushctl campaigns resume."
    )


def open_sender(postbox: Postbox) -> Sender:
    """Return this process's connections and keys for *postbox*, made at first use."""
    global _sender
    if _sender is not None and _sender.matches(postbox):
        return _sender
    close_sender()
    keys = {name: vapid.read(pem) for name, pem in postbox.keys.items()}
    _sender = Sender(postbox, Transport(postbox), choose(postbox.encoder), keys)
    return _sender


def close_sender() -> None:
    """Close every connection of this process, once no other thread has a chunk under way."""
    global _sender
    with _lock:
        if _sender is not None:
            _sender.transport.close()
            _sender = None


def wait_until_idle() -> None:
    """Return once no chunk is under way; no other will begin."""
    _lock.acquire()


@dataclass
class _Queue:
    """The waiting letters of one origin; *held*: they are not sent in this chunk."""

    line: Line
    waiting: deque[Letter] = field(default_factory=deque)
    heads: dict[tuple[object, ...], list[str]] = field(default_factory=dict)
    refused: int = 0  # in a row
    failed: int = 0
    reached: bool = False  # an answer has come in this chunk
    held: bool = False
    retry_after: Millis | None = None

    def room(self) -> int:
        return 0 if self.held else min(len(self.waiting), self.line.limit - self.line.in_flight)


class Log(Protocol):
    """A journal, or what stands for one; ``write_started`` raises OSError to end a chunk."""

    def write_started(self, deliveries: Iterable[int], /) -> None: ...

    def write_answered(self, outcomes: Sequence[Outcome], /) -> None: ...


class Chunk:
    def __init__(
        self,
        sender: Sender,
        postbox: Postbox,
        journal: Log,
        look: Callable[[], None] | None,
    ) -> None:
        self.sender, self.postbox, self.journal, self.look = sender, postbox, journal, look
        self.transport = sender.transport
        self.now: Millis = int(time.time() * 1000)
        self.queues: dict[str, _Queue] = {}
        self.outcomes: list[Outcome] = []
        self.refusals: Counter[int] = Counter()  # by delivery
        self._looked = read_seconds()
        self._stop_checked = 0.0
        self._withheld = 0  # bytes of the file that are read
        self._unwritable: OSError | None = None  # the error of the journal

    def run(self, letters: Sequence[Letter]) -> list[Outcome]:
        self.transport.drop_dead_connections()
        for letter in letters:
            self._enqueue(letter)
        while True:
            self._check_stop()
            started = self._start_some()
            if not started and not self.transport.in_flight:
                break
            self._take(self._pump())
        if self._unwritable is not None and not self.outcomes:
            raise _unwritable(self.postbox, self._unwritable)
        for queue in self.queues.values():
            for letter in queue.waiting:
                wait = queue.retry_after
                self._refuse(letter, Answer.RETRY, Cause.HELD_BACK, "held back", wait)
        return self.outcomes

    def _enqueue(self, letter: Letter) -> None:
        """Put a letter into its origin's queue, or refuse it."""
        try:
            origin = endpoints.origin(letter.endpoint, self.postbox.allowed_hosts)
        except InputError:
            self._refuse(letter, Answer.BLOCKED, Cause.HOST_NOT_ALLOWED, _NOT_ALLOWED)
            return
        if len(letter.payload) > MAX_PAYLOAD_BYTES:
            self._refuse(letter, Answer.TOO_LARGE, Cause.TOO_LARGE, "payload too large")
            return
        if letter.key_id not in self.sender.keys:
            self._refuse(letter, Answer.QUARANTINE, Cause.KEY_MISSING, "its key is not here")
            return
        queue = self.queues.get(origin)
        if queue is None:
            queue = self.queues[origin] = _Queue(self.transport.line(origin))
        queue.waiting.append(letter)

    def _refuse(
        self,
        letter: Letter,
        answer: Answer,
        cause: Cause,
        reason: str,
        wait: Millis | None = None,
    ) -> None:
        outcome = Outcome(letter.delivery, answer, reason, retry_after=wait, cause=cause)
        self.outcomes.append(outcome)

    def _start_some(self) -> int:
        """Encrypt and start a batch from the queues that have room; return its size."""
        rooms = [(queue, room) for queue in self.queues.values() if (room := queue.room()) > 0]
        if not rooms:
            return 0
        share = max(1, _BATCH // len(rooms))
        batch = [
            (queue, queue.waiting.popleft())
            for queue, room in rooms
            for _ in range(min(room, share))
        ]
        bodies = self.sender.encoder.encode([letter for _, letter in batch])
        ready = []
        for (queue, letter), body in zip(batch, bodies, strict=True):
            if body is None:
                cause, reason = Cause.BAD_SUBSCRIPTION_KEY, "its p256dh is off the curve"
                self._refuse(letter, Answer.QUARANTINE, cause, reason)
            else:
                ready.append((queue, letter, body))
        try:
            self.journal.write_started([letter.delivery for _, letter, _ in ready])
        except OSError as error:
            self._unwritable = error
            # Without the journal nothing is known after a crash: send nothing more.
            for queue, letter, _ in ready:
                queue.waiting.append(letter)
            self._hold_all()
            return 0
        for queue, letter, body in ready:
            self.transport.start(queue.line, letter, self._head(queue, letter), body)
        return len(ready)

    def _head(self, queue: _Queue, letter: Letter) -> list[str]:
        name = (letter.key_id, letter.ttl, letter.urgency, letter.topic)
        head = queue.heads.get(name)
        if head is None:
            key = self.sender.keys[letter.key_id]
            authorization = vapid.make_header(
                queue.line.origin, key, self.postbox.contact, self.now
            )
            head = queue.heads[name] = make_headers(authorization, letter, queue.line.host)
        return head

    def _pump(self) -> list[Reply]:
        could_start = self._has_room()
        replies = self.transport.pump(0)
        if replies or could_start:
            return replies
        # The windows are full, no answer has come, and there is nothing to do.
        for queue in self.queues.values():
            if queue.waiting and not queue.held:
                queue.line.grow()
        return replies if self._has_room() else self._wait_for_replies()

    def _wait_for_replies(self) -> list[Reply]:
        """Return what is answered within _MAX_WAIT_SECONDS, as soon as there is anything."""
        return self.transport.pump(_MAX_WAIT_SECONDS)

    def _has_room(self) -> bool:
        return any(queue.room() > 0 for queue in self.queues.values())

    def _take(self, replies: list[Reply]) -> None:
        taken = [self._decide(reply) for reply in replies if not self._retry(reply)]
        if not taken:
            return
        self.outcomes += taken
        try:
            self.journal.write_answered(taken)
        except OSError:
            self._hold_all()  # as in _start_some; these still reach the caller

    def _retry(self, reply: Reply) -> bool:
        """
        Queue a letter again that the service refused to process, twice at most.

        Services refuse requests when they close a long-lived connection.
        """
        if not reply.refused or self.refusals[reply.letter.delivery] >= _MORE_TRIES:
            return False
        self.refusals[reply.letter.delivery] += 1
        self.queues[reply.origin].waiting.append(reply.letter)
        return True

    def _decide(self, reply: Reply) -> Outcome:
        queue = self.queues[reply.origin]
        outcome = _make_outcome(reply, queue.line.host, self.now)
        if outcome.answer is Answer.ACCEPTED:
            queue.refused = queue.failed = 0
            queue.reached = True
        else:
            self._hold_if_failing(queue, outcome)
        return outcome

    def _hold_if_failing(self, queue: _Queue, outcome: Outcome) -> None:
        """Hold the rest of an origin after an answer that blames it or us."""
        answer = outcome.answer
        if outcome.cause is Cause.NO_CONNECTION and not queue.reached:
            queue.held = True  # each further letter could wait for a timeout of its own
            return
        queue.reached = queue.reached or outcome.http_status is not None
        queue.refused = queue.refused + 1 if answer is Answer.REFUSED else 0
        if outcome.cause is Cause.CONNECTION_LOST_WITH_OTHERS:
            return
        if answer in (Answer.RETRY, Answer.IN_DOUBT):
            queue.failed += 1
            queue.line.shrink()
        else:
            queue.failed = 0
        asked = outcome.retry_after is not None and answer is not Answer.THROTTLED_ONE
        failing = queue.refused >= _REFUSED_IN_A_ROW or queue.failed >= _FAILED_IN_A_ROW
        if asked or failing or answer is Answer.OUR_FAULT:
            queue.held, queue.retry_after = True, outcome.retry_after

    def _check_stop(self) -> None:
        now = read_seconds()
        stood_still = now - self._looked > self.postbox.standstill
        self._looked = now
        if stopping.is_set() or stood_still:
            self._hold_all()
            return
        if now - self._stop_checked > _STOP_CHECK_SECONDS:
            self._stop_checked = now
            if self.postbox.stop is not None and self.postbox.stop.exists():
                self._hold_all()
            if self.look is not None:
                self.look()
            self._hold_withheld()

    def _hold_withheld(self) -> None:
        """Hold back the letters that ``postbox.withheld`` names, where they wait."""
        file = self.postbox.withheld
        try:
            if file is None or file.stat().st_size <= self._withheld:
                return
            text = file.read_text("ascii")
        except FileNotFoundError:
            return
        self._withheld = len(text)
        self._hold_back({int(line) for line in text.split("\n")[:-1]})

    def _hold_back(self, named: Collection[int]) -> None:
        """Hold back the deliveries *named*, where they wait."""
        for queue in self.queues.values():
            for letter in [it for it in queue.waiting if it.delivery in named]:
                queue.waiting.remove(letter)
                self._refuse(letter, Answer.RETRY, Cause.HELD_BACK, "held back")

    def _hold_all(self) -> None:
        for queue in self.queues.values():
            queue.held = True


def _make_outcome(reply: Reply, host: str, now: Millis) -> Outcome:
    delivery, status, latency = reply.letter.delivery, reply.status, reply.latency
    if 200 <= status < 300:
        place = _find_location(reply.headers)
        return Outcome(delivery, Answer.ACCEPTED, str(status), status, None, place, latency)
    if status:
        verdict = answers.classify(host, status, _parse_fields(reply.headers), reply.body, now)
        answer, reason, wait = verdict.answer, verdict.reason, verdict.retry_after
        return Outcome(delivery, answer, reason, status, wait, None, latency, verdict.cause)
    cause = reply.cause
    if reply.blocked:
        answer, cause, reason = Answer.BLOCKED, Cause.ADDRESS_NOT_ALLOWED, _NOT_ALLOWED
    elif reply.written:
        answer, reason = Answer.IN_DOUBT, reply.fault
    else:
        kind = "no network" if reply.fault in _NETWORK else "not sent"
        answer, reason = Answer.RETRY, f"{kind}: {reply.fault}"
    return Outcome(delivery, answer, reason, latency=latency, cause=cause)


def _find_location(lines: list[bytes]) -> str | None:
    for line in lines:
        if line[:9].lower() == b"location:":
            text = line[9:].decode("latin-1").strip()
            # A longer one than any endpoint can't be recalled.
            return text if len(text) <= MAX_ENDPOINT_CHARACTERS else None
    return None


def _parse_fields(lines: list[bytes]) -> dict[str, str]:
    """Return the last answer's header fields, names in lower case."""
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if line.startswith(b"HTTP/"):
            fields.clear()
        elif colon:
            fields[name.strip().lower()] = value.strip()
    return fields
