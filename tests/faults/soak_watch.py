"""The part of ``soak.py`` that watches processes from outside: memory and handles."""

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import program


@dataclass
class Samples:
    """What was read each second: seconds, megabytes and handles."""

    at: list[float] = field(default_factory=list)
    parent: list[float] = field(default_factory=list)
    workers: list[float] = field(default_factory=list)  # all together
    largest: list[float] = field(default_factory=list)  # worker
    handles: list[int] = field(default_factory=list)
    most: int = 0  # workers at a time
    met: set[int] = field(default_factory=set)  # workers ever seen

    def take(self, parent: int, began: float) -> None:
        """Read all processes; nothing when one of them is just ending."""
        children = program.workers_of(parent)
        own, *others = [_megabytes(pid) for pid in (parent, *children)]
        try:
            handles = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in (parent, *children))
        except OSError:
            return
        if not own or 0.0 in others:
            return
        self.at.append(time.monotonic() - began)
        self.parent.append(own)
        self.workers.append(sum(others))
        self.largest.append(max(others, default=0.0))
        self.handles.append(handles)
        self.most = max(self.most, len(children))
        self.met.update(children)

    def after(self, seconds: float) -> "Samples":
        first = next((n for n, at in enumerate(self.at) if at >= seconds), 0)
        columns = (self.at, self.parent, self.workers, self.largest, self.handles)
        return Samples(*(column[first:] for column in columns))  # type: ignore[arg-type]

    def write(self, file: Path) -> None:
        """Write every second's figures as CSV."""
        columns = (self.at, self.parent, self.workers, self.largest, self.handles)
        rows = zip(*columns, strict=True)
        lines = [",".join(f"{value:.1f}" for value in row) for row in rows]
        head = "seconds,parent,workers,largest,handles"
        file.write_text("\n".join([head, *lines, ""]))


_PAGE = os.sysconf("SC_PAGE_SIZE")


def _megabytes(process: int) -> float:
    """Return what is resident of *process*, in millions of bytes; 0 when it has ended."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE / 1e6
    except OSError:
        return 0.0


def watch(command: Sequence[str], seconds: float, **how: object) -> tuple[Samples, str]:
    """
    Run *command* for about *seconds*; return what was seen of it and what it says.

    *how* goes to Popen. Raises SystemExit when it doesn't end in time, or not well.
    """
    began, samples = time.monotonic(), Samples()
    with subprocess.Popen(  # type: ignore[call-overload]
        command, stdout=subprocess.PIPE, text=True, **how
    ) as process:
        try:
            while process.poll() is None:
                samples.take(process.pid, began)
                if time.monotonic() - began > seconds + 60:
                    raise SystemExit("the sending process didn't end")
                time.sleep(1.0)
        finally:
            process.kill()
        said: str = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"the sending process ended with {process.returncode}")
    return samples, said


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Return the least-squares slope of *values* (MB) over *times* (s), in MB an hour."""
    middle = sum(times) / len(times)
    mean = sum(values) / len(values)
    spread = sum((at - middle) ** 2 for at in times)
    return (
        3600
        * sum((at - middle) * (it - mean) for at, it in zip(times, values, strict=True))
        / spread
    )
