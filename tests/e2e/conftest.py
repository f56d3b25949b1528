"""One machine for each browser, started once; without the browser its tests are skipped."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl.demo import browsers
from tests.e2e.machine import Machine
from tests.support import looks


@pytest.fixture(scope="session", params=["firefox", "chromium"])
def found(request: pytest.FixtureRequest) -> browsers.Found:
    """The browser's program, where all that its tests need is installed."""
    browser = browsers.find(request.param)
    missing = [] if browser else [request.param]
    missing += [] if shutil.which("dbus-daemon") else ["dbus-daemon"]
    missing += [] if looks.FONTS.is_dir() else ["fonts-dejavu-core"]
    if missing and os.environ.get("PUSHCTL_E2E") == "require":
        pytest.fail(f"not installed: {', '.join(missing)}; and PUSHCTL_E2E=require")
    if browser is None or missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    return browser


@pytest.fixture(scope="session")
def machine(
    found: browsers.Found, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    folder: Path = tmp_path_factory.mktemp(found.kind)
    with Machine(found, folder) as machine:
        yield machine
