"""A fresh seed for each run, printed, so that a failure can be had again."""

import os
import random

import pytest


@pytest.fixture
def seed(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> int:
    """Return the seed of this run; PUSHCTL_SEED=NUMBER runs with that one."""
    number = int(os.environ.get("PUSHCTL_SEED") or random.SystemRandom().randrange(1 << 30))
    with capsys.disabled():
        print(f"\n{request.node.name}: PUSHCTL_SEED={number}")
    return number
