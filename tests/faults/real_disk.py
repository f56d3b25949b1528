"""
Let a real disk fail while a receiver, an import and a send work on it.

    ./run python -m tests.faults.real_disk --points 60 --seed 7       (root, Linux)

The project is on an ext4 file system of its own, in a file on a loop device. At a random
moment the kernel makes it read-only after an error (as it does with errors=remount-ro), it
gets full to the last byte, or the programs may open no more files. The receiver has to live
on and to say 503 instead of 204; no program may show a bug. Then the fault is gone. The same
receiver takes requests again (a read-only disk has to be mounted anew, so there it starts
anew), the same commands go on: the database is sound, what was answered with 204 is in it,
nobody gets a message twice, nobody is left out.
"""

import os
import random
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pushctl.demo.pushservice import PushService
from tests.faults.failing_disk import KNOWN_CODES
from tests.faults.power_loss import recover
from tests.support import receiving, sending
from tests.support.points import main as try_points
from tests.support.program import PROGRAM

KINDS = ("full", "read-only", "too many files")
PEOPLE = 400
_MEGABYTES = 512  # of holes; the receiver wants some room to be left
_PATIENCE = 60  # seconds that a program may take on a busy machine
_BODY = {"variant": "plain", "stage": "visit", "language": "en"}


class NoDiskError(Exception):
    """This machine gives us no disk of our own."""


class Disk:
    """An ext4 file system in the file *image*, mounted at *place*."""

    def __init__(self, image: Path, place: Path) -> None:
        self.place = place
        self._image = image
        self._device = ""
        self._filler = place / "filler"
        with image.open("wb") as file:
            file.truncate(_MEGABYTES << 20)
        place.mkdir()
        # Nothing is reserved for root: full is full.
        self._call("mkfs.ext4", "-q", "-F", "-m", "0", str(image))

    @staticmethod
    def _call(*command: str, good: tuple[int, ...] = (0,)) -> str:
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError as error:
            raise NoDiskError(f"{command[0]} is missing") from error
        if done.returncode not in good:
            raise NoDiskError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def mount(self) -> None:
        # A new device each time. ``mount -o loop`` takes a former one of the image, and with
        # it a file system that is still mounted in another mount namespace: that of any
        # program which made one meanwhile, like the proof of the package. It stays read-only.
        self._device = self._call("losetup", "--find", "--show", str(self._image))
        self._call("mount", "-o", "errors=remount-ro", self._device, str(self.place))

    def unmount(self) -> None:
        self._call("umount", str(self.place))
        self._call("losetup", "--detach", self._device)

    def fill(self) -> None:
        """Take all room that is left."""
        with self._filler.open("wb", buffering=0) as file, suppress(OSError):
            for size in (1 << 20, 1 << 12, 1):
                with suppress(OSError):
                    while True:
                        file.write(b"x" * size)

    def free(self) -> None:
        self._filler.unlink()

    def spoil(self) -> None:
        """Report an error of the file system to the kernel, which makes it read-only."""
        device = self._device.removeprefix("/dev/")
        assert device.startswith("loop"), device  # never a disk of the machine
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("a test")

    def repair(self) -> None:
        self.unmount()
        self._call("e2fsck", "-p", "-f", str(self._image), good=(0, 1))
        self.mount()


@contextmanager
def open_disk(home: Path) -> Iterator[Disk]:
    """Give a mounted disk; raise NoDiskError where there can be none."""
    if os.getuid() != 0:
        raise NoDiskError("only root can mount a disk")
    disk = Disk(home / "disk.img", home / "disk")
    disk.mount()
    try:
        yield disk
    finally:
        disk.unmount()


class Visitors(threading.Thread):
    """Somebody who posts one request after the other, and counts the answers."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.answers: Counter[int] = Counter()  # status; 0 where there was none
        self.asked = 0
        self._port = port
        self._ending = threading.Event()

    def run(self) -> None:
        while not self._ending.is_set():
            self.asked += 1
            try:
                answer = receiving.post(self._port, "/v1/prompts", _BODY).status
            except OSError:
                answer = 0
            self.answers[answer] += 1
            self._ending.wait(0.002)

    def end(self) -> None:
        self._ending.set()
        self.join()


class Point:
    """One moment at which the disk of a project fails."""

    def __init__(self, disk: Disk, plain: Path, service: PushService, kind: str) -> None:
        self.wrong: list[str] = []
        self.seen: Counter[str] = Counter()
        self._disk, self._service, self.kind = disk, service, kind
        self.folder = disk.place / "project"
        shutil.copytree(plain, self.folder)
        os.sync()  # what is on the disk before is not at stake
        self._port = receiving.free_port()
        self._before = len(service.receipts())

    def run(self, told: int, delay: float) -> None:
        """Let the disk fail *delay* seconds after *told* people have their message."""
        receiver = self._start_receiver()
        visitors = Visitors(self._port)
        try:
            visitors.start()
            send = self._start("send", "--everyone", "--template", "sale", "--yes")
            while send.poll() is None and self._count_told() < told:
                time.sleep(0.005)
            time.sleep(delay)
            with self._fault([receiver.pid, send.pid]):
                self._start("import").wait(_PATIENCE)
                self._end(send)
                time.sleep(0.3)  # some requests meet the fault
                if receiver.poll() is not None:
                    said = receiver.communicate()[1].decode()
                    self.wrong.append(f"the receiver ended: {said[-300:]}")
                if self.kind == "read-only":
                    self._stop_receiver(receiver)
            if self.kind == "read-only":
                receiver = self._start_receiver()
            self._await_taken()
        finally:
            visitors.end()
            self._stop_receiver(receiver)
        self._judge(visitors)

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*PROGRAM, *words], cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip

    def _start_receiver(self) -> subprocess.Popen[bytes]:
        receiver = self._start("receive", "--listen", f"127.0.0.1:{self._port}")
        receiving.wait_for_port(receiver, self._port)
        return receiver

    def _stop_receiver(self, receiver: subprocess.Popen[bytes]) -> None:
        receiver.terminate()
        said = receiver.communicate(timeout=_PATIENCE)[1].decode()
        if "Traceback" in said or "bug" in said:
            self.wrong.append(f"the receiver: {said[-300:]}")

    def _end(self, send: subprocess.Popen[bytes]) -> None:
        said = send.communicate(timeout=_PATIENCE)[1].decode()
        self.seen[f"{self.kind}: {'failed' if send.returncode else 'ended well'}"] += 1
        # Without a file to open, Python may not even load the program.
        python = "OSError: [Errno 24]" in said and self.kind == "too many files"
        if not python and (send.returncode not in KNOWN_CODES or "Traceback" in said):
            self.wrong.append(f"exit code {send.returncode}: {said[-300:]}")

    @contextmanager
    def _fault(self, programs: list[int]) -> Iterator[None]:
        if self.kind == "full":
            self._disk.fill()
            yield
            self._disk.free()
        elif self.kind == "read-only":
            self._disk.spoil()
            yield
            self._disk.repair()
        else:
            limits = {}
            for pid in programs:
                with suppress(ProcessLookupError):
                    limits[pid] = resource.prlimit(pid, resource.RLIMIT_NOFILE)
                    resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, limits[pid][1]))
            yield
            for pid, limit in limits.items():
                with suppress(ProcessLookupError):
                    resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)

    def _count_told(self) -> int:
        return len(self._service.receipts(self._before))

    def _await_taken(self) -> None:
        """Wait until the receiver takes requests again."""
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            with suppress(OSError):
                answer = receiving.post(self._port, "/v1/prompts", _BODY).status
                self.seen["asked"] += 1
                if answer == 204:
                    self.seen["taken"] += 1
                    return
            time.sleep(0.05)
        self.wrong.append("the receiver takes nothing any more")

    def _judge(self, visitors: Visitors) -> None:

        answers = visitors.answers
        strange = {code for code in answers if code not in (0, 204, 503)}
        if strange:
            self.wrong.append(f"the receiver answered {strange}")
        self.seen["asked"] += visitors.asked
        self.seen["taken"] += answers[204]
        self.seen["refused"] += answers[503]
        told = {one.endpoint for one in self._service.receipts(self._before)}
        try:
            self.wrong += recover(self.folder, self._service, self.seen, told, later=False)
        except Exception as error:
            self.wrong.append(f"{type(error).__name__}: {error}")
        counts = Counter(one.endpoint for one in self._service.receipts(self._before))
        if any(count > 1 for count in counts.values()):
            self.wrong.append("somebody was told twice")


def run(points: int, seed: int, home: Path, service: PushService) -> dict[str, object]:
    """Let the disk fail at *points* moments, each kind in turn; return what was found."""
    chance = random.Random(seed)
    plain = home / "plain"
    field = sending.field(plain, service)
    sending.lead_to(plain, service)
    field.people(PEOPLE)
    field.store.close()
    found: Counter[str] = Counter()
    faults: list[str] = []
    with open_disk(home) as disk:
        for number in range(points):
            # While the send starts, or while it sends.
            told = chance.choice((0, chance.randint(1, PEOPLE - 1)))
            delay = chance.uniform(0, 0.1 if told else 2.0)
            point = Point(disk, plain, service, KINDS[number % len(KINDS)])
            point.run(told, delay)
            found += point.seen
            found["faulty"] += bool(point.wrong)
            faults += [f"{point.kind}, {delay:.2f} s after {told}: {it}" for it in point.wrong]
            shutil.rmtree(point.folder)
            _show(number + 1, points, faults)
    return {
        "points": points,
        "seed": seed,
        **dict(sorted(found.items())),
        "faulty": found["faulty"],
        "faults": faults[:20],
    }


def _show(done: int, points: int, faults: list[str]) -> None:
    if done % 10 == 0 or done == points:
        print(f"{done} of {points}, {len(faults)} faults", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(try_points(run, __doc__, 30))
    except NoDiskError as error:
        sys.exit(f"No disk to try it on: {error}")
