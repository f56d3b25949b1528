"""A short, blind run over every parser; the long one is guided (docs/receiver.md)."""

import random
import subprocess
import sys

import pytest

from tests.faults.fuzz_receiver import spoil
from tests.fuzz.targets import SEEDS, TARGETS
from tests.support import ROOT


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_that_strangers_send_breaks_a_parser(name: str) -> None:
    chance = random.Random(f"{name} 3")
    for seed in SEEDS[name]:
        TARGETS[name](seed)
    for _ in range(300):
        data = chance.choice(SEEDS[name])
        for _ in range(chance.randrange(1, 6)):
            data = spoil(chance, data)
        TARGETS[name](data)
    for _ in range(50):
        TARGETS[name](chance.randbytes(chance.randrange(200)))


def test_the_guided_run_says_what_it_needs() -> None:
    blocked = "import sys; sys.modules['atheris'] = None; sys.argv = ['parsers']\n"
    found = subprocess.run(
        [sys.executable, "-c", blocked + "from tests.fuzz.parsers import main; main()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 1
    assert "pip install atheris" in found.stderr
