"""Sending from within a service's walls: nobody may listen there (jobs/project/unit_files)."""

import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from pushctl.demo.pushservice import PushService
from pushctl.jobs.delivery import pool
from tests.support import program, sending, walls

pytestmark = pytest.mark.skipif(
    not walls.know_machine(), reason="the numbers of this machine's system calls are unknown"
)
COUNT = pool.MANY + 500  # so many that workers write letters


@pytest.fixture
def folder(tmp_path: Path, push_service: PushService) -> Path:
    field = sending.field(tmp_path / "project", push_service)
    sending.lead_to(tmp_path / "project", push_service)
    field.people(COUNT, now=sending.soon())
    field.store.close()
    return tmp_path / "project"


def start(folder: Path) -> "subprocess.Popen[bytes]":
    words = ["send", "--everyone", "--template", "sale", "--yes", "--name", "walled"]
    return subprocess.Popen(
        [*program.PROGRAM, "--project", str(folder), *words],
        env=program.environment({}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=walls.forbid,
    )


def test_a_large_campaign_is_sent_where_nobody_may_listen(
    folder: Path, push_service: PushService
) -> None:
    before = len(push_service.receipts())
    process = start(folder)
    errors = process.communicate(timeout=120)[1].decode()
    assert process.returncode == 0, errors
    read = Counter(one.endpoint for one in push_service.receipts(before))
    assert len(read) == COUNT and set(read.values()) == {1}


def test_there_too_workers_end_with_a_killed_parent(
    folder: Path, push_service: PushService
) -> None:
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
