"""One chunk: encrypt, post, journal, classify; hold an origin back that says stop."""

import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pushctl.errors import ConfigError, InputError
from pushctl.model import Answer, Cause, Letter, Millis, Outcome
from pushctl.push import vapid
from pushctl.push.encoder import Encoder, choose
from pushctl.push.journal import Journal
from pushctl.push.postbox import Postbox
from pushctl.push.request import headers
from pushctl.push.transport import Line, Reply, Transport
from pushctl.rules.delivery import answers, endpoints
from pushctl.rules.limits import MAX_ENDPOINT_CHARACTERS, MAX_PAYLOAD_BYTES

# Encrypted and started in one go: enough to fill turbo's lanes and a TLS record, few
# enough that answers are taken in between.
_BATCH = 64
_REFUSED_IN_A_ROW = 5  # then it is our key, not theirs (rules/delivery/lane decides further)
_FAILED_IN_A_ROW = 20  # then the service is down; going on only makes doubts
_MORE_TRIES = 2
_LOOK_FOR_STOP = 0.05  # seconds between looks for the stop file
_LONGEST_WAIT = 0.25


@dataclass
class _Sender:
    """What a process keeps from chunk to chunk: connections, keys, encoder."""

    postbox: Postbox
    transport: Transport
    encoder: Encoder
    keys: dict[str, vapid.Key]

    def serves(self, postbox: Postbox) -> bool:
        """Return whether nothing that this was built from differs in *postbox*."""
        same = {name: getattr(postbox, name) for name in ("journal", "run", "stop")}
        return replace(self.postbox, allowed_hosts=postbox.allowed_hosts, **same) == postbox


_lock = threading.Lock()
_sender: _Sender | None = None
stopping = threading.Event()  # set by a worker that was told to end


def send(letters: Sequence[Letter], postbox: Postbox) -> list[Outcome]:
    """
    Send *letters*; see ``pushctl.push.send_chunk``.

    Raises ConfigError when the journal can't be written and nothing of it was begun.
    """
    if not letters:
        return []
    with _lock:
        journal = _journal(postbox, letters)
        try:
            with journal:
                return _Chunk(open_sender(postbox), postbox, journal).run(letters)
        except BaseException:
            # Requests are in flight that nobody will take the answers of.
            close_sender()
            raise


def _journal(postbox: Postbox, letters: Sequence[Letter]) -> Journal:
    try:
        return Journal(postbox.journal, postbox.run, letters)
    except OSError as error:
        raise _unwritable(postbox, error) from error


def _unwritable(postbox: Postbox, error: OSError) -> ConfigError:
    return ConfigError(
        f"{postbox.journal} can't be written: {error.strerror}. Without it nothing more is "
        "sent, for a crash could not tell what was. Make room or put the folder right, then "
        "go on with pushctl campaigns resume."
    )


def open_sender(postbox: Postbox) -> _Sender:
    """Return this process's connections and keys for *postbox*, made at first use."""
    global _sender
    if _sender is not None and _sender.serves(postbox):
        return _sender
    close_sender()
    keys = {name: vapid.read(pem) for name, pem in postbox.keys.items()}
    _sender = _Sender(postbox, Transport(postbox), choose(postbox.encoder), keys)
    return _sender


def close_sender() -> None:
    """Close every connection of this process."""
    global _sender
    if _sender is not None:
        _sender.transport.close()
        _sender = None


def wait_until_idle() -> None:
    """Return once no chunk is under way; no other will begin."""
    _lock.acquire()


@dataclass
class _Queue:
    """The letters of one origin that wait, and why they are held back if they are."""

    line: Line
    waiting: deque[Letter] = field(default_factory=deque)
    heads: dict[tuple[object, ...], list[str]] = field(default_factory=dict)
    refused: int = 0  # in a row
    failed: int = 0
    held: bool = False
    retry_after: Millis | None = None

    def room(self) -> int:
        return 0 if self.held else min(len(self.waiting), self.line.limit - self.line.flying)


class _Chunk:
    def __init__(self, sender: _Sender, postbox: Postbox, journal: Journal) -> None:
        self.sender, self.postbox, self.journal = sender, postbox, journal
        self.transport = sender.transport
        self.now: Millis = int(time.time() * 1000)
        self.queues: dict[str, _Queue] = {}
        self.outcomes: list[Outcome] = []
        self.refusals: Counter[int] = Counter()  # by delivery
        self._looked = 0.0
        self._unwritable: OSError | None = None  # why the journal takes nothing more

    def run(self, letters: Sequence[Letter]) -> list[Outcome]:
        self.transport.leave_the_dead()
        for letter in letters:
            self._sort(letter)
        while True:
            self._look_for_stop()
            started = self._start_some()
            if not started and not self.transport.flying:
                break
            self._take(self._pump())
        if self._unwritable is not None and not self.outcomes:
            raise _unwritable(self.postbox, self._unwritable)
        for queue in self.queues.values():
            self.outcomes += [_held(letter, queue.retry_after) for letter in queue.waiting]
        return self.outcomes

    def _sort(self, letter: Letter) -> None:
        """Put a letter into its origin's queue, or refuse it."""
        try:
            origin = endpoints.origin(letter.endpoint, self.postbox.allowed_hosts)
        except InputError:
            self._refuse(letter, Answer.BLOCKED, Cause.ADDRESS_NOT_ALLOWED, _NOT_ALLOWED)
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

    def _refuse(self, letter: Letter, answer: Answer, cause: Cause, reason: str) -> None:
        self.outcomes.append(Outcome(letter.delivery, answer, reason, cause=cause))

    def _start_some(self) -> int:
        """Encrypt and start a batch from the queues that have room; return how many."""
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
            self.journal.started([letter.delivery for _, letter, _ in ready])
        except OSError as error:
            self._unwritable = error
            # Without the journal a crash could not tell what was sent: send nothing more.
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
            authorization = vapid.header(queue.line.origin, key, self.postbox.contact, self.now)
            head = queue.heads[name] = headers(authorization, letter, queue.line.host)
        return head

    def _pump(self) -> list[Reply]:
        full = [
            queue.line for queue in self.queues.values() if queue.waiting and not queue.held
        ]
        could_start = any(queue.room() > 0 for queue in self.queues.values())
        replies = self.transport.pump(0)
        if replies or could_start:
            return replies
        # The windows are full, no answer has come, and there is nothing to do.
        for line in full:
            line.grow()
        if any(queue.room() > 0 for queue in self.queues.values()):
            return replies
        return self.transport.pump(_LONGEST_WAIT)

    def _take(self, replies: list[Reply]) -> None:
        taken = [self._outcome(reply) for reply in replies if not self._again(reply)]
        if not taken:
            return
        self.outcomes += taken
        try:
            self.journal.answered(taken)
        except OSError:
            self._hold_all()  # as in _start_some; these still reach the caller

    def _again(self, reply: Reply) -> bool:
        """
        Put a letter that the service refused to look at back in the queue, twice at most.

        Services do that when they end a connection that has served its time.
        """
        if not reply.refused or self.refusals[reply.letter.delivery] >= _MORE_TRIES:
            return False
        self.refusals[reply.letter.delivery] += 1
        self.queues[reply.origin].waiting.append(reply.letter)
        return True

    def _outcome(self, reply: Reply) -> Outcome:
        queue = self.queues[reply.origin]
        outcome = outcome_of(reply, queue.line.host, self.now)
        if outcome.answer is Answer.ACCEPTED:
            queue.refused = queue.failed = 0
            return outcome
        self._brake(queue, outcome)
        return outcome

    def _brake(self, queue: _Queue, outcome: Outcome) -> None:
        """Hold the rest of an origin back when its answer says so."""
        answer = outcome.answer
        queue.refused = queue.refused + 1 if answer is Answer.REFUSED else 0
        if outcome.cause is Cause.CONNECTION_LOST_WITH_OTHERS:
            return
        if answer in (Answer.RETRY, Answer.IN_DOUBT):
            queue.failed += 1
            queue.line.shrink()
        else:
            queue.failed = 0
        asked = outcome.retry_after is not None and answer is not Answer.THROTTLED_ONE
        if (
            asked
            or answer is Answer.OUR_FAULT
            or queue.refused >= _REFUSED_IN_A_ROW
            or queue.failed >= _FAILED_IN_A_ROW
        ):
            queue.held = True
            queue.retry_after = outcome.retry_after

    def _look_for_stop(self) -> None:
        if stopping.is_set():
            self._hold_all()
        elif self.postbox.stop is not None:
            now = time.monotonic()
            if now - self._looked > _LOOK_FOR_STOP:
                self._looked = now
                if self.postbox.stop.exists():
                    self._hold_all()

    def _hold_all(self) -> None:
        for queue in self.queues.values():
            queue.held = True


def _held(letter: Letter, retry_after: Millis | None) -> Outcome:
    return Outcome(
        letter.delivery,
        Answer.RETRY,
        "held back",
        retry_after=retry_after,
        cause=Cause.HELD_BACK,
    )


def outcome_of(reply: Reply, host: str, now: Millis) -> Outcome:
    """Return what a reply means for its letter."""
    delivery, status = reply.letter.delivery, reply.status
    if 200 <= status < 300:
        location = _location(reply.headers)
        return Outcome(
            delivery,
            Answer.ACCEPTED,
            str(status),
            status,
            None,
            location,
            reply.latency,
        )
    if status:
        verdict = answers.classify(host, status, _fields(reply.headers), reply.body, now)
        return Outcome(
            delivery,
            verdict.answer,
            verdict.reason,
            status,
            verdict.retry_after,
            None,
            reply.latency,
            verdict.cause,
        )
    cause = reply.cause
    if reply.blocked:
        answer, cause, reason = Answer.BLOCKED, Cause.ADDRESS_NOT_ALLOWED, _NOT_ALLOWED
    elif reply.written:
        answer, reason = Answer.IN_DOUBT, reply.fault
    else:
        answer, reason = Answer.RETRY, f"not sent: {reply.fault}"
    return Outcome(delivery, answer, reason, latency=reply.latency, cause=cause)


_NOT_ALLOWED = "address not allowed"


def _location(lines: list[bytes]) -> str | None:
    for line in lines:
        if line[:9].lower() == b"location:":
            text = line[9:].decode("latin-1").strip()
            # One that is longer than any endpoint is nothing that can be asked back.
            return text if len(text) <= MAX_ENDPOINT_CHARACTERS else None
    return None


def _fields(lines: list[bytes]) -> dict[str, str]:
    """Return the last answer's header fields, names in lower case."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(b"HTTP/"):
            fields.clear()
            continue
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            fields[name.strip().lower()] = value.strip()
    return fields
