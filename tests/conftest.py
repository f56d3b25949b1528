"""Fixtures that every test may use, and how the tests are shared out to two processes."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl.store import Store
from tests.support import ROOT, database

_SECONDS: Counter[str] = Counter()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty database with one site called "shop"."""
    with database.create(tmp_path / "pushctl.db") as opened:
        with opened.write() as connection:
            connection.execute(
                "INSERT INTO sites (name, origin) VALUES ('shop', 'https://shop.example')"
            )
        yield opened


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
            group = next(iter(callspec.params.values()))
        item.add_marker(pytest.mark.xdist_group(str(group)))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _SECONDS[report.nodeid.partition("::")[0]] += report.duration


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Add the seconds of each file to what ``tests.everything`` reads."""
    file = os.environ.get("PUSHCTL_TEST_SECONDS")
    if file and not hasattr(session.config, "workerinput"):
        with Path(file).open("a") as lines:
            lines.write(json.dumps(_SECONDS) + "\n")
