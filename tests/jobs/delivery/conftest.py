"""A push service that takes everything, and a project that sends to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl.demo.pushservice import PushService
from tests.support import sending


@pytest.fixture(scope="module")
def _running() -> Iterator[PushService]:
    with PushService(checks=False) as service:
        yield service


@pytest.fixture
def push_service(_running: PushService) -> Iterator[PushService]:
    """It takes everything, except where a test's script says otherwise (``play``)."""
    _running.play([])
    yield _running
    _running.play([])


@pytest.fixture
def sender(tmp_path: Path, push_service: PushService) -> Iterator[sending.Field]:
    """A project whose messages go to *push_service*; nobody is in it."""
    made = sending.field(tmp_path, push_service)
    yield made
    made.store.close()
