"""One world per browser for all tests of a file; without the browser they are skipped."""

import os
from collections.abc import Iterator

import pytest

from pushctl.demo import browsers
from tests.e2e.world import World


@pytest.fixture(scope="module", params=["firefox", "chromium"])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    found = browsers.find(request.param)
    if found is None:
        if os.environ.get("PUSHCTL_E2E") == "require":
            pytest.fail(f"{request.param} is not installed, and PUSHCTL_E2E=require")
        pytest.skip(f"{request.param} is not installed")
    with World(found, tmp_path_factory.mktemp(request.param)) as world:
        yield world
