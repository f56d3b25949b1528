"""Sending where no process can listen, or no workers can be had: a unit, a bare container."""

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pushctl.demo.pushservice import PushService
from pushctl.jobs.delivery.pools import pool
from tests.support import program, sending, walls

pytestmark = pytest.mark.skipif(
    not walls.know_machine(), reason="the numbers of this machine's system calls are unknown"
)
SEVERAL = pool.FEW + 10  # so many that workers send
MANY = pool.MANY + 10  # so many that workers write the letters, too


def make(folder: Path, push_service: PushService, people: int) -> Path:
    field = sending.field(folder, push_service)
    sending.lead_to(folder, push_service)
    field.people(people, now=sending.soon())
    field.store.close()
    return folder


def start(
    folder: Path,
    wall: Callable[[], None] | None = walls.forbid,
    first: Sequence[str] = (),
    **variables: str,
) -> "subprocess.Popen[bytes]":
    words = ["send", "--everyone", "--template", "sale", "--yes", "--name", "walled"]
    return subprocess.Popen(
        [*first, *program.PROGRAM, "--project", str(folder), *words],
        env=program.environment({"PUSHCTL_PUSH__WORKERS": "2", **variables}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=wall,
    )


def wait_for(process: "subprocess.Popen[bytes]") -> None:
    errors = process.communicate(timeout=120)[1].decode()
    assert process.returncode == 0, errors


def test_a_large_campaign_is_sent_where_nobody_may_listen(
    tmp_path: Path, push_service: PushService
) -> None:
    folder = make(tmp_path / "project", push_service, MANY)
    before = len(push_service.receipts())
    process = start(folder)
    wait_for(process)
    read = Counter(one.endpoint for one in push_service.receipts(before))
    assert len(read) == MANY and set(read.values()) == {1}


def test_a_long_name_of_the_temporary_folder_keeps_nobody_from_sending(
    tmp_path: Path, push_service: PushService
) -> None:
    folder = make(tmp_path / "project", push_service, SEVERAL)
    temporary = folder / ("t" * 110)
    temporary.mkdir()
    before = len(push_service.receipts())
    process = start(folder, None, TMPDIR=str(temporary))
    wait_for(process)
    assert len(push_service.receipts(before)) == SEVERAL


def test_signals_that_the_caller_blocks_keep_nobody_waiting(
    tmp_path: Path, push_service: PushService
) -> None:
    """As a supervisor does that reads its own signals from a descriptor."""
    folder = make(tmp_path / "project", push_service, SEVERAL)
    before = len(push_service.receipts())

    def block() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

    process = start(folder, block)
    wait_for(process)
    assert len(push_service.receipts(before)) == SEVERAL


# Nothing but the project can be written.
BARE = """
for each in {places}; do mount -o remount,bind,ro $each; done
mount --bind {folder} {folder} && mount -o remount,bind,rw {folder}
cd / && exec "$@"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
@pytest.mark.parametrize("places", ["/", "/ /dev/shm"])
def test_a_container_without_temporary_files_or_semaphores_sends(
    places: str, tmp_path: Path, push_service: PushService
) -> None:
    folder = make(tmp_path / "project", push_service, MANY)
    before = len(push_service.receipts())
    script = BARE.format(places=places, folder=folder)
    if subprocess.run(["unshare", "--mount", "sh", "-ec", script, "sh", "true"]).returncode:
        pytest.skip("nothing can be mounted here")
    process = start(folder, None, ["unshare", "--mount", "sh", "-ec", script, "sh"], TMPDIR="")
    wait_for(process)
    read = Counter(one.endpoint for one in push_service.receipts(before))
    assert len(read) == MANY and set(read.values()) == {1}


def test_workers_that_were_spawned_end_with_a_killed_parent(
    tmp_path: Path, push_service: PushService
) -> None:
    folder = make(tmp_path / "project", push_service, SEVERAL)
    push_service.play([{"delay": [0.2, 0.4]}])
    before = len(push_service.receipts())
    process = start(folder)
    until = time.monotonic() + 60
    while len(push_service.receipts()) < before + 10 and time.monotonic() < until:
        time.sleep(0.01)
    workers = program.spawned_by(process.pid)
    assert workers
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    until = time.monotonic() + 10
    while any(map(program.is_running, workers)) and time.monotonic() < until:
        time.sleep(0.01)
    assert not [one for one in workers if program.is_running(one)]
