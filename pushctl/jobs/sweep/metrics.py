"""
Figures of sweeps, queue and campaigns for Prometheus, published at the end of each sweep.

They go into a file for node_exporter, and into ``status/`` for the receiver's /metrics. No
label names a person or an endpoint; a campaign's name, somebody's text, is a label of one
metric alone, cleaned and cut, and only of so many campaigns as the settings allow.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pushctl import exposition, log
from pushctl.config import Config
from pushctl.errors import BusyError, PushctlError
from pushctl.exposition import Family
from pushctl.jobs.sweep.admission import is_watched
from pushctl.model import Millis
from pushctl.rules import units
from pushctl.rules.wording import clean
from pushctl.store import Store, clocks
from pushctl.store.progress import Progress
from pushctl.store.runs import StoredRun

# What has been due for so long should have gone out.
LATE: Millis = 10 * units.MINUTE
_NAME_CHARACTERS = 64
_OUTCOMES = ("accepted", "gone", "rejected", "expired", "skipped", "in_doubt")
# Of exit codes (docs/commands.md); every other one is a failure.
_RESULTS = {"0": "done", "5": "troubled", "75": "busy", "77": "refused", "130": "stopped"}


def list_files(config: Config) -> list[Path]:
    """Return the files that are wanted: the receiver's where it shows metrics."""
    files = [config.metrics.textfile] if config.metrics.textfile else []
    if config.receiver.metrics is not None:
        files.append(config.status / exposition.NAME)
    return files


@contextmanager
def publish_after(config: Config, store: Store, now: Millis) -> Iterator[None]:
    """Publish when the block has ended, also by an error; not where another one is at it."""
    try:
        yield
    except BusyError:
        raise
    except Exception:
        publish(config, store, now)
        raise
    publish(config, store, now)


def publish(config: Config, store: Store, now: Millis) -> None:
    """Write all figures as they are at *now*; where that fails, the log says why."""
    if not (files := list_files(config)):
        return
    try:
        text = exposition.render(collect(config, store, now))
        for file in files:
            if file.parent == config.status:
                file.parent.mkdir(mode=0o700, exist_ok=True)
            exposition.write(file, text)
    except (OSError, PushctlError) as error:
        # A sweep is not worse for it: check looks at the file's age.
        log.note_error("sweep", "metrics can't be written", error)


def collect(config: Config, store: Store, now: Millis) -> Iterator[Family]:
    with store.snapshot():
        yield from _collect_sweeps(store, now)
        yield from _collect_runs(store)
        yield from _collect_queue(config, store, now)
        yield from _collect_campaigns(store, config.metrics.campaigns)


def _collect_sweeps(store: Store, now: Millis) -> Iterator[Family]:
    ended = clocks.read_last_sweep(clocks.name_lock(store.path))
    last = Family(exposition.LAST_SUCCESS, "gauge", "When the last sweep that ended began.")
    if ended is not None:
        last.add(ended / units.SECOND)
    yield last
    watch = Family("pushctl_watch_running", "gauge", "1 while sweep --watch is at work.")
    watch.add(int(is_watched(store.path, now)))
    yield watch
    finished = [run for run in store.runs.list_latest(2, "sweep") if run.finished_at]
    for run in finished[:1]:
        yield from _collect_last(run)


def _collect_last(run: StoredRun) -> Iterator[Family]:
    """Yield the figures of the last sweep that had work."""
    code = Family(
        "pushctl_sweep_last_exit_code", "gauge",
        "Exit code of the last sweep that had work: 0 done, 5 troubled, others failed.",
    )  # fmt: skip
    code.add(run.exit_code or 0)
    took = Family(
        "pushctl_sweep_last_duration_seconds", "gauge",
        "How long the last sweep that had work took.",
    )  # fmt: skip
    took.add(((run.finished_at or 0) - run.started_at) / units.SECOND)
    stages = Family(
        "pushctl_sweep_stage_duration_seconds", "gauge",
        "How long each stage of that sweep took.",
    )  # fmt: skip
    for name, seconds in run.stages.items():
        stages.add(float(seconds), stage=name)
    yield from (code, took, stages)


def _collect_runs(store: Store) -> Iterator[Family]:
    started = Family("pushctl_runs_started_total", "counter", "Runs of commands that began.")
    ended = Family("pushctl_runs_ended_total", "counter", "Runs that ended, by their result.")
    sent = Family("pushctl_messages_total", "counter", "Messages by what became of them.")
    results: dict[tuple[str, str], int] = {}
    outcomes = dict.fromkeys(_OUTCOMES, 0)
    for one in store.runs.load_totals():
        if one.kind == "started":
            started.add(one.total, command=one.command)
        elif one.kind == "ended":
            key = one.command, _RESULTS.get(one.name, "failed")
            results[key] = results.get(key, 0) + one.total
        elif one.name in outcomes:
            outcomes[one.name] += one.total
    for (command, result), total in results.items():
        ended.add(total, command=command, result=result)
    for outcome, total in outcomes.items():
        sent.add(total, outcome=outcome)
    good = Family(
        "pushctl_run_last_success_timestamp_seconds", "gauge",
        "When the last run of a command that did its work began.",
    )  # fmt: skip
    for command, at in sorted(store.runs.load_last_good().items()):
        if command != "sweep":  # those without work have no run
            good.add(at / units.SECOND, command=command)
    yield from (started, ended, sent, good)


def _collect_queue(config: Config, store: Store, now: Millis) -> Iterator[Family]:
    aside = sum(1 for _ in (config.inbox / "quarantine").glob("*"))
    schedules = store.schedules
    for name, text, value in (
        ("pushctl_queue_due", "Messages and steps that are due now.",
         schedules.count_overdue(now)),
        ("pushctl_queue_overdue", "Messages and steps that were due ten minutes ago.",
         schedules.count_overdue(now - LATE)),
        ("pushctl_messages_in_doubt", "Messages that may or may not have arrived.",
         Progress(store).count_in_doubt()),
        ("pushctl_inbox_unread_files", "Files of the inbox that no import has read whole.",
         store.inbox_cursors.count_unread(config.inbox)),
        ("pushctl_inbox_quarantine_files", "Files with lines that could not be read.", aside),
    ):  # fmt: skip
        family = Family(name, "gauge", text)
        family.add(value)
        yield family
    calls = Family("pushctl_webhook_calls", "gauge", "Calls to webhooks that wait or are dead.")
    counts = {"waiting": 0, "dead": 0}
    for (_, state), count in store.webhooks.count_states().items():
        if state in counts:
            counts[state] += count
    for state, count in counts.items():
        calls.add(count, state=state)
    yield calls


def _collect_campaigns(store: Store, limit: int) -> Iterator[Family]:
    progress = Progress(store)
    every = Family("pushctl_campaigns", "gauge", "Campaigns by their status.")
    for status, count in progress.count_campaigns().items():
        every.add(count, status=status)
    about = Family("pushctl_campaign_info", "gauge", "The names of the newest open campaigns.")
    left = Family(
        "pushctl_campaign_messages", "gauge",
        "Messages of the newest open campaigns that are not settled.",
    )  # fmt: skip
    for one in progress.count_unsettled(limit):
        number = str(one.id)
        about.add(1, campaign=number, name=clean(one.name)[:_NAME_CHARACTERS])
        for state in ("waiting", "in_doubt", "rejected"):
            left.add(getattr(one, state), campaign=number, state=state)
    yield from (every, about, left)
