"""rules/limits: one home, names that say their unit, and the rules that stand side by side."""

import re
from pathlib import Path

import pytest

from pushctl.errors import InputError
from pushctl.receiver import shapes
from pushctl.rules import limits
from pushctl.rules.web import fields
from tests.support import ROOT

NAMES = [name for name in vars(limits) if name.startswith(("MAX_", "MIN_"))]
UNITS = (
    "BYTES", "CHARACTERS", "CODES", "CONDITIONS", "CONNECTIONS", "ENTRIES", "EVENTS",
    "FAULTS", "FILES",
    "ITEMS", "KEYS", "LEVELS", "LINES", "NAMES", "NUMBER", "ORDERS", "PARTS", "ROWS", "RULES",
    "SECONDS", "TAGS", "TIMES",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_limit_ends_in_its_unit(name: str) -> None:
    assert name.rpartition("_")[2] in UNITS
    assert type(getattr(limits, name)) is int


def test_a_limit_is_defined_once_and_used() -> None:
    home = ROOT / "pushctl/rules/limits.py"
    assigned = re.compile(r"^((?:MAX|MIN)_\w+).*=", re.MULTILINE)
    homes: dict[str, set[Path]] = {name: set() for name in NAMES}
    used: set[str] = set()
    for path in (ROOT / "pushctl").rglob("*.py"):
        text = path.read_text("utf-8")
        for name in homes.keys() & set(assigned.findall(text)):
            homes[name].add(path)
        if path != home:
            used |= set(re.findall(r"\w+", text))
    for name in NAMES:
        assert homes[name] <= {home}, name  # none for the second of a pair
        assert name in used, name


def nested(levels: int) -> dict[str, object]:
    value: dict[str, object] = {"end": 1}
    for _ in range(levels - 1):
        value = {"in": value}
    return value


def test_the_receiver_takes_fewer_levels_than_the_import() -> None:
    received, stored = limits.MAX_RECEIVED_LEVELS, limits.MAX_STORED_LEVELS
    assert (received, stored) == (4, 6)
    shapes.any_object(nested(received))
    with pytest.raises(shapes.ShapeError):
        shapes.any_object(nested(received + 1))
    assert fields.free(nested(stored))
    with pytest.raises(InputError):
        fields.free(nested(stored + 1))


def test_the_figures_that_others_have_written_down() -> None:
    assert limits.MAX_PAYLOAD_BYTES == 4_096 - 86 - 1 - 16
    assert limits.MAX_TTL_SECONDS == 4 * 7 * 24 * 3_600
    assert limits.MAX_PAUSE_SECONDS == 366 * 86_400
    assert limits.MAX_TAG_SECONDS == 3_650 * 86_400
