"""How sweeping stands: when the last sweep ended, who starts them, what waits for them."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pushctl.config import Config
from pushctl.jobs.project import cron, run_history, services, unit_files
from pushctl.jobs.project.run_history import State
from pushctl.jobs.sweep.admission import is_watched
from pushctl.model import Millis
from pushctl.rules import timing, units
from pushctl.rules.wording import counted
from pushctl.store import Store, clocks

# Sweeps come every minute and may take one; later than this, something is wrong.
LATE: Millis = 10 * units.MINUTE

WATCH = "sweep --watch"

# Where an administrator may have written a line or a unit of their own.
_SYSTEM_FILES = (
    "/etc/crontab", "/etc/cron.d/*", "/etc/systemd/system/*.service",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SweepState:
    last: Millis | None  # when the last sweep ended; None: there was none
    starter: str  # cron, systemd, sweep --watch; empty: none was found on this machine
    overdue: int  # messages and enrolments that were due ten minutes ago or earlier
    inbox_files: int  # with lines that no import has read
    failed: int | None = None  # the run that failed or died since the last one that ended
    fault: str = ""  # why, where that is known

    @property
    def watched(self) -> bool:
        return self.starter == WATCH

    def is_late(self, now: Millis) -> bool:
        return self.last is None or now - self.last > LATE


def load(config: Config, store: Store, now: Millis) -> SweepState:
    """Find out how the sweeps of a project stand at *now*."""
    last = clocks.read_last_sweep(clocks.name_lock(store.path))
    failed, fault = _find_failure(store, last)
    return SweepState(
        last=last,
        starter=WATCH if is_watched(store.path, now) else find_starter(config.folder),
        overdue=store.schedules.count_overdue(now - LATE),
        inbox_files=store.inbox_cursors.count_unread(config.inbox),
        failed=failed,
        fault=fault,
    )


def _find_failure(store: Store, last: Millis | None) -> tuple[int | None, str]:
    """Return the newest sweep and its fault, where it failed after the *last* that ended."""
    for run in store.runs.list_latest(1, "sweep"):
        state = run_history.judge(run)
        if state in (State.FAILED, State.DIED) and run.started_at > (last or -1):
            died = "it was killed, or the machine lost power"
            return run.id, run.faults[0] if run.faults else died
    return None, ""


def find_starter(project: Path) -> str:
    """Return "cron" or "systemd" where one of them sweeps *project*, else an empty text."""
    timer = f"{unit_files.name_unit(unit_files.Part.SWEEP, project)}.timer"
    if any((folder / timer).exists() for folder in services.list_folders()):
        return "systemd"
    texts = [cron.read_crontab_if_any()]
    for pattern in _SYSTEM_FILES:
        for file in sorted(Path("/").glob(pattern.removeprefix("/"))):
            with suppress(OSError, UnicodeDecodeError):
                texts.append(file.read_text("utf-8"))
                if _is_sweep(texts[-1], project) and file.suffix == ".service":
                    return "systemd"
    return "cron" if any(_is_sweep(text, project) for text in texts) else ""


def _is_sweep(text: str, project: Path) -> bool:
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return any(str(project) in line and "sweep" in line for line in lines)


def describe(state: SweepState, now: Millis) -> str:
    """Say in one sentence when the last sweep ended, who starts them and what waits."""
    if state.last is None:
        said = "no sweep has run yet"
    else:
        ago = timing.say(max(now - state.last, 0) // units.SECOND * units.SECOND)
        said = f"the last sweep ended {ago} ago"
    if state.starter:
        said += f"; {state.starter} {'does' if state.watched else 'starts'} them"
    elif state.is_late(now):
        said += "; neither cron nor systemd starts them"
    else:
        said += ", started by hand or from elsewhere"
    if state.failed is not None:
        said += f"; the newest one failed: {state.fault}"
    return "; ".join([said, *_describe_waiting(state)])


def find_remedy(state: SweepState, now: Millis) -> str:
    """Say what to do where sweeps don't come; empty where they do."""
    if state.failed is not None:
        return f"See `pushctl runs show {state.failed}`, then run `pushctl sweep` by hand."
    if not state.is_late(now):
        return ""
    if not state.starter:
        return "Run `pushctl cron install`: sweeps send what is due, every minute."
    return (
        f"{state.starter} should start one every minute: see `pushctl runs list` and "
        "its mail or log, or run `pushctl sweep` by hand."
    )


def _describe_waiting(state: SweepState) -> Iterator[str]:
    if state.overdue:
        yield f"{counted(state.overdue, 'message')} overdue"
    if state.inbox_files:
        yield f"{counted(state.inbox_files, 'file')} in the inbox"
