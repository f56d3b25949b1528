"""Kaplan and Meier with late entry: the reference's digits, and a judge's."""

import random

import numpy as np
import pytest
from statsmodels.duration.survfunc import SurvfuncRight

from pushctl.rules.figures.statistics.survival import Curve, estimate

# entry, exit, lost
TWELVE = [
    (0, 10, 1), (0, 25, 1), (0, 25, 0), (0, 40, 1), (0, 60, 0), (0, 90, 1), (0, 120, 0),
    (20, 25, 1), (25, 50, 1), (30, 120, 0), (40, 80, 1), (60, 100, 0),
]  # fmt: skip


def curve(rows: list[tuple[int, int, int]], least: int = 1) -> Curve:
    entry, exit, lost = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    return estimate(entry, exit, lost.astype(bool), least)


def test_shares_have_the_digits_of_the_reference() -> None:
    found = curve(TWELVE)
    expected = {10: 0.857143, 25: 0.612245, 40: 0.510204, 50: 0.425170, 80: 0.340136}
    assert {at: round(found.read(at).value or 0, 6) for at in expected} == expected
    assert found.read(90).value == pytest.approx(25 / 98, abs=1e-12)
    bounds = found.read(25)
    assert (round(bounds.low, 6), round(bounds.high, 6)) == (0.216777, 0.854326)


def test_ignoring_late_entry_gives_too_much() -> None:
    found = curve([(0, exit, lost) for _, exit, lost in TWELVE])
    assert round(found.read(90).value or 0, 4) == 0.3375


def test_it_begins_where_ten_are_watched_and_ends_with_the_last() -> None:
    rows = [(0, 5, 1), (0, 7, 1), *[(8, 50 + place, 0) for place in range(9)], (9, 30, 1)]
    found = curve(rows, least=10)
    assert found.start == 9
    assert found.read(8).value is None
    assert found.read(29).value == 1.0
    assert found.read(30).value == pytest.approx(0.9)
    assert found.read(58).value == pytest.approx(0.9)
    assert found.read(59).value is None


def test_too_few_make_no_curve() -> None:
    assert curve(TWELVE[:9], least=10).read(25).value is None
    nobody = np.empty(0, np.int64)
    assert estimate(nobody, nobody, nobody.astype(bool)).read(0).value is None


def test_nobody_lost_is_no_certainty() -> None:
    found = curve([(0, 100, 0)] * 50, least=10).read(30)
    assert found.value == found.high == 1.0
    assert 0.9 < found.low < 1.0


def test_a_judge_finds_the_same() -> None:
    chance = random.Random(7)
    for _ in range(3):
        rows = []
        for _ in range(200):
            entry = chance.choice((0, 0, chance.randrange(60)))
            length = 1 + int(chance.expovariate(1 / 50))
            rows.append((entry, entry + length, int(chance.random() < 0.6)))
        found = curve(rows)
        columns = [np.array(column, float) for column in zip(*rows, strict=True)]
        judge = SurvfuncRight(columns[1], columns[2], entry=columns[0])
        for at, share in zip(judge.surv_times, judge.surv_prob, strict=True):
            assert found.read(int(at)).value == pytest.approx(share, abs=1e-12)
