"""
Tests side by side, in processes that are forked once all tests are collected.

A plugin of pytest: ``-p tests.support.side_by_side --processes 3``. Loading the tests takes
nine seconds of a processor; a process that is forked afterwards has them loaded. Each asks
for the next group of tests when the last test of its group begins, so all end at nearly the
same time. A group is a file, whose fixtures of module scope are made once, or a browser,
which starts once.
"""

import atexit
import os
import re
import signal
import sys
import traceback
import warnings
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, NoReturn

import pytest

from tests.support import processor

_BROWSER = re.compile(r"\[(firefox|chromium)\b")
Group = list[int]  # numbers of tests in session.items


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--processes", type=int, default=1, help="how many share the tests")
    parser.addoption("--wait-for", type=int, help="a descriptor that says when they may")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Share out the tests; pytest does it where one process is wished, or none must run."""
    options = session.config.option
    if options.processes < 2 or options.collectonly or session.testsfailed:
        return None
    if options.wait_for is not None:
        with open(options.wait_for, "rb") as waiting:
            if not waiting.read():  # whoever was to say so is gone
                pytest.exit("nobody waits for these tests any more", 1)
    _Parent(session).run(options.processes)
    return True


def name_group(nodeid: str) -> str:
    """Return the file of a test, or its browser."""
    file, _, test = nodeid.partition("::")
    browser = _BROWSER.search(test)
    return browser[1] if browser and file.startswith("tests/e2e/") else file


def find_groups(nodeids: Iterable[str]) -> list[Group]:
    """Return the groups, each where its first test stands."""
    groups: dict[str, Group] = {}
    for number, nodeid in enumerate(nodeids):
        groups.setdefault(name_group(nodeid), []).append(number)
    return list(groups.values())


class _Parent:
    """It gives groups away and hears what became of each test."""

    def __init__(self, session: pytest.Session) -> None:
        self._session = session
        self._hook: Any = session.config.hook
        self._groups = deque(find_groups(item.nodeid for item in session.items))
        self._left: dict[Connection, Group] = {}  # of what each process has taken
        self._pids: dict[Connection, int] = {}
        self._ends: dict[int, Connection] = {}  # descriptors of the processes themselves

    def run(self, processes: int) -> None:
        """Run all groups; raise as pytest's own loop does when it is to stop."""
        factory: Any = self._session.config._tmp_path_factory  # type: ignore[attr-defined]
        factory.getbasetemp()  # one for all of them: pytest clears it away
        capture = self._session.config.pluginmanager.getplugin("capturemanager")
        # The files that it captures in would be one for all, with one position.
        capture.stop_global_capturing()
        sys.stdout.flush()
        sys.stderr.flush()
        for number in range(processes):
            self._begin(number)
        _capture(self._session)
        try:
            while self._pids:
                for ready in wait([*self._pids, *self._ends]):
                    if isinstance(ready, Connection) and ready in self._pids:
                        self._hear(ready)
                    elif isinstance(ready, int) and ready in self._ends:
                        self._look(self._ends[ready])
        finally:
            for pid in self._pids.values():
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        if self._session.shouldstop:
            raise self._session.Interrupted(self._session.shouldstop)
        if self._session.shouldfail:
            raise self._session.Failed(self._session.shouldfail)
        if self._groups:
            raise self._session.Failed("no process is left for the other tests")

    def _begin(self, number: int) -> None:
        ours, theirs = Pipe()
        pid = os.fork()
        if pid == 0:
            for link in (ours, *self._pids):
                link.close()
            _Child(self._session, theirs, number).run()
        theirs.close()
        self._pids[ours], self._left[ours] = pid, []
        self._ends[os.pidfd_open(pid)] = ours

    def _look(self, link: Connection) -> None:
        """Bury an ended process whose words are all heard: what it forked may hold its link."""
        if not link.poll():
            self._bury(link)

    def _hear(self, link: Connection) -> None:
        try:
            kind, *told = link.recv()
        except (EOFError, ConnectionResetError):
            self._bury(link)
            return
        if kind == "next":
            stops = self._session.shouldfail or self._session.shouldstop
            group = self._groups.popleft() if self._groups and not stops else []
            self._left[link] += group
            link.send(group)
        elif kind == "report":
            self._hook.pytest_runtest_logreport(report=told[0])
        elif kind == "failure":
            config = self._session.config
            report = self._hook.pytest_report_from_serializable(config=config, data=told[0])
            self._hook.pytest_runtest_logreport(report=report)
        elif kind == "warning":
            text, name, file, line, when, nodeid, place = told
            category = type(name, (Warning,), {})  # the test's own may be known there alone
            warning = warnings.WarningMessage(category(text), category, file, line)
            self._hook.pytest_warning_recorded.call_historic(
                kwargs={
                    "warning_message": warning,
                    "when": when,
                    "nodeid": nodeid,
                    "location": place,
                }
            )
        else:
            self._left[link].remove(told[0])

    def _bury(self, link: Connection) -> None:
        """Take leave of a process; what it has taken and not run counts as failed."""
        code = os.waitstatus_to_exitcode(os.waitpid(self._pids.pop(link), 0)[1])
        link.close()
        (end,) = (end for end, its in self._ends.items() if its is link)
        del self._ends[end]
        os.close(end)
        if code:
            self._session.shouldfail = f"a process of the tests ended with {code}"
        for number in self._left.pop(link):
            item = self._session.items[number]
            why = f"its process ended with {code}: in this test or one before it"
            report = pytest.TestReport(
                item.nodeid,
                item.location,
                {},
                "failed",
                why,
                "call",  # type: ignore[arg-type]
            )
            self._hook.pytest_runtest_logreport(report=report)


def _capture(session: pytest.Session) -> None:
    """Begin to capture, as it was before the loop: between tests nothing is captured."""
    capture = session.config.pluginmanager.getplugin("capturemanager")
    capture.start_global_capturing()
    capture.suspend_global_capture()


class _Child:
    """It runs groups of tests until there is none."""

    def __init__(self, session: pytest.Session, link: Connection, number: int) -> None:
        self._session = session
        self._config = session.config
        self._link = link
        factory: Any = session.config._tmp_path_factory  # type: ignore[attr-defined]
        factory._basetemp = factory.getbasetemp() / f"process-{number}"
        factory._basetemp.mkdir(mode=0o700)
        plugins = self._config.pluginmanager
        plugins.unregister(name="terminalreporter")  # the parent has one
        plugins.register(self)
        _capture(session)
        processor.begin()

    def run(self) -> NoReturn:
        code = 1
        try:
            self._run()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            with suppress(BaseException):
                atexit._run_exitfuncs()
            os._exit(code)

    def _run(self) -> None:
        taken = deque(self._ask())
        while taken:
            number = taken.popleft()
            if not taken:
                taken.extend(self._ask())
            items = self._session.items
            self._config.hook.pytest_runtest_protocol(
                item=items[number], nextitem=items[taken[0]] if taken else None
            )
            sys.stdout.flush()  # the seeds of tests that have one
            self._link.send(("ended", number))

    def _ask(self) -> Group:
        self._link.send(("next",))
        group: Group = self._link.recv()
        return group

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # What says nothing but that it passed travels as it is: it is most of them.
        if report.passed and report.longrepr is None:
            self._link.send(("report", report))
            return
        data = self._config.hook.pytest_report_to_serializable(
            config=self._config, report=report
        )
        self._link.send(("failure", data))

    def pytest_warning_recorded(
        self,
        warning_message: warnings.WarningMessage,
        when: str,
        nodeid: str,
        location: tuple[str, int, str] | None,
    ) -> None:
        text, name = str(warning_message.message), warning_message.category.__name__
        place = (warning_message.filename, warning_message.lineno)
        self._link.send(("warning", text, name, *place, when, nodeid, location))
