"""One world per browser for all tests of a file; without the browser they are skipped."""

import os
import shutil
from collections.abc import Iterator

import pytest

from pushctl.demo import browsers
from tests.e2e.world import World


@pytest.fixture(scope="module", params=["firefox", "chromium"])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    found = browsers.find(request.param)
    missing = [] if found else [request.param]
    missing += [] if shutil.which("dbus-daemon") else ["dbus-daemon"]
    if missing and os.environ.get("PUSHCTL_E2E") == "require":
        pytest.fail(f"not installed: {', '.join(missing)}; and PUSHCTL_E2E=require")
    if found is None or missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    with World(found, tmp_path_factory.mktemp(request.param)) as world:
        yield world
