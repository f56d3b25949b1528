"""Which message has brought about which order: the rule, kept rows, and what changes them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pushctl.config import Config, FiguresConfig, Goal, Site
from pushctl.errors import ConfigError, NotFoundError
from pushctl.jobs.figures.attribution import full_build
from pushctl.jobs.figures.attribution.credits import Credit, load_credits, refresh
from pushctl.rules.figures.revenue.attribution import Kind
from pushctl.rules.figures.revenue.per_person import sum_orders
from pushctl.rules.money import Money
from pushctl.store import Store, attributions
from tests.support import killed
from tests.support.recount.attribution import recount
from tests.support.sales import DAY, HOUR, START, RandomSales, Sales


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(
        tmp_path / "pushctl.toml",
        "mailto:you@shop.example",
        {"shop": Site("shop", "https://shop.example", currency="EUR")},
        goals={"signed_up": Goal("signed_up", window="48h")},
    )


def name(credits: list[Credit]) -> set[tuple[object, ...]]:
    return {
        (it.order, it.kind.value, it.delivery, it.campaign, it.basis, it.at) for it in credits
    }


def test_the_last_click_of_a_person_within_the_window_gets_the_order(
    store: Store, config: Config
) -> None:
    """The check case of methods-figures.md, section 9, to the letter."""
    sales = Sales(store)
    one, two = sales.campaign("A"), sales.campaign("B")
    phone, desktop = sales.person("P1"), sales.person("P1")
    other = sales.person("P2")
    m1, m2 = sales.message(one, phone), sales.message(two, desktop)
    m3, m4 = sales.message(one, other), sales.message(two, other)
    nine = START + 9 * HOUR
    sales.report(m1, "shown", nine)
    sales.report(m1, "clicked", nine + HOUR)
    sales.report(m2, "shown", nine + 3 * HOUR)
    o1 = sales.order(desktop, nine + 4 * HOUR, 4000, refunded_minor=1500)
    sales.report(m2, "clicked", nine + 6 * HOUR)
    o2 = sales.order(phone, nine + 6 * HOUR + DAY, 2500, "USD")
    sales.order(phone, nine + 6 * HOUR + DAY + 1000, 1000)
    sales.report(m3, "shown", nine)
    sales.report(m4, "shown", nine)
    o4 = sales.order(other, nine + 11 * HOUR, 6000, state="refunded", refunded_minor=6000)

    credits = {it.order: it for it in load_credits(store, config)}

    assert set(credits) == {o1, o2, o4}
    assert credits[o1][2:5] == (Kind.DIRECT, m1, one)
    assert (credits[o1].minor, credits[o1].refunded_minor) == (4000, 1500)
    assert credits[o2][2:5] == (Kind.DIRECT, m2, two)
    assert (credits[o2].minor, credits[o2].currency) == (2500, "USD")
    assert credits[o4][2:5] == (Kind.INFLUENCED, m4, two)
    assert (credits[o4].minor, credits[o4].refunded_minor) == (6000, 6000)
    assert credits[o1].person_key == credits[o2].person_key == phone


@pytest.mark.parametrize("seed", range(5))
def test_what_is_kept_is_what_a_recount_over_raw_rows_finds(
    store: Store, config: Config, seed: int
) -> None:
    world = RandomSales(store, seed)
    for number in range(25):
        for _ in range(1 + number % 4):
            world.step()
        assert name(load_credits(store, config)) == recount(store)
        if number % 5 == 0:
            found = name(load_credits(store, config, "signed_up"))
            assert found == recount(store, 48 * HOUR, "signed_up")


@pytest.mark.parametrize("seed", range(5, 13))
def test_all_at_once_is_what_a_recount_over_raw_rows_finds(
    store: Store, config: Config, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(full_build, "_BITS", 3)
    world = RandomSales(store, seed)
    read = []
    for _ in range(4):
        for _ in range(30):
            world.step()
        store.attributions.forget()
        refresh(store, config, lambda total: read_into(read, total))
        assert name(load_credits(store, config)) == recount(store)
        found = name(load_credits(store, config, "signed_up"))
        assert found == recount(store, 48 * HOUR, "signed_up")
    # Both goals read all reports.
    (reports,) = store.connection.execute("SELECT max(id) FROM interactions").fetchone()
    assert read[-2:] == [2 * reports, 2 * reports]


@contextmanager
def read_into(read: list[int], total: int) -> Iterator[Callable[[int], None]]:
    """Note the total, and what there was of it in the end."""
    counts: list[int] = []
    yield counts.append
    read.extend((total, sum(counts)))


def make_pair(store: Store) -> tuple[Sales, int, int]:
    """Return a world with one campaign, a person and a message clicked at nine."""
    sales = Sales(store)
    person = sales.person()
    message = sales.message(sales.campaign("A"), person)
    sales.report(message, "clicked", START + 9 * HOUR)
    return sales, person, message


def test_a_click_goes_before_a_code_and_a_code_before_what_was_only_shown(
    store: Store, config: Config
) -> None:
    sales, person, clicked = make_pair(store)
    coded = sales.message(sales.campaign("B"), person)
    seen = sales.message(sales.campaign("C"), person)
    code = sales.code(sales.pool())
    sales.bind(coded, code, person, START - 30 * DAY)
    near, later = START + 10 * HOUR, START + 5 * DAY
    sales.report(seen, "shown", near)
    sales.report(seen, "shown", later)
    first, second, third = (sales.order(person, at) for at in (near, later, later + HOUR))
    sales.redeem(first, code, near)
    sales.redeem(second, code, later)

    found = {it.order: (it.delivery, it.basis) for it in load_credits(store, config)}
    assert found == {
        first: (clicked, "click"), second: (coded, "code"), third: (seen, "shown")
    }  # fmt: skip


def test_an_order_of_nobody_is_that_persons_whose_code_it_redeems(
    store: Store, config: Config
) -> None:
    sales, person, clicked = make_pair(store)
    coded = sales.message(sales.campaign("B"), person)
    code, shared = sales.code(sales.pool()), sales.code(sales.pool(), shared=True)
    sales.bind(coded, code, person, START)
    sales.bind(clicked, shared, person, START)
    orders = [sales.order(None, START + hours * HOUR) for hours in (10, 100, 10)]
    for order, its_code in zip(orders, (code, code, shared), strict=True):
        sales.redeem(order, its_code, START)
    untracked = sales.order(None, START + 10 * HOUR, unmatched="asked not to be tracked")
    sales.redeem(untracked, code, START)

    found = {it.order: (it.delivery, it.subscription) for it in load_credits(store, config)}
    assert found == {orders[0]: (clicked, None), orders[1]: (coded, None)}


def test_another_rule_changes_the_past_and_the_old_one_brings_it_back(
    store: Store, config: Config
) -> None:
    sales, person, _ = make_pair(store)
    sales.order(person, START + 60 * HOUR)
    longer = replace(config, goals={"purchase": Goal("purchase", window="72h")})
    assert load_credits(store, config) == []
    assert len(load_credits(store, longer)) == 1
    assert load_credits(store, config) == []


def test_what_is_kept_may_be_deleted_and_is_not_read_twice(
    store: Store, config: Config
) -> None:
    world = RandomSales(store, 5)
    before = load_credits(store, config)
    assert before
    written: list[str] = []
    store.connection.set_trace_callback(written.append)
    assert load_credits(store, config) == before
    store.connection.set_trace_callback(None)
    assert not [sql for sql in written if "interactions AS i" in sql or "INSERT" in sql]
    store.attributions.forget()
    assert sorted(load_credits(store, config)) == sorted(before)
    assert name(before) == recount(world.store)


def test_where_nothing_can_be_written_the_figures_are_the_same(
    store: Store, config: Config
) -> None:
    world = RandomSales(store, 6)
    store.attributions.forget()
    store.connection.execute("PRAGMA query_only = ON")
    assert name(load_credits(store, config)) == recount(store)
    assert store.attributions.load_states() == {}
    store.connection.execute("PRAGMA query_only = OFF")
    load_credits(store, config)
    for _ in range(30):
        world.step()
    store.connection.execute("PRAGMA query_only = ON")
    assert name(load_credits(store, config)) == recount(store)
    store.connection.execute("PRAGMA query_only = OFF")


def test_what_another_run_has_kept_meanwhile_stays(store: Store, config: Config) -> None:
    """The slower one of two has read an older state; it must not bring that back."""
    sales, person, message = make_pair(store)
    order = sales.order(person, START + 10 * HOUR)
    load_credits(store, config)
    sales.change("UPDATE orders SET at = at + 1 WHERE id = ?", order)
    slow = store.attributions.load_states()
    load_credits(store, config)
    assert not store.attributions.keep(slow, slow, {"purchase": (None, ())})
    (credit,) = load_credits(store, config)
    assert (credit.order, credit.delivery) == (order, message)


def test_an_order_that_comes_while_all_is_computed_is_not_forgotten(
    store: Store, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    sales, person, _ = make_pair(store)
    sales.order(person, START + 10 * HOUR)
    plain = store.attributions.keep

    def keep(*args: Any) -> bool:
        with Store(store.path) as other:
            Sales(other).order(person, START + 11 * HOUR, number="late")
        return plain(*args)

    monkeypatch.setattr(store.attributions, "keep", keep)
    load_credits(store, config)
    monkeypatch.undo()
    assert name(load_credits(store, config)) == recount(store)
    assert len(load_credits(store, config)) == 2


def test_amounts_are_converted_where_a_rate_is_known(store: Store, config: Config) -> None:
    sales, person, _ = make_pair(store)
    at = START + 10 * HOUR
    sales.order(person, at, 10000, "USD", refunded_minor=2500)
    sales.order(person, at, 500, "TRY")
    sales.order(person, at, 4000, "EUR")
    sales.order(person, at, None, None)
    day = f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d}"
    file = config.folder / "rates.csv"
    file.write_text(f"date,from,to,rate\n{day},USD,EUR,0.8671\n2020-01-01,TRY,EUR,0.15\n")
    here = replace(config, figures=FiguresConfig("EUR", file))
    found = sorted(it[8:12] for it in load_credits(store, here) if it.minor)
    assert found == [
        (500, 2, "TRY", 0), (4000, 2, "EUR", 0), (8671, 2, "EUR", 2168)
    ]  # fmt: skip
    file.unlink()
    with pytest.raises(ConfigError, match="does not exist"):
        load_credits(store, here)


def test_a_goal_counts_its_events_and_their_value(store: Store, config: Config) -> None:
    sales, person, _ = make_pair(store)
    at = START + 10 * HOUR
    sales.event(person, "signed_up", at, '{"total": "19.90", "currency": "USD"}')
    sales.event(person, "signed_up", at, '{"total": 5}')
    sales.event(person, "signed_up", at, '{"total": "much"}')
    sales.event(person, "looked", at)
    goals = {
        "signed_up": Goal("signed_up", value="total"),
        "look": Goal("look", "looked", value=2.5),
    }
    here = replace(config, goals=goals)
    found = [it[8:11] for it in load_credits(store, here, "signed_up")]
    assert found == [(1990, 2, "USD"), (500, 2, "EUR"), (None, None, None)]
    assert [it[8:11] for it in load_credits(store, here, "look")] == [(250, 2, "EUR")]
    with pytest.raises(NotFoundError, match="no goal is called 'buy'"):
        load_credits(store, here, "buy")


def test_credits_are_chosen_by_campaign_and_time_and_summed(
    store: Store, config: Config
) -> None:
    sales, person, _ = make_pair(store)
    other = sales.person()
    seen = sales.message(sales.campaign("B"), other)
    sales.report(seen, "shown", START + 9 * HOUR)
    for buyer, hours in ((person, 10), (person, 11), (other, 12)):
        sales.order(buyer, START + hours * HOUR)
    credits = load_credits(store, config)
    sums = {
        (campaign, kind): sum_orders(
            one.to_order() for one in credits if (one.campaign, one.kind) == (campaign, kind)
        )
        for campaign in (1, 2)
        for kind in Kind
    }
    assert (sums[1, Kind.DIRECT].orders, sums[1, Kind.DIRECT].buyers) == (2, 1)
    assert sums[1, Kind.DIRECT].revenue == (Money(2000, 2, "EUR"),)
    assert (sums[2, Kind.DIRECT].orders, sums[2, Kind.INFLUENCED].orders) == (0, 1)
    found = load_credits(
        store, config, campaigns=[1], since=START + 11 * HOUR, until=START + 12 * HOUR
    )
    assert [it.at for it in found] == [START + 11 * HOUR]


def test_an_erased_person_leaves_nothing_in_what_is_kept(store: Store, config: Config) -> None:
    sales, person, _ = make_pair(store)
    sales.order(person, START + 10 * HOUR)
    sales.event(person, "signed_up", START + 10 * HOUR)
    assert load_credits(store, config)
    store.erasure.erase([person], START)
    assert store.connection.execute("SELECT count(*) FROM attributions").fetchone() == (0,)
    assert load_credits(store, config) == []


def test_a_kill_at_any_line_leaves_what_was_kept_or_what_is_to_be(
    tmp_path: Path, config: Config
) -> None:
    path = tmp_path / "kept.db"
    with Store(path, create=True) as store:
        world = RandomSales(store, 3)
        load_credits(store, config)
        for _ in range(30):
            world.step()
    whole = path.read_bytes()  # closed last, it has taken its log into itself

    def compute(path: Path) -> None:
        with Store(path) as store:
            load_credits(store, config)

    files = killed.files_of(attributions)
    points = killed.find_points(lambda: compute(path), files, [tmp_path])
    for at in points.first:
        copy = tmp_path / f"{at}.db"
        copy.write_bytes(whole)
        assert killed.run(partial(compute, copy), at, files)
        with Store(copy) as store:
            assert name(load_credits(store, config)) == recount(store)


def test_changes_that_nobody_asks_for_are_not_kept_for_ever(
    store: Store, config: Config
) -> None:
    sales, person, _ = make_pair(store)
    before = name(load_credits(store, config))
    for _ in range(3):
        sales.order(person, START + 10 * HOUR)
    store.attributions.prune(3)
    assert count_changes(store) == 3
    store.attributions.prune(2)
    assert count_changes(store) == 0
    # Nobody has asked since: nothing is noted, and nothing is missed.
    sales.order(person, START + 10 * HOUR)
    assert count_changes(store) == 0
    assert len(name(load_credits(store, config)) - before) == 4
    assert name(load_credits(store, config)) == recount(store)


def test_who_is_new_or_named_again_is_no_change(store: Store, config: Config) -> None:
    sales, person, _ = make_pair(store)
    load_credits(store, config)
    named = sales.person("P1")
    assert count_changes(store) == 0
    again = (
        "UPDATE subscriptions SET alias = ?, alias_trusted = ?, last_seen_at = 9 WHERE id = ?"
    )
    sales.change(again, "P1", 1, named)
    # An alias that nobody has signed makes no person.
    sales.change(again, "P2", 0, person)
    assert count_changes(store) == 0
    sales.change(again, "P2", 1, person)
    assert count_changes(store) == 1


def count_changes(store: Store) -> int:
    (count,) = store.connection.execute("SELECT count(*) FROM attribution_changes").fetchone()
    return int(count)
