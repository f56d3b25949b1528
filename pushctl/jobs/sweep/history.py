"""A sweep's place in the run history, and in the log: how it ended, after how long, and why."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from pushctl import log
from pushctl.config import Config
from pushctl.errors import ConfigError, PushctlError
from pushctl.jobs.sweep.admission import Options, admit
from pushctl.jobs.sweep.summary import Summary
from pushctl.jobs.triggers.types import describe_error
from pushctl.model import Millis
from pushctl.store import Store, clocks

_STOPPED = 130  # a shell's exit code for Ctrl-C


@contextmanager
def record(
    store: Store, now: Millis, began: float, summary: Summary
) -> Iterator[dict[str, float]]:
    """
    Note that a sweep begins, and how it ends: *summary* has by then what it did.

    The block fills in the seconds of each stage. *began* is the machine's own clock at *now*.
    """
    run, code = store.runs.start("sweep", now), 1
    seconds: dict[str, float] = {}
    faults: list[str] = []
    try:
        yield seconds
        code = summary.exit_code
    except BaseException as error:
        code, why = _explain(error)
        faults.append(why)
        raise
    finally:
        counts = dict(summary.counts)
        took = clocks.read_seconds() - began
        level = logging.WARNING if code else logging.INFO
        figures = {"seconds": took, "counts": counts, "stages": seconds}
        log.note("sweep", "ended", level=level, code=code, **figures)
        faults = hide([*faults, *summary.list_faults()])
        end = now + int(took * 1000)
        store.runs.finish(run, end, code, counts, faults=faults, stages=seconds)


@contextmanager
def admit_noted(config: Config, store: Store, now: Millis, options: Options) -> Iterator[None]:
    """As ``admit``; the history also has a sweep that may not begin, with the reason."""
    with ExitStack() as held:
        try:
            held.enter_context(admit(config, store, now, options))
        except ConfigError as error:
            with suppress(PushctlError):  # the database itself may be what is wrong
                run = store.runs.start("sweep", now)
                why = hide([str(error)])
                store.runs.finish(run, now, error.exit_code, {}, faults=why)
            raise
        yield


def hide(faults: Sequence[str]) -> list[str]:
    """Return *faults* without keys and paths of addresses."""
    return [log.hide_secrets(fault) for fault in faults]


def _explain(error: BaseException) -> tuple[int, str]:
    """Return the exit code and the words for what ended a sweep."""
    if isinstance(error, PushctlError):
        return error.exit_code, str(error)
    if isinstance(error, Exception):
        return 1, describe_error(error)
    return _STOPPED, "stopped"
