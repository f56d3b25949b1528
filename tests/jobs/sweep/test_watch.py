"""`sweep --watch`: what comes in is answered at once, and nobody waits for anybody else."""

import contextlib
import gc
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from pushctl import config as configs
from pushctl.demo.pushservice import PushService
from pushctl.inbox import Writer
from pushctl.jobs.sweep import watch
from pushctl.jobs.sweep.summary import Summary
from pushctl.jobs.sweep.wait_for_inbox import Wake
from pushctl.model import CampaignStatus, InboxRecord
from pushctl.rules import tokens
from tests.jobs.sweep.test_sweep_processes import plain_environment
from tests.support import DAY, ROOT, auth, project, sending
from tests.support.clocked import Clock
from tests.support.program import PROGRAM, pushctl
from tests.support.sending import APPLE, FCM, MOZILLA, Field

HELLO = """
[triggers.hello]
on    = "page_view"
steps = [{ after = "0s", template = "one" }]
"""


@pytest.fixture
def field(tmp_path: Path, service: PushService) -> Iterator[Field]:
    made = sending.field(tmp_path / "project", service)
    sending.template(made.config.folder, "one", title="one", body="Hello")
    project.add(made.config.folder, HELLO)
    sending.lead_to(made.config.folder, service)
    yield made
    made.store.close()


@contextlib.contextmanager
def watching(
    field: Field, program: Sequence[str] = PROGRAM, **variables: str
) -> "Iterator[subprocess.Popen[str]]":
    process = subprocess.Popen(
        [*program, "--project", str(field.config.folder), "sweep", "--watch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=plain_environment() | variables,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def end(process: "subprocess.Popen[str]", number: int = signal.SIGTERM) -> tuple[str, str]:
    process.send_signal(number)
    out, error = process.communicate(timeout=30)
    assert process.returncode == 0, error
    return out, error


def await_(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Return when *condition* holds; *seconds* end what hangs, also on a busy machine."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def view(field: Field, number: int, name: str = "page_view") -> None:
    """Have person number *number* do something, as the receiver writes it."""
    endpoint = field.store.connection.execute(
        "SELECT endpoint FROM subscriptions ORDER BY id LIMIT 1 OFFSET ?", (number,)
    ).fetchone()[0]
    body = f'{{"endpoint":"{endpoint}","events":[{{"name":"{name}"}}]}}'
    now = sending.soon()
    signed = tokens.sign_request(auth(number), "/v1/events", now // 1000, body.encode())
    name = tokens.encode(os.urandom(16))
    writer = Writer(field.config.inbox)
    writer.append([InboxRecord(name, now, "/v1/events", "shop", body, signed)])
    writer.close()


def list_read(service: PushService) -> list[str]:
    """Return where messages came; who asks for the time asks for no path."""
    return [one.path for one in service.receipts() if one.path != "/"]


def test_a_clock_that_is_set_beneath_a_watch_sends_nothing_early(
    field: Field, service: PushService, tmp_path: Path
) -> None:
    """It looked at the clock once a minute, and sent until then."""
    field.people(2)
    clock = Clock(tmp_path / "clock", sending.soon())
    later = field.freeze(sending.soon(), name="later", at="2099-01-01 12:00")
    program = [sys.executable, "-m", "tests.support.clocked", str(clock.file)]
    with watching(field, program, PYTHONPATH=str(ROOT)) as running:
        view(field, 0)
        await_(service.receipts, "no message came")
        clock.set(sending.soon() + 80 * 365 * DAY)
        assert running.stderr is not None
        said = next(line for line in running.stderr if "the clock is" in line)
        clock.set(sending.soon())
        view(field, 1)
        await_(lambda: len(list_read(service)) == 2, "the right clock changed nothing")
        end(running)
    assert "ahead of the last sweep" in said
    assert field.counts(later) == {"planned": 2}


def test_what_comes_is_answered_at_once_and_changes_are_followed(
    field: Field, service: PushService
) -> None:
    field.people(4)
    with watching(field) as running:
        view(field, 0)
        await_(service.receipts, "no message came")
        # Without waiting for the next minute, in a process that was there before.
        view(field, 1)
        began = time.monotonic()
        await_(lambda: len(service.receipts()) == 2, "no second message came")
        assert time.monotonic() - began < 5

        folder = str(field.config.folder)
        beside = pushctl("--project", folder, "sweep")
        assert (beside.code, beside.err) in ((0, ""), (75, ""))
        second = pushctl("--project", folder, "sweep", "--watch")
        assert second.code == 75
        assert "sweep --watch" in second.err

        bought = HELLO.replace("hello", "bye").replace("page_view", "left")
        project.add(field.config.folder, bought)
        view(field, 2, "left")
        await_(lambda: len(service.receipts()) == 3, "the new trigger sent nothing")
        project.add(field.config.folder, "nonsense")
        view(field, 3)
        await_(lambda: len(service.receipts()) == 4, "a broken file stopped the watch")
        out, error = end(running)
    assert "accepted" in out
    assert error.count("is not TOML") == 1, error
    assert "Traceback" not in error


def test_urgent_messages_wait_for_no_broadcast_and_no_silent_service(
    field: Field, service: PushService
) -> None:
    service.play([{"host": APPLE, "do": "silence"}])
    field.people(20, APPLE)
    slow = field.freeze(now=sending.soon() - 60_000)
    others = field.people(1, MOZILLA, first=20) + field.people(1, FCM, first=21)
    with watching(field, PUSHCTL_PUSH__TIMEOUT="4") as running:
        await_(lambda: service.receipts(), "the broadcast has not begun")
        for person in others:
            with field.store.write():
                urgent = field.store.campaigns.create(
                    name=f"order {person}",
                    template="sale",
                    audience="",
                    sources=slow.sources,
                    options={"urgent": True},
                    now=sending.soon(),
                    expires_at=None,
                    status=CampaignStatus.RUNNING,
                )
                plan = field.store.deliveries.plan
                plan(urgent.id, [person], now=sending.soon(), expires_after=60_000)
            began = time.monotonic()
            await_(lambda: field.counts(urgent) == {"accepted": 1}, "it waits")  # noqa: B023
            assert time.monotonic() - began < 5
        assert field.counts(slow).get("sending")
        running.kill()
        # What was under way comes to a good end, and the next watch goes on.
        running.wait()
    assert field.store.campaigns.get_status(slow.id) is CampaignStatus.RUNNING


def test_without_inotify_the_inbox_is_looked_at(tmp_path: Path) -> None:
    Wake(tmp_path).close()  # its modules are loaded
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = [int(name) for name in os.listdir("/proc/self/fd")]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(used) + 1, hard))
    blocked = []
    try:
        with contextlib.suppress(OSError):
            while True:
                blocked.append(os.dup(0))
        wake = Wake(tmp_path)
    finally:
        for one in blocked:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert wake.trouble is not None
    assert "five times a second" in wake.trouble
    began = time.monotonic()
    assert wake.wait(30.0, [])
    assert time.monotonic() - began < 15  # on a machine with much else to do, too
    wake.close()


def test_a_line_in_the_inbox_ends_the_waiting(tmp_path: Path) -> None:
    wake = Wake(tmp_path)
    assert not wake.wait(0.01, [])
    writer = Writer(tmp_path)
    writer.append([InboxRecord("1", sending.soon(), "/v1/events", "shop", "{}")])
    assert wake.wait(5.0, [])
    assert not wake.wait(0.01, [])
    writer.append([InboxRecord("2", sending.soon(), "/v1/events", "shop", "{}")])
    assert wake.wait(5.0, [])
    writer.close()
    wake.close()


def test_its_memory_does_not_grow(field: Field) -> None:
    project.add(field.config.folder, HELLO.replace("hello", "later").replace("0s", "9h"))
    field.people(1)
    config = configs.load(field.config.file, {})
    shown: list[Summary] = []
    one = watch._Watch(config, watch.Front(lambda: config, shown.append))
    try:
        sizes = []
        for turn in range(80):
            view(field, 0, "viewed")
            one._turn(news=True)
            if turn in (40, 79):
                gc.collect()
                sizes.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4)
    finally:
        one.__exit__()
    assert one._summary.counts["lines"] == 80
    assert sizes[1] - sizes[0] < 2_000, sizes  # KiB
