"""
What a sending process has started and heard, kept past its death.

One file a chunk: ``<run>-<first delivery>-<random>.journal``, held under an exclusive
flock by the process that writes it. Written with plain ``os.write``: it must outlive
the process; a power loss is the ledger's affair (it leaves claimed rows in doubt).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pushctl.model import Letter, Outcome


@dataclass(frozen=True)
class Recovered:
    """What the journals of a dead run tell; *started* has no answer: in doubt."""

    outcomes: dict[int, Outcome]  # by delivery
    started: set[int]  # deliveries that were begun and not answered
    files: tuple[Path, ...]

    def discard(self) -> None:
        """Remove the files; call it after the outcomes are committed."""
        for file in self.files:
            file.unlink(missing_ok=True)


def recover(folder: Path, run: str, wait: float = 10.0) -> Recovered:
    """
    Read back the journals of *run*, whose lock the caller holds.

    Waits up to *wait* seconds for workers of a dead parent to end; raises BusyError
    when one is still there after that.
    """
    raise NotImplementedError


def discard(folder: Path, run: str, letters: Sequence[Letter]) -> None:
    """Remove the journal of the chunk *letters*; call it after its outcomes are committed."""
    raise NotImplementedError
