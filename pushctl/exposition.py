"""
What sweeps publish for Prometheus, as a file: a sweep is no server that could be asked.

The file is in Prometheus's text format 0.0.4, which node_exporter's textfile collector takes.
Only the standard library is loaded: a sweep without work renews the time in it, each minute,
and prometheus_client takes longer to load than such a sweep.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pushctl import durable

NAME = "metrics.prom"  # in status/, for the receiver
LAST_SUCCESS = "pushctl_sweep_last_success_timestamp_seconds"
MAX_BYTES = 1024 * 1024  # read back; with every label at its longest it has a tenth
_LINE = re.compile(rf"^{LAST_SUCCESS} .*$", re.MULTILINE)
# node_exporter is another user of the machine; nothing in the file names a person.
_MODE = 0o644
_UNSAFE = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_UNSAFE_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})


@dataclass
class Family:
    """A metric: the name of a counter ends in "_total"; *samples* are labels and a value."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: list[tuple[Mapping[str, str], float]] = field(default_factory=list)

    def add(self, value: float, **labels: str) -> None:
        self.samples.append((labels, value))


def render(families: Iterable[Family]) -> str:
    """Return *families* as text; one without a sample is left out."""
    lines = []
    for family in families:
        if family.samples:
            lines.append(f"# HELP {family.name} {family.help.translate(_UNSAFE_HELP)}")
            lines.append(f"# TYPE {family.name} {family.kind}")
        for labels, value in family.samples:
            lines.append(f"{family.name}{_render_labels(labels)} {_render_value(value)}")
    return "".join(f"{line}\n" for line in lines)


def _render_labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{value.translate(_UNSAFE)}"' for name, value in labels.items())
    return f"{{{','.join(pairs)}}}"


def _render_value(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def write(path: Path, text: str) -> None:
    """Write the file anew; a reader has the old one or the new one. Raises OSError."""
    durable.replace_volatile(path, text.encode(), _MODE)


def renew(path: Path, seconds: float) -> None:
    """Note in a file that is there that a sweep ended well at *seconds* since 1970."""
    with suppress(OSError, UnicodeDecodeError):
        text = read(path)
        renewed = _LINE.sub(f"{LAST_SUCCESS} {seconds:.3f}", text)
        if renewed != text:
            write(path, renewed)


def read(path: Path) -> str:
    """Return a file's text; OSError for one that no sweep wrote."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise OSError(f"{path} is too large")
    return data.decode()
