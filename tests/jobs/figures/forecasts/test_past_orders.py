"""Forecasts of orders and revenue from what earlier campaigns brought."""

from pathlib import Path

import pytest

from pushctl.jobs.figures.forecasts import accuracy, forecast
from pushctl.jobs.figures.forecasts.forecast import Forecast, Told
from pushctl.rules.figures.forecasts import forecast as rules
from pushctl.rules.figures.forecasts.forecast import Past, Range
from pushctl.rules.units import DAY, HOUR
from tests.support import NOON, sending
from tests.support.pasts import send_past
from tests.support.sending import Field

PEOPLE = 120
BOUGHT = (4, 5, 6, 4, 6, 5)  # of each campaign: 30 orders
VALUES = (1_000, 2_000, 6_000)  # in turn
LATER = NOON + 60 * DAY


@pytest.fixture
def field(tmp_path: Path) -> Field:
    made = sending.field(tmp_path)
    made.people(PEOPLE, tag=None)
    return made


def list_people(field: Field) -> list[int]:
    rows = field.store.connection.execute("SELECT id FROM subscriptions ORDER BY id")
    return [row for (row,) in rows]


def buy(
    field: Field,
    buyers: list[int],
    at: int,
    *,
    currency: str = "EUR",
    refunded: int | None = None,
    minor: int | None = None,
) -> None:
    """Write an order of each of *buyers*; values in turn, or *minor*."""
    sql = """
        INSERT INTO orders (site_id, source, number, state, minor, exponent, currency, at,
                            received_at, subscription_id, refunded_minor)
        VALUES ((SELECT min(id) FROM sites), 'page', ?, 'paid', ?, 2, ?, ?, ?, ?, ?)
    """
    with field.store.write() as connection:
        for place, buyer in enumerate(buyers):
            value = minor or VALUES[place % len(VALUES)]
            number = f"{at}-{buyer}-{currency}"
            connection.execute(sql, (number, value, currency, at, at, buyer, refunded))


def sell(field: Field, bought: tuple[int, ...] = BOUGHT, **options: object) -> None:
    ids = list_people(field)
    for place, buyers in enumerate(bought):
        at = NOON + (1 + 7 * place) * DAY
        send_past(field, f"sale {place}", ids, at, clicked=20, topic="promotion")
        buy(field, ids[:buyers], at + 2 * HOUR, **options)  # type: ignore[arg-type]


def tell(field: Field) -> dict[str, Told]:
    told = forecast.forecast(field.store, field.config, PEOPLE, "promotion", "sale", LATER)
    return {each.name: each for each in told.figures}


def predict(pasts: list[Past]) -> Range:
    level = rules.find_level(pasts, "", 0)
    assert level is not None
    return level.predict(PEOPLE)


def list_values(buyers: int) -> list[int]:
    return [VALUES[place % 3] for place in range(buyers)]


def test_orders_and_revenue_of_the_topics_campaigns(field: Field) -> None:
    buy(field, list_people(field)[-1:], NOON)  # the first order, nobody's merit
    sell(field)
    told = tell(field)
    expected = predict([Past("", 0, buyers, PEOPLE) for buyers in BOUGHT])
    assert told["orders"].range is not None and told["revenue"].range is not None
    assert told["orders"].range.levels == pytest.approx(expected.levels)
    assert told["orders"].last_three == pytest.approx(5)
    assert told["orders"].source == "30 orders of 6 campaigns about promotion, so it is rough"
    values = [value for buyers in BOUGHT for value in list_values(buyers)]
    average = sum(values) / 30
    noise = sum(value**2 for value in values) / 30 / average**2
    sums = [sum(list_values(buyers)) / average for buyers in BOUGHT]
    worth = predict([Past("", 0, each, PEOPLE, noise) for each in sums]).scale(average)
    assert told["revenue"].range.levels == pytest.approx(worth.levels)
    assert (told["revenue"].currency, told["revenue"].exponent) == ("EUR", 2)


def test_what_was_before_the_first_order_is_unknown(field: Field) -> None:
    ids = list_people(field)
    for place in range(3):
        send_past(
            field, f"old {place}", ids, NOON + place * HOUR, clicked=20, topic="promotion"
        )
    buy(field, ids[-1:], NOON + DAY)
    sell(field)
    assert tell(field)["orders"].source.startswith("30 orders of 6 campaigns")


def test_few_orders_are_no_forecast(field: Field) -> None:
    assert tell(field)["orders"].source == "no order is known"
    buy(field, list_people(field)[-1:], NOON)
    sell(field, (4, 5, 4))
    told = tell(field)
    assert told["orders"].range is None
    assert told["orders"].source == "13 orders of earlier campaigns, fewer than 20"
    assert told["revenue"].range is None


def test_refunds_lower_revenue_and_no_order(field: Field) -> None:
    buy(field, list_people(field)[-1:], NOON)
    sell(field, minor=2_000, refunded=500)
    told = tell(field)["revenue"].range
    expected = predict([Past("", 0, buyers, PEOPLE) for buyers in BOUGHT]).scale(1_500)
    assert told is not None and told.levels == pytest.approx(expected.levels)


def test_other_currencies_are_never_added(field: Field) -> None:
    ids = list_people(field)
    buy(field, ids[-1:], NOON)
    sell(field, minor=2_000)
    for place in range(3):
        at = NOON + (1 + 7 * place) * DAY + 3 * HOUR
        buy(field, ids[:2], at, currency="USD", minor=99_900)
    told = tell(field)["revenue"]
    expected = predict([Past("", 0, buyers, PEOPLE) for buyers in BOUGHT]).scale(2_000)
    assert told.currency == "EUR"
    assert told.range is not None and told.range.levels == pytest.approx(expected.levels)
    assert told.source.startswith("30 orders in EUR of 6 campaigns about promotion, so it is")
    assert told.source.endswith("; 6 in other currencies, or without an amount, are not in it")


def test_orders_and_revenue_are_scored(field: Field) -> None:
    buy(field, list_people(field)[-1:], NOON)
    sell(field, (5,), minor=2_000)
    figures = (
        Told("orders", Range(2, 4, 8), "", 3.0),
        Told("revenue", Range(3_000, 8_000, 9_000), "", None, "EUR", 2),
    )
    forecast.keep(field.store, 1, Forecast(PEOPLE, "promotion", figures, ()), NOON)
    orders, revenue = accuracy.load_scores(field.store, field.config, LATER)
    assert (orders["within"], orders["loss_p50"], orders["against"]) == (1, 0.5, 0.5)
    assert (revenue["within"], revenue["currency"], revenue["against"]) == (0, "EUR", None)
    assert revenue["loss_p50"] == pytest.approx(10)  # in EUR: 100 came, 80 were forecast
    one = accuracy.load_one(field.store, field.config, "sale 0", LATER)
    assert [(row["came"], row["within"]) for row in one] == [(5, True), (100, False)]
