"""Fixtures that every test may use, and how the tests are shared out to two processes."""

import importlib.util
import json
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import hypothesis
import pytest

from pushctl.store import Store
from tests.support import ROOT, database

_SECONDS: Counter[str] = Counter()

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
    if not os.access(os.environ.get("HOME", ""), os.W_OK):
        os.environ["HOME"] = tempfile.gettempdir()


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
def generate() -> ModuleType:
    """docs/generate.py, which writes pages of docs/."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Keep together what shares something that is dear to make.

    A process of pytest-xdist gets a group as a whole: all tests of one browser, which then
    starts once, and elsewhere the tests of one file, whose fixtures of module scope do.
    """
    for item in items:
        callspec = getattr(item, "callspec", None)
        group = item.path.relative_to(ROOT).as_posix()
        if item.path.parent.name == "e2e" and callspec is not None:
            group = callspec.params.get("found", group)
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _SECONDS[report.nodeid.partition("::")[0]] += report.duration


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Add the seconds of each file to what ``tests.everything`` reads."""
    file = os.environ.get("PUSHCTL_TEST_SECONDS")
    if file and not hasattr(session.config, "workerinput"):
        with Path(file).open("a") as lines:
            lines.write(json.dumps(_SECONDS) + "\n")
