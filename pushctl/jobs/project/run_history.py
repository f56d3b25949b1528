"""The run history for people: what ran, how it ended, how long it took, what went wrong."""

from collections.abc import Iterator
from enum import StrEnum

from pushctl.errors import NotFoundError
from pushctl.jobs.sweep.summary import describe_counts
from pushctl.model import Json, Millis
from pushctl.store import Store
from pushctl.store.runs import StoredRun, may_run


class State(StrEnum):
    """How a run stands."""

    RUNNING = "running"
    DIED = "died"  # killed, or by a power cut
    DONE = "done"
    TROUBLED = "troubled"  # done, with something to put right
    REFUSED = "refused"  # by a push service
    STOPPED = "stopped"  # by Ctrl-C or a signal
    BUSY = "busy"  # another one was at it
    FAILED = "failed"


# By exit code (docs/commands.md); every other one is a failure.
_STATES = {
    0: State.DONE, 5: State.TROUBLED, 75: State.BUSY, 77: State.REFUSED, 130: State.STOPPED,
}  # fmt: skip


def find_state(exit_code: int | None) -> State:
    """Return how a run ended, by its exit code; None: it never did."""
    return State.DIED if exit_code is None else _STATES.get(exit_code, State.FAILED)


def judge(run: StoredRun) -> State:
    if run.finished_at is None and may_run(run.process):
        return State.RUNNING
    return find_state(run.exit_code)


def list_runs(
    store: Store, limit: int, command: str | None, since: Millis, *, failed: bool
) -> Iterator[dict[str, Json]]:
    """Yield the last runs, newest first; NotFoundError for a *command* that has none."""
    if command is not None and command not in (known := store.runs.list_commands()):
        have = f"These have: {', '.join(known)}" if known else "No command has any"
        raise NotFoundError(f"no run of {command!r} is in the history. {have}.")
    for run in store.runs.list_latest(limit, command, since=since, failed=failed):
        yield _describe(run)


def show(store: Store, number: int) -> dict[str, Json]:
    """Return one run with everything that is known of it."""
    run = store.runs.find(number)
    if run is None:
        raise NotFoundError(f"there is no run {number}. To list them: pushctl runs list")
    stages = [f"{name} {seconds:.3f} s" for name, seconds in run.stages.items() if seconds]
    return {
        **_describe(run),
        "finished_at": run.finished_at,
        "faults": list(run.faults),
        "stages": stages,
    }


def _describe(run: StoredRun) -> dict[str, Json]:
    ended = run.finished_at
    return {
        "id": run.id,
        "command": run.command,
        "started_at": run.started_at,
        "took": None if ended is None else ended - run.started_at,
        "state": judge(run),
        "exit_code": run.exit_code,
        "what": describe_counts(run.counts),
        "fault": run.faults[0] if run.faults else None,
    }
