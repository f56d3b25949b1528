"""pushctl.lock: one holder, named; gone with its process."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pushctl import lock
from pushctl.errors import BusyError

HOLD = """
import sys, signal
from pathlib import Path
from pushctl import lock
with lock.hold(Path(sys.argv[1]), "a long broadcast"):
    print("held", flush=True)
    signal.pause()
"""


def holder(path: Path) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_second_holder_is_told_who_is_at_work(tmp_path: Path) -> None:
    path = tmp_path / "sweep.lock"
    process = holder(path)
    told = pytest.raises(BusyError, match=f"a long broadcast, process {process.pid}")
    try:
        with told, lock.hold(path):
            pass
    finally:
        process.kill()
        process.communicate()


def test_lock_dies_with_a_killed_process(tmp_path: Path) -> None:
    path = tmp_path / "sweep.lock"
    process = holder(path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with lock.hold(path):
        pass


def test_who_has_patience_gets_the_lock_once_it_is_free(tmp_path: Path) -> None:
    path = tmp_path / "drain.lock"
    process = holder(path)
    tried = threading.Event()

    def end() -> None:
        tried.wait()
        process.kill()
        process.communicate()

    ending = threading.Thread(target=end)
    ending.start()
    with pytest.raises(BusyError), lock.hold(path):
        pass
    tried.set()
    with lock.hold(path, "a person", patience=60):
        assert path.read_text().startswith("a person, process ")
    ending.join()


def test_lock_is_given_back_at_the_end_of_the_block_and_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "sweep.lock"
    with pytest.raises(ZeroDivisionError), lock.hold(path):
        1 / 0  # noqa: B018
    with lock.hold(path, "again"):
        assert path.read_text().startswith("again, process ")


def test_two_locks_do_not_meet(tmp_path: Path) -> None:
    with lock.hold(tmp_path / "one.lock"), lock.hold(tmp_path / "two.lock"):
        pass


def test_holder_named_in_the_file_reaches_the_message_without_control_characters(
    tmp_path: Path,
) -> None:
    path = tmp_path / "sweep.lock"
    with lock.hold(path):
        path.write_text("\x1b[31mevil\x07")
        with pytest.raises(BusyError) as caught, lock.hold(path):
            pass
    assert "\x1b" not in str(caught.value)
    assert "\x07" not in str(caught.value)


def test_lock_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "sweep.lock"
    with lock.hold(path):
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_lock_that_is_not_kept_leaves_no_file_behind(tmp_path: Path) -> None:
    path = tmp_path / "campaign.lock"
    with lock.hold(path, keep=False):
        assert path.exists()
        with pytest.raises(BusyError), lock.hold(path, keep=False):
            pass
        assert path.exists()  # whoever was turned away leaves the holder's alone
    assert not path.exists()


CONTEND = """
import os, sys
from pathlib import Path
from pushctl import lock
from pushctl.errors import BusyError
path, inside = Path(sys.argv[1]), Path(sys.argv[2])
held = 0
while held < 300:
    try:
        with lock.hold(path, keep=False):
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))  # fails where two are in
            inside.unlink()
            held += 1
    except BusyError:
        pass
"""


def test_processes_that_remove_the_file_each_time_are_never_in_at_once(tmp_path: Path) -> None:
    words = [sys.executable, "-c", CONTEND, str(tmp_path / "a.lock"), str(tmp_path / "inside")]
    processes = [subprocess.Popen(words, stderr=subprocess.PIPE) for _ in range(4)]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()
