"""A small shop's morning in every test run; `shop_day.py` is the long form."""

from tests.faults import shop_day


def test_nobody_is_reminded_after_buying_and_every_order_adds_up() -> None:
    figures = shop_day.run(carts=150, seed=12, hours=0.5, every=10)
    wrong = figures.pop("wrong")
    assert not any(wrong.values()), wrong
    # What the checks are about took place.
    assert figures["reminders"] > 100
    assert figures["bought_and_not_reminded"] > 5
    assert figures["unmatched"] > 15
