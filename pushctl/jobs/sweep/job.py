"""What a process of a watch does: send a campaign, or sweep without sending."""

import os
import signal
import sys
from contextlib import suppress
from enum import StrEnum
from multiprocessing.connection import Connection
from typing import NamedTuple

from pushctl import child_processes, log
from pushctl.config import Config
from pushctl.errors import BusyError, PushctlError, name_shortage
from pushctl.jobs.delivery import deliver
from pushctl.jobs.delivery.types import PACED
from pushctl.jobs.sweep import outgoing_calls, sweep
from pushctl.store import Store, clocks

# What a rate limit gives back comes due again in a moment.
_PATIENCE = 1.0 + PACED / 1000

_logging: set[object] = set()


class Work(StrEnum):
    """A kind of work, with processes of its own."""

    URGENT = "urgent"  # somebody waits for the message
    STEP = "step"  # of a trigger
    BROADCAST = "broadcast"
    SWEEP = "sweep"  # scan, series, tidying
    CALLS = "calls"  # to programs and webhooks, which may take their time


# In the place of a campaign's number: it names the job of all calls.
ALL_CALLS = 0


class Job(NamedTuple):
    """What a process has to do; *campaign* None: sweep."""

    work: Work
    config: Config
    campaign: int | None
    seconds: float


class Answer(NamedTuple):
    """What came of a job: a Report or a Summary, or the error's text."""

    campaign: int | None
    result: object
    error: str | None


def serve(link: Connection, parent: int, niceness: int) -> None:
    """Do the jobs that come through *link*, until it is closed or *parent* ends."""
    # In good order, as by a signal to us: nothing is lost, and the next watch goes on.
    if not child_processes.begin(parent, signal.SIGTERM):
        return
    os.nice(niceness)
    with suppress(EOFError, OSError):
        while True:
            link.send(_do(link.recv()))


def _do(job: Job) -> Answer:
    """Do a job; an error becomes the answer's text."""
    _start_log(job.config)
    try:
        with Store(job.config.database) as store:
            return Answer(job.campaign, _work_at(job, store), None)
    except BusyError:
        return Answer(job.campaign, None, None)  # another program is at it
    except PushctlError as error:
        return Answer(job.campaign, None, str(error))
    except KeyboardInterrupt:  # the second signal
        sys.exit(130)
    except Exception as error:
        log.note_error("sweep", "failed in a process of the watch", error)
        if (shortage := name_shortage(error)) is not None:
            return Answer(job.campaign, None, str(shortage))
        return Answer(
            job.campaign, None, f"a fault of pushctl: {type(error).__name__}: {error}"
        )


def _work_at(job: Job, store: Store) -> object:
    now = clocks.read_now()
    if job.work is Work.CALLS:
        return outgoing_calls.run(job.config, store, now)
    if job.campaign is None:
        return sweep.run(job.config, store, now, sweep.Options(sends=False))
    campaign = store.campaigns.get_by_id(job.campaign)
    options = deliver.Options(patience=_PATIENCE, seconds=job.seconds, unattended=True)
    return deliver.run(store, job.config, campaign, now, options)


def _start_log(config: Config) -> None:
    if config.log.file is not None and config.log not in _logging:
        log.start(config.log.file, config.log.format)
        _logging.add(config.log)
