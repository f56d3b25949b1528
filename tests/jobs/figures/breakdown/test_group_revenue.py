"""jobs.figures.worth: orders and revenue of a group, and the interval of the latter."""

from pushctl.jobs.figures.breakdown.group_revenue import Worth, describe_worth, sum_money
from pushctl.rules.figures.revenue.attribution import Kind
from pushctl.rules.money import Money
from pushctl.store.orders import Credited

# Of methods: 22 orders among 1,000 people.
WORTHS = (
    12,
    15,
    18,
    19,
    20,
    22,
    25,
    25,
    28,
    30,
    30,
    33,
    35,
    40,
    42,
    48,
    55,
    60,
    75,
    90,
    120,
    240,
)


def credit(
    person: int,
    minor: int | None,
    kind: Kind = Kind.DIRECT,
    currency: str = "EUR",
    back: int = 0,
) -> Credited:
    return 1, 1, person, kind.value, minor, 2, currency, back


def add_up(*credits: Credited, accepted: int = 1000) -> dict[str, object]:
    worth = Worth()
    for each in credits:
        worth.add(each)
    return dict(describe_worth({"accepted": accepted}, worth))


def test_a_thousand_messages_have_the_interval_of_fay_and_feuer() -> None:
    found = add_up(*(credit(person, 100 * each) for person, each in enumerate(WORTHS)))
    assert found["per_thousand"] == (Money(108200, 2, "EUR"),)
    assert (found["per_thousand_low"], found["per_thousand_high"]) == (54081, 222509)
    assert found["per_thousand_n"] == 22


def test_of_few_buyers_or_of_two_currencies_nobody_knows_it() -> None:
    few = add_up(*(credit(person, 100) for person in range(19)))
    assert "per_thousand_low" not in few
    # Many orders of one person are one buyer.
    assert "per_thousand_low" not in add_up(*(credit(1, 100) for _ in range(30)))
    mixed = [credit(one, 100, currency="EUR" if one % 2 else "USD") for one in range(60)]
    assert "per_thousand_low" not in add_up(*mixed)


def test_refunds_lower_the_revenue_and_influenced_orders_stand_apart() -> None:
    found = add_up(
        credit(1, 4000, back=1500), credit(2, None), credit(3, 6000, Kind.INFLUENCED, back=6000)
    )
    assert (found["orders"], found["influenced"]) == (2, 1)
    assert found["revenue"] == (Money(2500, 2, "EUR"),)
    assert found["refunded"] == (Money(1500, 2, "EUR"),)
    assert found["influenced_revenue"] == (Money(0, 2, "EUR"),)


def test_the_currency_of_the_most_orders_comes_first() -> None:
    amounts = [Money(9, 2, "EUR"), Money(1, 2, "TRY"), Money(1, 2, "TRY")]
    assert [each.currency for each in sum_money(amounts)] == ["TRY", "EUR"]
    assert describe_worth({"accepted": 0}, Worth())["per_thousand"] is None
