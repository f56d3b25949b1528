"""What all tellings of an order come to, whatever came first."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushctl.rules.money import Money
from pushctl.rules.shops import history
from pushctl.rules.shops.history import History
from pushctl.rules.shops.order import State
from pushctl.rules.shops.told import ToldOrder


def eur(minor: int | None) -> Money | None:
    return None if minor is None else Money(minor, 2, "EUR")


def tell(
    state: str, at: int, total: int | None = 5000, refunded: int | None = None, **more: Any
) -> ToldOrder:
    return ToldOrder("7", State(state), eur(total), eur(refunded), (), at, **more)


CASES: list[tuple[list[ToldOrder], str, int, int | None]] = [
    ([tell("pending", 5)], "pending", 5, 0),
    ([tell("pending", 5), tell("paid", 9)], "paid", 9, 0),
    ([tell("paid", 9), tell("paid", 12)], "paid", 9, 0),
    ([tell("pending", 5), tell("cancelled", 8)], "cancelled", 8, 0),
    ([tell("cancelled", 8), tell("paid", 9)], "paid", 9, 0),  # the bank was slow
    ([tell("paid", 9), tell("cancelled", 20)], "cancelled", 20, 0),
    ([tell("paid", 9), tell("refunded", 20)], "refunded", 9, 5000),
    ([tell("paid", 9), tell("refunded", 20, refunded=5000)], "refunded", 9, 5000),
    ([tell("paid", 9), tell("paid", 20, refunded=1500)], "paid", 9, 1500),
    ([tell("paid", 9), tell("refunded", 20, refunded=1500)], "paid", 9, 1500),
    ([tell("paid", 9), tell("paid", 20, refunded=9900)], "refunded", 9, 5000),
    ([tell("paid", 9), tell("paid", 20, refunded=10), tell("paid", 25, refunded=30)],
     "paid", 9, 30),
    ([tell("paid", 9), tell("refunded", 20, None, refund=eur(2000)),
      tell("refunded", 30, None, refund=eur(1000))], "paid", 9, 3000),
    ([tell("paid", 9), tell("refunded", 20, None, refund=eur(2000)),
      tell("refunded", 30, None, refund=eur(3000))], "refunded", 9, 5000),
    ([tell("refunded", 20)], "refunded", 20, 5000),
    ([tell("refunded", 20, None, 100)], "refunded", 20, None),
    ([tell("paid", 9, None)], "paid", 9, None),
    ([tell("paid", 9, 0), tell("paid", 20, 0, 0)], "paid", 9, 0),
    ([tell("paid", 9, 5000), tell("paid", 12, 4000)], "paid", 9, 0),
]  # fmt: skip


@pytest.mark.parametrize(("told", "state", "at", "refunded"), CASES)
def test_state_time_and_refunds_are_the_same_in_any_sequence(
    told: list[ToldOrder], state: str, at: int, refunded: int | None
) -> None:
    for some in itertools.permutations(told):
        known = History()
        for one in some:
            known = history.read(history.write(known.add(one)))
        assert (known.state, known.at, known.refunded_minor) == (state, at, refunded)
    newest = max((one for one in told if one.total), key=lambda one: one.at, default=None)
    assert known.total == (newest and newest.total)


AMOUNT = st.none() | st.builds(
    Money, st.integers(0, 99), st.just(2), st.sampled_from(["EUR", "USD"])
)
TOLD = st.builds(
    lambda state, at, total, refunded, refund: ToldOrder(
        "7", state, total, refunded, (), at, refund=refund
    ),
    st.sampled_from(State), st.integers(1, 9), AMOUNT, AMOUNT, AMOUNT,
)  # fmt: skip


@given(st.lists(TOLD, max_size=5), st.randoms(use_true_random=False))
def test_no_sequence_makes_a_difference(told: list[ToldOrder], chance: Any) -> None:
    mixed = list(told)
    chance.shuffle(mixed)
    first, other = History(), History()
    for one, two in zip(told, mixed, strict=True):
        first, other = first.add(one), other.add(two)
    assert first == other
    assert history.read(history.write(first)) == first
    refunded = first.refunded_minor
    assert refunded is None or (first.total and 0 <= refunded <= first.total.minor)
