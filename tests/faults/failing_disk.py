"""
Let the disk fail at many points of a program's work: full, read-only, too many open files.

    ./run python -m tests.faults.failing_disk --points 500 --seed 7

Imports, sends and sweeps run as real programs; from a random call on, what needs room fails
with ENOSPC, what changes the file system with EROFS, or what opens a file with EMFILE, to the
program's end. No traceback may be shown. Then the fault is gone: the database must be sound,
the same commands go on by themselves, nobody gets a message twice, none is lost.
"""

import errno
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from pushctl.demo.pushservice import PushService
from tests.faults.power_loss import recover
from tests.support import power, sending
from tests.support.points import main as try_points
from tests.support.program import PROGRAM

PEOPLE = 8
ERRORS = {"full": errno.ENOSPC, "read-only": errno.EROFS, "too many files": errno.EMFILE}
SEND = ("send", "--everyone", "--template", "sale", "--yes", "--name", "first")
SWEEP = ("sweep", "--max-seconds", "60")  # also where there is nothing to do
# Exit codes that say what is wrong; 1 is a bug.
KNOWN_CODES = (0, 3, 5, 75)


def run(
    points: int, seed: int, home: Path, service: PushService, *, each: bool = False
) -> dict[str, object]:
    """Let *points* programs meet a failing disk; *each*: a send, and each fault in turn."""
    chance = random.Random(seed)
    shim = power.compile_shim(home)
    plain = home / "plain"
    field = sending.field(plain, service)
    sending.lead_to(plain, service)
    field.people(PEOPLE)
    field.store.close()
    found: Counter[str] = Counter()
    faults: list[str] = []
    for number in range(points):
        name = sorted(ERRORS)[number % 3] if each else chance.choice(sorted(ERRORS))
        folder, log = home / f"disk-{number}", home / "log"
        shutil.copytree(plain, folder)
        # An open of any library counts for EMFILE: Python's own start has some hundreds.
        after = chance.randint(1, 2500 if name == "too many files" else 120)
        words = (
            SEND
            if each
            else chance.choice((SEND, ("import",), ("sweep", "--max-seconds", "60")))
        )
        began = len(service.receipts())
        variables = power.make_environment(shim, folder, log, ERRORS[name], after)
        done = subprocess.run(
            [*PROGRAM, *words], cwd=folder, env=variables, capture_output=True, text=True,
            timeout=90,
        )  # fmt: skip
        found[f"{name}: {'failed' if done.returncode else 'ended well'}"] += 1
        wrong = []
        if done.returncode not in KNOWN_CODES and not _is_of_python(done.stderr):
            wrong.append(f"exit code {done.returncode}: {done.stderr[-300:]}")
        told = {one.endpoint for one in service.receipts(began)}
        try:
            wrong += recover(folder, service, Counter(), told, later=False)
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}")
        counts = Counter(one.endpoint for one in service.receipts(began))
        if any(count > 1 for count in counts.values()):
            wrong.append("somebody was told twice")
        faults += [f"{name}, {words[0]} from call {after} on: {it}" for it in wrong]
        found["faulty"] += bool(wrong)
        shutil.rmtree(folder)
        log.unlink(missing_ok=True)
    return {
        "points": points,
        "seed": seed,
        **dict(sorted(found.items())),
        "faults": faults[:20],
    }


def _is_of_python(text: str) -> bool:
    """Return whether the interpreter could not even load its own library, or pushctl."""
    return "Too many open files" in text or "OSError: [Errno 24]" in text or not text.strip()


if __name__ == "__main__":
    sys.exit(try_points(run, __doc__, 30))
