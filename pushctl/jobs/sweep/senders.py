"""
The processes of a watch: what it decides, they send, and none waits for another.

A push service that does not answer holds a process for a minute; a broadcast takes one for
hours. So each kind of work has processes of its own, which are started when they are needed.
"""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from pushctl import child_processes
from pushctl.jobs.sweep.job import Answer, Job, Work, serve

END_SECONDS = 20.0  # a run ends within 15 s of a signal (jobs/delivery/run)


# How many processes each may have, and how they give way to others.
_MOST = {Work.URGENT: 4, Work.STEP: 2, Work.BROADCAST: 1, Work.SWEEP: 1, Work.CALLS: 1}
_NICENESS = {Work.URGENT: 0, Work.STEP: 0, Work.BROADCAST: 5, Work.SWEEP: 5, Work.CALLS: 5}

# Jobs after which a process makes way for a new one; a broadcast may have used much memory.
_JOBS = {Work.URGENT: 300, Work.STEP: 300, Work.BROADCAST: 1, Work.SWEEP: 100, Work.CALLS: 100}


@dataclass
class _Process:
    """A process and our end of the pipe; *job*: what it works at."""

    process: SpawnProcess
    link: Connection
    job: Job | None = None
    done: int = 0


@dataclass
class _Group:
    """The processes of one kind of work, and the jobs that wait for them."""

    processes: list[_Process] = field(default_factory=list)
    waiting: deque[Job] = field(default_factory=deque)


class Senders:
    """Hands jobs to processes; ``collect`` gets the answers. A context manager."""

    def __init__(self) -> None:
        self._groups = {work: _Group() for work in Work}

    def __enter__(self) -> "Senders":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def links(self) -> list[Connection]:
        """Return the pipes on which answers come."""
        return [one.link for one in self._each() if one.job is not None]

    @property
    def campaigns(self) -> set[int | None]:
        """Return the campaigns that are being sent or wait for a process; None: a sweep."""
        waiting = (job for group in self._groups.values() for job in group.waiting)
        working = (one.job for one in self._each() if one.job is not None)
        return {job.campaign for job in (*waiting, *working)}

    def prepare(self, work: Work, count: int) -> None:
        """Start *count* processes before there is anything for them to do."""
        processes = self._groups[work].processes
        while len(processes) < count:
            processes.append(_start(work))

    def hand_out(self, job: Job) -> None:
        self._groups[job.work].waiting.append(job)
        self._distribute(job.work)

    def collect(self) -> Iterator[Answer]:
        """Yield the answers that have come."""
        for work, group in self._groups.items():
            for one in list(group.processes):
                if one.job is not None and one.link.poll():
                    yield self._take(group, one)
            self._distribute(work)

    def end(self) -> list[Answer]:
        """Let what is under way come to a good end, and end all; return the last answers."""
        everyone, answers = list(self._each()), []
        for one in everyone:
            if one.job is not None:
                one.process.terminate()
            else:
                one.link.close()
        until = time.monotonic() + END_SECONDS
        for one in everyone:
            if one.job is not None:
                with suppress(EOFError, OSError):  # it ended without an answer
                    if one.link.poll(max(0.0, until - time.monotonic())):
                        answers.append(one.link.recv())
                one.link.close()
            one.process.join(max(0.0, until - time.monotonic()))
            if one.process.is_alive():
                one.process.kill()
                one.process.join()
        self._groups = {work: _Group() for work in Work}
        return answers

    def hurry(self) -> None:
        """Have the processes end at once."""
        for one in self._each():
            one.process.terminate()

    def _each(self) -> Iterator[_Process]:
        for group in self._groups.values():
            yield from group.processes

    def _take(self, group: _Group, one: _Process) -> Answer:
        assert one.job is not None
        campaign, most = one.job.campaign, _JOBS[one.job.work]
        one.job = None
        one.done += 1
        try:
            answer: Answer = one.link.recv()
        except (EOFError, OSError):
            answer = Answer(campaign, None, "its process died; the next try goes on")
            one.done = most
        if one.done >= most:
            group.processes.remove(one)
            one.link.close()
            one.process.join(1.0)
        return answer

    def _distribute(self, work: Work) -> None:
        group = self._groups[work]
        while group.waiting:
            idle = next((one for one in group.processes if one.job is None), None)
            if idle is None:
                if len(group.processes) >= _MOST[work]:
                    return
                idle = _start(work)
                group.processes.append(idle)
            try:
                idle.link.send(group.waiting[0])
            except OSError:  # it was ended from outside while it had nothing to do
                group.processes.remove(idle)
                idle.link.close()
                continue
            idle.job = group.waiting.popleft()


def _start(work: Work) -> _Process:
    return _Process(*child_processes.start(serve, _NICENESS[work]))
