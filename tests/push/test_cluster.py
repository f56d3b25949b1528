"""push/cluster without Dask: a coordinator gives each letter away once, whatever workers do."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import pushctl
from pushctl.errors import ConfigError
from pushctl.model import Answer, Cause, Letter, Outcome
from pushctl.push import clock, journal
from pushctl.push.cluster import link, task, wire
from pushctl.push.cluster.coordinator import Back, Coordinator
from pushctl.push.cluster.identity import Identity, make_server_context
from pushctl.push.cluster.scheduler import make_ticket
from pushctl.push.cluster.wire import Kind, Ticket
from pushctl.push.postbox import Postbox
from tests.push.test_transport import KEY, letter, letters, postbox
from tests.support import ROOT
from tests.support import wire as services
from tests.support.cluster import Proxy, make_certificates, wait_until

MORE = 10


class Hub:
    """A coordinator at work, and what came back from it."""

    def __init__(self, box: Postbox, lease: float, context: ssl.SSLContext | None) -> None:
        self.coordinator = Coordinator(box, lease, context)
        self.address = self.coordinator.start("127.0.0.1", 0)
        self.coordinator.extend(clock.read_seconds() + 3600)
        self.encrypted = context is not None
        self.outcomes: list[Outcome] = []
        self.unsent: list[Letter] = []

    def offer(self, given: list[Letter], token: str = "one") -> Ticket:
        self.coordinator.offer(token, given)
        return self.ticket(token)

    def ticket(self, token: str = "one", address: tuple[str, int] | None = None) -> Ticket:
        return make_ticket(address or self.address, token, encrypted=self.encrypted)

    def collect(self, seconds: float = 0.0, *, settle: bool = True) -> Back:
        back = self.coordinator.collect(seconds)
        self.outcomes += back.outcomes
        self.unsent += back.unsent
        if settle:
            self.coordinator.settle(back)
        return back

    def collect_all(self) -> None:
        wait_until(lambda: self.collect(0.05) is not None and not self.coordinator.busy, "busy")

    def answers(self) -> dict[int, Answer]:
        return {one.delivery: one.answer for one in self.outcomes}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder


def identity(certificates: Path, name: str = "coordinator") -> Identity:
    at = certificates
    return Identity(at / "ca.pem", at / f"{name}.pem", at / f"{name}-key.pem")


def client_context(certificates: Path, name: str | None) -> ssl.SSLContext:
    """Return a context as Dask makes one; *name* None: without a certificate."""
    context = ssl.create_default_context(cafile=certificates / "ca.pem")
    context.check_hostname = False
    if name is not None:
        context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}-key.pem")
    return context


@pytest.fixture
def server(tmp_path: Path) -> Iterator[services.Wire]:
    def behave(request: services.Request) -> services.Answer | str:
        kind = request.path.split("/")[1]
        if kind == "busy":
            return services.Answer(status=503)
        return services.Answer(delay=0.01 if kind == "slow" else 0.0)  # one by one

    with services.serve(tmp_path, behave) as running:
        yield running


@pytest.fixture
def box(tmp_path: Path, server: services.Wire) -> Postbox:
    return postbox(tmp_path, server, timeout=60.0)  # a busy machine is no failure


@pytest.fixture
def open_hub(box: Postbox) -> Iterator[Callable[..., Hub]]:
    opened: list[Hub] = []

    def open_one(lease: float = 30.0, context: ssl.SSLContext | None = None) -> Hub:
        opened.append(Hub(box, lease, context))
        return opened[-1]

    yield open_one
    task._forget()
    for hub in opened:
        hub.coordinator.close()


@pytest.fixture
def hub(open_hub: Callable[..., Hub]) -> Hub:
    return open_hub()


class Worker:
    """A worker that does what a test says, frame by frame."""

    def __init__(self, hub: Hub, version: str | None = None) -> None:
        self.socket = socket.create_connection(hub.address, 10)
        said = {"worker": "tcp://w:1", "version": version or pushctl.__version__}
        self.say(Kind.HELLO, json.dumps({**said, "protocol": wire.PROTOCOL}).encode())
        self.greeting = self.hear()

    def say(self, kind: Kind, body: bytes = b"") -> None:
        self.socket.sendall(wire.pack(kind, body))

    def hear(self) -> tuple[Kind, bytes]:
        kind, size = wire.read_head(self._read(wire.HEAD.size))
        return kind, self._read(size)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def take(self, token: str = "one") -> Kind:
        self.say(Kind.TAKE, token.encode())
        return self.hear()[0]

    def ask(self, count: int = MORE) -> list[Letter]:
        self.say(Kind.MORE, wire.COUNT.pack(count))
        kind, body = self.hear()
        return wire.read_letters(body) if kind is Kind.LETTERS else []

    def answer(self, *outcomes: Outcome) -> None:
        self.say(Kind.ANSWERED, journal.pack(outcomes))


def accepted(delivery: int) -> Outcome:
    return Outcome(delivery, Answer.ACCEPTED, "201", 201)


def held(delivery: int) -> Outcome:
    return Outcome(delivery, Answer.RETRY, "held back", cause=Cause.HELD_BACK)


def test_letters_go_out_once_and_their_outcomes_come_while_the_rest_is_under_way(
    hub: Hub, server: services.Wire
) -> None:
    ticket = hub.offer([*letters(200), letter(200, endpoint=f"https://{services.HOST}/slow/1")])
    sent: list[str] = []
    thread = threading.Thread(target=lambda: sent.append(task.send_as("w", None, ticket)))
    thread.start()
    wait_until(lambda: hub.collect(0.01) is not None and len(hub.outcomes) >= 100, "no stream")
    hub.collect_all()
    thread.join()
    assert sent == ["sent"]
    assert hub.answers() == dict.fromkeys(range(201), Answer.ACCEPTED)
    assert set(server.bodies.values()) == {1} and len(server.bodies) == 201
    # Whatever runs it again sends nothing.
    assert task.send_as("w", None, ticket) == "taken"
    assert server.bodies.total() == 201
    assert not list(hub.coordinator.postbox.journal.iterdir())


def test_each_outcome_is_in_the_journal_before_the_run_knows_it(hub: Hub) -> None:
    hub.offer(letters(30))
    worker = Worker(hub)
    assert worker.take() is Kind.GRANTED
    given = worker.ask()
    worker.answer(*(accepted(it.delivery) for it in given[:4]), held(given[4].delivery))
    wait_until(lambda: hub.collect(0.01, settle=False) is not None and hub.unsent, "no answer")
    (file,) = hub.coordinator.postbox.journal.iterdir()
    records = list(journal.read(file.read_bytes()))
    settled = {int(it) for it in records if isinstance(it, journal.Settled)}
    started = {it for it in records if type(it) is int}
    assert started == {it.delivery for it in given}
    assert {it.delivery for it in records if isinstance(it, Outcome)} == set(range(4))
    assert settled == {4}  # it came back unsent: nobody may take it for begun
    # As the next run reads it, had this process died here.
    outcomes, doubted = journal._sort(records)
    assert outcomes.keys() == set(range(4))
    assert doubted - outcomes.keys() == set(range(5, MORE))


def test_what_is_committed_concerns_the_journal_no_more(hub: Hub) -> None:
    hub.offer(letters(20))
    worker = Worker(hub)
    worker.take()
    worker.ask()
    # It is to be tried again, and may be in another chunk while this one is under way.
    worker.answer(Outcome(0, Answer.RETRY, "503", 503, cause=Cause.SERVICE_FAULT), accepted(1))
    wait_until(lambda: hub.collect(0.01) is not None and len(hub.outcomes) == 2, "no answer")
    (file,) = hub.coordinator.postbox.journal.iterdir()
    outcomes, started = journal._sort(journal.read(file.read_bytes()))
    assert not outcomes
    assert started == set(range(2, MORE))


def test_a_chunk_is_taken_by_one_of_many(hub: Hub) -> None:
    hub.offer(letters(5))
    workers = [Worker(hub) for _ in range(4)]
    assert sorted(it.take() for it in workers) == [Kind.GRANTED, *[Kind.TAKEN] * 3]
    assert Worker(hub).take("no such token") is Kind.TAKEN


def test_of_a_lost_worker_what_it_had_is_in_doubt_and_the_rest_is_unsent(hub: Hub) -> None:
    ticket = hub.offer(letters(50))
    worker = Worker(hub)
    worker.take()
    given = worker.ask()
    worker.answer(accepted(given[0].delivery))
    worker.socket.close()
    hub.collect_all()
    doubted = {it.delivery for it in hub.outcomes if it.cause is Cause.SENDER_STOPPED}
    assert doubted == {it.delivery for it in given[1:]}
    assert {it.delivery for it in hub.unsent} == set(range(MORE, 50))
    assert task.send_as("w", None, ticket) == "taken"


def test_a_silent_worker_loses_its_lease(open_hub: Callable[..., Hub]) -> None:
    hub = open_hub(lease=0.5)
    hub.offer(letters(30))
    worker = Worker(hub)
    worker.take()
    worker.ask()
    hub.collect_all()
    assert len(hub.outcomes) == MORE and len(hub.unsent) == 20
    with pytest.raises(EOFError):  # what it says later counts no more
        worker.hear()


def test_a_lease_lasts_no_longer_than_it_is_committed(hub: Hub) -> None:
    hub.offer(letters(10))
    hub.coordinator.extend(clock.read_seconds() - 1)
    assert Worker(hub).take() is Kind.TAKEN
    hub.coordinator.extend(clock.read_seconds() + 5)
    worker = Worker(hub)
    worker.say(Kind.TAKE, b"one")
    kind, body = worker.hear()
    assert kind is Kind.GRANTED and wire.SECONDS.unpack(body)[0] <= 5
    worker.say(Kind.RENEW, wire.COUNT.pack(7))
    kind, body = worker.hear()
    number, seconds = wire.RENEWED.unpack(body)
    assert kind is Kind.EXTENDED and number == 7 and seconds <= 5


def test_after_a_stop_nothing_more_is_begun(hub: Hub, server: services.Wire) -> None:
    slow = [letter(it, endpoint=f"https://{services.HOST}/slow/{it}") for it in range(400)]
    hub.offer(letters(5), "untaken")
    ticket = hub.offer(slow)
    thread = threading.Thread(target=task.send_as, args=("w", None, ticket))
    thread.start()
    wait_until(lambda: hub.collect(0.01) is not None and hub.outcomes, "nothing was sent")
    hub.coordinator.stop()
    hub.collect_all()
    thread.join()
    assert all(one.answer is Answer.ACCEPTED for one in hub.outcomes)
    assert len(hub.outcomes) + len(hub.unsent) == 405
    assert len(hub.outcomes) == server.bodies.total() < 400
    assert task.send_as("w", None, hub.ticket("untaken")) == "taken"


def test_a_lane_that_is_held_gets_nothing_more(hub: Hub) -> None:
    hub.offer(letters(30))
    worker = Worker(hub)
    worker.take()
    worker.ask()
    hub.coordinator.hold(frozenset({(f"https://{services.HOST}", KEY.id)}))
    assert worker.ask() == []
    hub.collect(0.5)
    assert len(hub.unsent) == 20


def test_a_worker_gives_back_what_a_failing_service_leaves(
    hub: Hub, server: services.Wire
) -> None:
    busy = [letter(it, endpoint=f"https://{services.HOST}/busy/{it}") for it in range(450)]
    assert task.send_as("w", None, hub.offer(busy)) == "sent"
    hub.collect_all()
    assert {it.cause for it in hub.outcomes} == {Cause.SERVICE_FAULT}
    assert len(hub.outcomes) + len(hub.unsent) == 450 and len(hub.unsent) > 200


def test_what_is_withheld_is_not_begun(hub: Hub) -> None:
    hub.offer(letters(30))
    worker = Worker(hub)
    worker.take()
    worker.ask()
    hub.coordinator.withhold(frozenset({3, 4, 12}))
    kind, body = worker.hear()
    assert kind is Kind.WITHHELD and sorted(wire.read_numbers(body)) == [3, 4]
    worker.answer(held(3), held(4))
    # One letter that is withheld says nothing about its service.
    assert {it.delivery for it in worker.ask()} == {10, 11, *range(13, 21)}
    wait_until(lambda: hub.collect(0.01) is not None and len(hub.unsent) == 3, "they are kept")


def test_a_worker_of_another_version_gets_nothing(hub: Hub) -> None:
    hub.offer(letters(5))
    kind, why = Worker(hub, version="0.0.1").greeting
    assert kind is Kind.REFUSED
    assert why.decode() == f"it has pushctl 0.0.1, this machine {pushctl.__version__}"
    assert hub.coordinator.refused == {"tcp://w:1": why.decode()}
    other = Ticket(hub.address, "one", "0.0.1", encrypted=False)
    assert task.send_as("w", None, other).startswith("refused: this worker has pushctl")


def test_members_alone_get_in(
    open_hub: Callable[..., Hub], certificates: Path, box: Postbox
) -> None:
    hub = open_hub(context=make_server_context(identity(certificates)))
    ticket = hub.offer(letters(5))
    for name in ("stranger", None):
        result = task.send_as("w", client_context(certificates, name), ticket)
        assert result.startswith("failed"), result
    assert task.send_as("w", None, ticket).startswith("refused")
    assert task.send_as("w", client_context(certificates, "worker"), ticket) == "sent"
    hub.collect_all()
    assert len(hub.outcomes) == 5


def test_certificates_that_do_not_fit_are_named(certificates: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        make_server_context(identity(tmp_path))
    mixed = Identity(
        certificates / "ca.pem", certificates / "worker.pem", certificates / "ca-key.pem"
    )
    with pytest.raises(ConfigError, match="don't fit"):
        make_server_context(mixed)
    open_key = tmp_path / "key.pem"
    open_key.write_bytes((certificates / "worker-key.pem").read_bytes())
    open_key.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        make_server_context(
            Identity(certificates / "ca.pem", certificates / "worker.pem", open_key)
        )


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        wire.pack(Kind.TAKE, b"one"),
        wire.pack(Kind.HELLO, b"{"),
        wire.HEAD.pack(99, 0),
        wire.HEAD.pack(Kind.HELLO, 1 << 31),
        wire.pack(Kind.HELLO, b"[]"),
    ],
)
def test_who_speaks_otherwise_is_hung_up_on(hub: Hub, said: bytes) -> None:
    with socket.create_connection(hub.address, 10) as stranger:
        stranger.sendall(said)
        assert stranger.recv(100) in (b"", None)
    hub.offer(letters(5))
    worker = Worker(hub)
    assert worker.take() is Kind.GRANTED  # others are served
    worker.say(Kind.TAKE, b"one")  # two at once
    with pytest.raises(EOFError):
        worker.hear()
    hub.collect_all()


def test_without_room_for_the_journal_nothing_is_handed_out(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file is in its place")
    hub.offer(letters(5))
    assert Worker(hub).take() is Kind.TAKEN
    back = hub.collect(5.0)
    assert back.fault is not None and "campaigns resume" in str(back.fault)
    assert len(hub.unsent) == 5


# --- a worker as a process of its own: it may be ended by the kernel ------------------------

_WORKER = """
import sys
from pushctl.push import clock
from pushctl.push.cluster import task
from pushctl.push.cluster.scheduler import make_ticket
print(task.send_as("w", None, make_ticket(("127.0.0.1", int(sys.argv[1])), "one",
      encrypted=False)), clock.read_seconds(), sep=":", flush=True)
"""


def start_worker(port: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(port)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_worker_without_a_coordinators_word_ends_with_its_lease(
    open_hub: Callable[..., Hub], server: services.Wire
) -> None:
    hub, lease = open_hub(lease=2.0), 2.0
    proxy = Proxy(hub.address)
    slow = [letter(it, endpoint=f"https://{services.HOST}/slow/{it}") for it in range(3000)]
    hub.offer(slow)
    worker = start_worker(proxy.port)
    wait_until(lambda: server.bodies.total() > 100, "nothing was sent")
    proxy.stall()
    end = clock.read_seconds() + lease
    how, _, ended = worker.communicate(timeout=60)[0].partition(":")
    proxy.close()
    hub.collect_all()
    if worker.returncode == 0:  # it has cut off by itself what was in flight
        assert how in ("the lease ended", "sent")
        assert float(ended) < end + 1.0
    else:  # the machine is so busy that the kernel was first
        assert worker.returncode == -signal.SIGALRM
    assert len(hub.outcomes) + len(hub.unsent) == 3000
    doubted = {it.delivery for it in hub.outcomes if it.answer is Answer.IN_DOUBT}
    answered = {it.delivery for it in hub.outcomes} - doubted
    arrived = {int(path.rpartition("/")[2]) for path in server.bodies}
    assert answered <= arrived <= answered | doubted
    assert max(server.bodies.values()) == 1


@pytest.mark.slow
def test_the_kernel_ends_a_worker_that_was_stopped_beyond_its_lease(
    open_hub: Callable[..., Hub], server: services.Wire
) -> None:
    hub = open_hub(lease=2.0)
    hub.offer([letter(it, endpoint=f"https://{services.HOST}/slow/{it}") for it in range(3000)])
    worker = start_worker(hub.address[1])
    wait_until(lambda: server.bodies.total() > 100, "nothing was sent")
    os.kill(worker.pid, signal.SIGSTOP)
    hub.collect_all()
    assert len(hub.outcomes) + len(hub.unsent) == 3000
    assert worker.poll() is None
    os.kill(worker.pid, signal.SIGCONT)
    assert worker.wait(30) == -signal.SIGALRM
    known = {it.delivery for it in hub.outcomes}
    assert {int(path.rpartition("/")[2]) for path in server.bodies} <= known
    assert max(server.bodies.values()) == 1


def test_a_lease_counts_from_before_it_was_asked_for() -> None:
    lease = link.Lease()
    now = clock.read_seconds()
    lease.grant(now - 25.0, 30.0)
    try:
        assert not lease.may_begin() and not lease.has_ended()
        number = lease.ask_again(now)
        assert number is not None and lease.ask_again(now) is None
        lease.extend(number + 1, 30.0)
        assert not lease.may_begin()
        lease.extend(number, 30.0)
        assert lease.may_begin()
        lease.grant(now - 28.0, 30.0)
        assert lease.has_ended()
    finally:
        lease.give_back()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert lease.has_ended()
