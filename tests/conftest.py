"""Fixtures that every test may use, and what is noted of each."""

import gc
import importlib.util
import json
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import pytest

from pushctl.demo.pushservice import PushService
from pushctl.store import Store
from tests.support import ROOT, database, posting, processor, sending, shop

# Of each file: seconds that went by, and of processors (support/processor).
_SECONDS: Counter[str] = Counter()
_PROCESSOR: Counter[str] = Counter()
_LENGTHS: Counter[str] = Counter()  # seconds that went by, of each test
_LONG = 3.0
_OUTCOMES: Counter[str] = Counter()
_FAILED: Counter[str] = Counter()
_MEMORY = Path("/dev/shm")
_ENOUGH = 4 << 30  # bytes that are free there; a run of all tests leaves less than one

# What a test measures is never the time of one example: a busy machine fails nothing.
hypothesis.settings.register_profile("pushctl", deadline=None)
hypothesis.settings.load_profile("pushctl")


def pytest_configure() -> None:
    """
    Take nothing over from whoever starts the tests that would change their outcome.

    A shell's background jobs ignore SIGINT, nohup ignores SIGHUP, and children inherit
    both; umask, time zone, language and a home folder come from a login, or don't.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            handler = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.umask(0o022)
    for name in [name for name in os.environ if name.startswith(("LC_", "LANGUAGE"))]:
        del os.environ[name]
    os.environ.update({"LANG": "C.UTF-8", "TZ": "UTC"})
    time.tzset()
    _use_memory()
    if not os.access(os.environ.get("HOME", ""), os.W_OK):
        os.environ["HOME"] = tempfile.gettempdir()


def _use_memory() -> None:
    """
    Put what tests write into memory where there is room for it: no test waits for a disk.

    What SIGKILL leaves is the same there. What a power loss leaves is judged by what was
    synced before (support/power), and not by a disk. TMPDIR decides otherwise.
    """
    if "TMPDIR" in os.environ or not os.access(_MEMORY, os.W_OK):
        return
    about = os.statvfs(_MEMORY)
    # Programs that tests write must be allowed to run: in some containers they aren't.
    if about.f_bavail * about.f_frsize >= _ENOUGH and not about.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None


def pytest_collection_finish() -> None:
    """Leave all tests out of garbage collections, here and in processes that are forked."""
    gc.collect()
    gc.freeze()
    processor.begin()


_ends_file = False  # the test that runs is the last one of its file, or of its process


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, Any, Any]:
    global _ends_file
    _ends_file = nextitem is None or nextitem.path != item.path
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: Any) -> Generator[None, Any, Any]:
    """
    Note the processor seconds of each file with its last report.

    To ask after each test would take longer than most tests: browsers that run meanwhile
    have hundreds of threads.
    """
    report = yield
    if _ends_file and call.when == "teardown":
        report.processor = processor.lap()
    return report


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty database with one site called "shop"."""
    with database.create(tmp_path / "pushctl.db") as opened:
        with opened.write() as connection:
            connection.execute(
                "INSERT INTO sites (name, origin) VALUES ('shop', 'https://shop.example')"
            )
        yield opened


@pytest.fixture
def sender(tmp_path: Path) -> Iterator[sending.Field]:
    """A project that can send; nobody is in it, and no push service answers."""
    made = sending.field(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[PushService]:
    """A push service on loopback that believes each message, unread."""
    with PushService(tmp_path / "service", checks=False) as running:
        yield running


@pytest.fixture
def inbox_project(tmp_path: Path, store: Store) -> posting.Project:
    """A project whose inbox browsers post to (``posting.Browser``)."""
    return posting.make_project(tmp_path, store)


@pytest.fixture
def swept_shop(tmp_path: Path, store: Store) -> shop.Shop:
    """A shop with a basket trigger, and a postman who takes every message."""
    return shop.Shop(tmp_path, store)


@pytest.fixture
def generate() -> ModuleType:
    """docs/generate.py, which writes pages of docs/."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    file = report.nodeid.partition("::")[0]
    _SECONDS[file] += report.duration
    _PROCESSOR[file] += getattr(report, "processor", 0.0)
    _LENGTHS[report.nodeid] += report.duration
    if report.when == "call" or not report.passed:
        _OUTCOMES[report.outcome if report.when == "call" or report.skipped else "errors"] += 1
    if report.failed:
        _FAILED[report.nodeid] += 1


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        _OUTCOMES["errors"] += 1
        _FAILED[report.nodeid] += 1


def pytest_sessionfinish() -> None:
    """Add the seconds of each file, and how its tests ended, to what ``everything`` reads."""
    if file := os.environ.get("PUSHCTL_TEST_SECONDS"):
        told = {
            "seconds": {file: (_SECONDS[file], _PROCESSOR[file]) for file in _SECONDS},
            "outcomes": _OUTCOMES,
            "failed": list(_FAILED),
            "longest": {test: length for test, length in _LENGTHS.items() if length >= _LONG},
        }
        with Path(file).open("a") as lines:
            lines.write(json.dumps(told) + "\n")
    for counted in (_SECONDS, _PROCESSOR, _LENGTHS, _OUTCOMES, _FAILED):
        counted.clear()  # one process may run several sessions (support/sharing)
