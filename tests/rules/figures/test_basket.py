"""rules.figures.basket: what becomes of baskets, and the check values of its rates."""

import random

from pushctl.rules.figures.basket import IDLE, WINDOW, Basket, Funnel, Kind, count, follow
from pushctl.rules.figures.figure import Row
from pushctl.rules.figures.statistics.intervals import divide_shares, measure_share
from pushctl.rules.figures.tables.basket import Baseline, compare, fill_stages
from pushctl.rules.money import Money
from pushctl.rules.units import DAY, HOUR, MINUTE

TOUCHED, REMINDED, VISITED = Kind.TOUCHED, Kind.REMINDED, Kind.VISITED
EMPTIED, BOUGHT = Kind.EMPTIED, Kind.BOUGHT
LATER = 30 * DAY


def one(*moments: tuple[int, Kind], now: int = LATER) -> Basket:
    (basket,) = follow(moments, now)
    return basket


def digits(events: int, tries: int) -> tuple[str, str]:
    found = measure_share(events, tries)
    return f"{found.low:.6g}", f"{found.high:.6g}"


def test_the_rates_of_the_funnel_are_nested_and_wilsons() -> None:
    assert digits(1000, 1500) == ("0.642412", "0.69007")
    assert digits(210, 1000) == ("0.185889", "0.236331")
    assert digits(48, 210) == ("0.176956", "0.289939")
    assert digits(48, 1000) == ("0.0363933", "0.0630661")
    email = divide_shares(12, 1000, 48, 1000)
    assert (f"{email.low:.6g}", f"{email.high:.6g}") == ("2.09663", "7.18027")


def test_a_basket_that_is_bought_at_once_was_never_abandoned() -> None:
    found = one((0, TOUCHED), (20 * MINUTE, TOUCHED), (45 * MINUTE, BOUGHT))
    assert (found.abandoned_at, found.bought, found.returned) == (None, True, False)


def test_half_an_hour_of_silence_abandons_it() -> None:
    assert one((0, TOUCHED), (IDLE, BOUGHT)).abandoned_at is None
    late = one((0, TOUCHED), (IDLE + 1, BOUGHT))
    assert (late.abandoned_at, late.returned, late.bought) == (IDLE, True, True)


def test_a_reminder_abandons_it_sooner() -> None:
    found = one((0, TOUCHED), (3 * MINUTE, REMINDED), (5 * MINUTE, VISITED))
    assert (found.abandoned_at, found.reminded, found.returned) == (3 * MINUTE, True, True)
    assert not found.bought


def test_who_buys_later_than_a_day_has_another_basket() -> None:
    moments = [(0, TOUCHED), (IDLE + WINDOW + 1, VISITED), (IDLE + WINDOW + 2, TOUCHED)]
    first, second = follow([*moments, (IDLE + WINDOW + 3, BOUGHT)], LATER)
    assert (first.returned, first.bought, first.ended_at) == (False, False, IDLE + WINDOW)
    assert (second.abandoned_at, second.bought) == (None, True)
    assert one((0, TOUCHED), (IDLE + WINDOW, BOUGHT)).bought  # the day's last moment counts


def test_an_emptied_basket_is_neither_bought_nor_abandoned() -> None:
    assert count(follow([(0, TOUCHED), (MINUTE, EMPTIED)], LATER)).emptied == 1
    back = one((0, TOUCHED), (2 * HOUR, EMPTIED))
    assert (back.abandoned_at, back.returned, back.bought) == (IDLE, True, False)


def test_an_open_basket_is_not_counted_yet() -> None:
    assert count(follow([(0, TOUCHED)], IDLE)).open == 1
    funnel = count(follow([(0, TOUCHED)], IDLE + 1))
    assert (funnel.abandoned, funnel.fresh, funnel.finished) == (1, 1, 1)
    assert count(follow([(0, TOUCHED)], LATER)).fresh == 0


def test_a_purchase_without_a_basket_is_none() -> None:
    assert follow([(0, VISITED), (1, BOUGHT), (2, REMINDED), (3, EMPTIED)], LATER) == []


def test_counts_are_nested_whatever_happens() -> None:
    chance = random.Random(3)
    for _ in range(300):
        steps = (chance.randrange(2 * DAY) for _ in range(chance.randrange(1, 12)))
        moments = sorted((at, chance.choice(list(Kind))) for at in steps)
        funnel = count(follow(moments, chance.randrange(2 * DAY, 4 * DAY)))
        assert funnel.finished >= funnel.abandoned >= funnel.returned >= funnel.recovered
        assert funnel.abandoned >= funnel.reminded
        baskets = sum(kind is TOUCHED for _, kind in moments)
        assert funnel.finished + funnel.emptied + funnel.open <= baskets


def fill(*people: tuple[int, int, int, int], **own: float) -> list[Row]:
    """Return the table of people with (bought, abandoned, returned, recovered) baskets."""
    funnels = [
        Funnel(bought=bought, abandoned=left, returned=back, recovered=again)
        for bought, left, back, again in people
    ]
    orders = [Money(1_000, 2, "EUR"), Money(2_501, 2, "EUR"), Money(70, 0, "JPY")]
    return fill_stages(funnels, orders, own)


def test_the_table_has_the_check_values() -> None:
    people = [(1, 0, 0, 0)] * 500 + [(0, 1, 0, 0)] * 790 + [(0, 1, 1, 0)] * 162
    people += [(0, 1, 1, 1)] * 48
    rows = fill(*people, cart_email=0.012, cart_return=0.15)
    found = [(row["baskets"], row["whole"]) for row in rows]
    assert found == [(1000, 1500), (0, 1000), (210, 1000), (48, 210), (48, 1000)]
    bounds = [f"{row['share_low']:.6g} {row['share_high']:.6g}" for row in rows]
    assert bounds[0] == "0.642412 0.69007" and bounds[2] == "0.185889 0.236331"
    assert bounds[3] == "0.176956 0.289939" and bounds[4] == "0.0363933 0.0630661"
    assert (rows[2]["baseline"], rows[3]["baseline"]) == (0.15, None)
    # Against a share that is certain: Wilson's bounds over it.
    assert (rows[4]["times"], rows[4]["times_low"], rows[4]["times_high"]) == (4, 3.03, 5.26)
    assert rows[4]["average"] == (Money(1750, 2, "EUR"), Money(70, 0, "JPY"))
    walter = compare(Baseline(0.012, 1000), 48, 1000)
    assert (f"{walter.low:.6g}", f"{walter.high:.6g}") == ("2.09663", "7.18027")


def test_baskets_of_one_person_count_by_person() -> None:
    rows = fill((0, 10, 10, 0), *[(0, 1, 0, 0)] * 10)
    returned = rows[2]
    assert (returned["baskets"], returned["whole"], returned["share_n"]) == (10, 20, 11)
    wilson = measure_share(10, 20)
    assert float(str(returned["share_low"])) < wilson.low
    assert fill((1, 0, 0, 0))[2]["share"] is None  # of nothing: unknown
