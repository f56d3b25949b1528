"""The run history: which commands enter themselves, with their counts and how they ended."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import typer

from pushctl.errors import PushctlError

if TYPE_CHECKING:
    from pushctl.store import Store

# What changes the database or sends, and takes its time or may fail. Sweeps enter themselves:
# those of a watch have no command.
RECORDED = frozenset(
    {"import", "send", "send-test", "apply", "release", "export", "report", "backup",
     "restore", "campaigns resume", "campaigns retry", "campaigns cancel", "campaigns recall",
     "catalogue import", "db prune", "db vacuum", "events import", "in-doubt resend",
     "in-doubt assume-sent", "promo import", "subscribers import", "subscribers export",
     "subscribers forget", "webhooks replay"}
)  # fmt: skip
_STOPPED = 130


class Recording:
    """One run of a command: its row begins when the database is opened, if it ever is."""

    def __init__(self, command: str, now: "Any") -> None:
        self._command, self._now = command, now
        self._store: Store | None = None
        self._run: int | None = None
        self.counts: Counter[str] = Counter()

    def begin(self, store: "Store") -> None:
        """Write the row; a database that can't be written is the command's to report."""
        with suppress(PushctlError):
            self._run = store.runs.start(self._command, self._now())
            self._store = store

    def end(self, code: int, fault: str | None) -> None:
        from pushctl import log

        if self._run is None or self._store is None:
            return
        faults = [] if fault is None else [log.hide_secrets(fault)]
        counts = {name: count for name, count in self.counts.items() if count}
        with suppress(PushctlError):
            self._store.runs.finish(self._run, self._now(), code, counts, faults=faults)


@contextmanager
def follow(ctx: typer.Context) -> Iterator[None]:
    """Enter the run of a command that is recorded, and how it ends."""
    here, command = ctx.obj, ctx.command_path.partition(" ")[2]
    if command not in RECORDED or not hasattr(here, "recording") or ctx.params.get("dry_run"):
        yield
        return
    here.recording = recording = Recording(command, here.later)
    code, fault = 1, None
    try:
        yield
        code = 0
    except BaseException as error:
        code, fault = explain(error)
        raise
    finally:
        recording.end(code, fault)


def explain(error: BaseException) -> tuple[int, str | None]:
    """Return the exit code and the words for what ended a command."""
    if isinstance(error, typer.Exit):
        return error.exit_code, None
    if isinstance(error, PushctlError):
        return error.exit_code, str(error)
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return _STOPPED, "stopped"
    if isinstance(error, OSError) and error.strerror:
        # As the command itself says it: its file, and why.
        place = f"{error.filename}: " if error.filename else ""
        return 1, f"{place}{error.strerror}"
    return 1, f"{type(error).__name__}: {error}"


def count(here: Any, counts: Mapping[str, int]) -> None:
    """Add to what the run of this command has done."""
    if here.recording is not None:
        here.recording.counts.update(counts)
