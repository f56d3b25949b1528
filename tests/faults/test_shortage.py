"""A machine that refuses threads or memory: a word and an end, and nothing hangs or is lost."""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl import lock
from pushctl.demo.pushservice import PushService
from pushctl.errors import ConfigError
from pushctl.jobs.delivery import deliver
from pushctl.jobs.sweep import job
from tests.support import project, receiving, sending
from tests.support.program import PROGRAM, Run, environment, pushctl
from tests.support.sending import Field

# pushctl, after so many threads of which the machine starts no other one.
FEW_THREADS = """
import sys, threading
left = int(sys.argv.pop(1))
def limit(plain):
    def start(*args, **options):
        global left
        if left == 0:
            raise RuntimeError("can't start new thread")
        left -= 1
        return plain(*args, **options)
    return start
for name in ("_start_new_thread", "_start_joinable_thread"):
    if hasattr(threading, name):
        setattr(threading, name, limit(getattr(threading, name)))
from pushctl.jobs.delivery.pools import pool
pool.FEW = 0  # a pool of processes for a handful of people, too
from pushctl.quick import main
main()
"""

# pushctl with so many more bytes of memory than it has now.
LITTLE_MEMORY = """
import resource, sys
from pushctl import cli, output
pages = int(open("/proc/self/statm").read().split()[0])
most = pages * resource.getpagesize() + int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_AS, (most, most))
cli.main()
"""


@pytest.fixture
def field(tmp_path: Path, service: PushService) -> Iterator[Field]:
    folder = tmp_path / "project"
    made = sending.field(folder, service)
    sending.lead_to(folder, service)
    yield made
    made.store.close()


def run_limited(script: str, limit: int, folder: Path, *words: str) -> Run:
    done = subprocess.run(
        [sys.executable, "-c", script, str(limit), *words],
        capture_output=True, text=True, cwd=folder, env=environment(), timeout=30,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return Run(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("threads", [0, 1])
def test_a_sender_without_threads_says_so_and_the_next_sends_all(
    field: Field, service: PushService, threads: int
) -> None:
    field.people(30)
    words = ("send", "--everyone", "--template", "sale", "--yes", "--name", "sale")
    run = run_limited(FEW_THREADS, threads, field.config.folder, *words)
    campaign = field.store.campaigns.get("sale")
    assert (run.code, "no more threads" in run.err) == (3, True), run.err
    assert "Traceback" not in run.err
    assert field.counts(campaign) == {"planned": 30}
    with lock.hold(deliver.lock_path(field.store, campaign.id)):
        pass  # nobody holds it any more
    again = pushctl("campaigns", "resume", "sale", cwd=field.config.folder)
    assert again.code == 0, again.err
    assert field.counts(campaign) == {"accepted": 30}
    assert len(service.receipts()) == 30


def test_a_sweep_without_threads_leaves_feeds_to_the_next(field: Field) -> None:
    project.add(
        field.config.folder,
        '[triggers.news]\nfeed = "http://127.0.0.1:9/feed"\nsteps = [{ template = "sale" }]',
    )
    field.people(3)
    field.freeze(sending.soon(), name="sale")
    run = run_limited(FEW_THREADS, 0, field.config.folder, "sweep")
    assert "no more threads" in run.err
    assert "bug" not in run.err


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("can't start new thread"),
        BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)),  # what fork() says
    ],
)
def test_a_process_of_a_watch_names_what_the_machine_refuses(
    field: Field, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(deliver, "run", refuse)
    field.people(1)
    campaign = field.freeze(sending.soon())
    work = job.Job(job.Work.BROADCAST, field.config, campaign.id, 1.0)
    answer = job._do(work)
    assert answer.error is not None and "no more threads or processes" in answer.error


@pytest.mark.parametrize("threads", [0, 1])
def test_a_receiver_without_threads_ends(field: Field, threads: int) -> None:
    words = ("receive", "--listen", f"127.0.0.1:{receiving.free_port()}")
    run = run_limited(FEW_THREADS, threads, field.config.folder, *words)
    assert (run.code, "no more threads" in run.err) == (3, True), run.err


def test_memory_that_runs_out_is_named(field: Field) -> None:
    field.people(50)
    words = ("campaigns", "list")
    run = run_limited(LITTLE_MEMORY, 1_000_000, field.config.folder, *words)
    assert (run.code, "memory" in run.err, "bug" in run.err) == (3, True, False), run.err


def test_a_bound_on_the_size_of_files_is_named(field: Field) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(ConfigError, match="ulimit -f"):
            field.people(200)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    field.people(1)


# Where root is bounded, it may not unmount anything.
HIDING = ("unshare", "-m", "sh", "-c", 'umount -l /proc && exec "$@"', "sh")
CAN_HIDE = subprocess.run([*HIDING, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not CAN_HIDE, reason="/proc can't be hidden from a process here")
def test_a_machine_without_proc_sends_and_knows_nothing_of_its_starts(
    field: Field, service: PushService
) -> None:
    field.people(3)
    send = ("send", "--everyone", "--template", "sale", "--yes", "--name", "sale")
    done = subprocess.run(
        [*HIDING, *PROGRAM, *send], cwd=field.config.folder, env=environment(),
        capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert field.counts(field.store.campaigns.get("sale")) == {"accepted": 3}
