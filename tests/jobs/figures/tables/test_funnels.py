"""Figures: each is a query, and the two click rates are never mixed."""

from zoneinfo import ZoneInfo

import pytest

from pushctl.errors import InputError, NotFoundError
from pushctl.jobs.figures.tables import funnels
from pushctl.jobs.figures.tables.campaign_details import load_details
from pushctl.jobs.figures.tables.subscribers import load_growth
from pushctl.model import InteractionKind, SubscriptionState
from pushctl.rules.figures.tables import campaigns
from pushctl.store.imports import Row
from pushctl.store.interactions import Interaction
from pushctl.store.ledger_rows import FinishedRow
from tests import support
from tests.support import DAY, HOUR, MINUTE, NOON
from tests.support.sending import Field

UTC = ZoneInfo("UTC")


def sent(sender: Field, name: str, accepted: int, gone: int = 0) -> list[int]:
    """Freeze a campaign, book outcomes, and return its deliveries."""
    made = sender.freeze(name=name)
    rows, _ = sender.store.deliveries.claim_fresh(made.id, 0, 1000, NOON)
    statuses = ["accepted"] * accepted + ["gone"] * gone
    sender.store.deliveries.finish(
        (
            FinishedRow(row.id, status, http_status=201, language="en")
            for status, row in zip(statuses, rows, strict=False)
        ),
        NOON,
    )
    return [row.id for row in rows]


def reported(sender: Field, kind: str, deliveries: list[int], times: int = 1) -> None:
    for delivery in deliveries:
        for number in range(times):
            key = f"{delivery}-{kind}-{number}"
            one = Interaction(delivery, InteractionKind(kind), None, NOON, key)
            sender.store.interactions.add(one)


def test_the_funnel_counts_people_and_clicks_apart(sender: Field) -> None:
    sender.people(10)
    rows = sent(sender, "sale", accepted=8, gone=2)
    reported(sender, "shown", rows[:5])
    reported(sender, "clicked", rows[:2], times=3)
    (figures,) = funnels.load_funnel(sender.store)
    assert (figures["planned"], figures["accepted"], figures["gone"]) == (10, 8, 2)
    assert (figures["shown"], figures["clicked"], figures["clicks"]) == (5, 2, 6)
    assert figures["ctr"] == 2 / 8
    assert figures["ctr_shown"] == 2 / 5


def test_a_click_proves_that_the_message_was_shown(sender: Field) -> None:
    sender.people(4)
    rows = sent(sender, "sale", accepted=4)
    reported(sender, "shown", rows[:1])
    reported(sender, "clicked", rows[1:3])
    (figures,) = funnels.load_funnel(sender.store, "sale")
    assert (figures["shown"], figures["clicked"], figures["ctr_shown"]) == (3, 2, 2 / 3)


def test_nothing_accepted_has_no_rate(sender: Field) -> None:
    sender.people(1)
    sent(sender, "sale", accepted=0)
    (figures,) = funnels.load_funnel(sender.store)
    (listed,) = funnels.load_funnel(sender.store, table=campaigns.LIST)
    assert (figures["ctr"], figures["ctr_shown"], listed["waiting"]) == (None, None, 1)


def test_the_sum_of_states_is_what_was_planned(sender: Field) -> None:
    sender.people(9)
    sent(sender, "sale", accepted=5, gone=2)
    states = ("accepted", "gone", "rejected", "expired", "skipped", "in_doubt", "waiting")
    (row,) = sender.store.reports.load_funnel(("planned", *states))
    assert sum(row[state] for state in states) == row["planned"] == 9


def test_one_campaigns_figures_equal_its_line_in_the_list(sender: Field) -> None:
    sender.people(6)
    for name in ("first", "second"):
        rows = sent(sender, name, accepted=6)
        reported(sender, "shown", rows[:4])
        reported(sender, "clicked", rows[:1], times=2)
    for row in funnels.load_funnel(sender.store):
        assert funnels.load_funnel(sender.store, row["name"]) == [row]


def test_totals_add_counts_and_not_rates(sender: Field) -> None:
    sender.people(4)
    reported(sender, "clicked", sent(sender, "first", accepted=4)[:1])
    sent(sender, "second", accepted=4)
    total = funnels.sum_rows(funnels.load_funnel(sender.store))
    assert (total["accepted"], total["clicked"], total["ctr"]) == (8, 1, 1 / 8)


def test_details_split_by_language_browser_button_and_reason(sender: Field) -> None:
    sender.people(3)
    deliveries = sent(sender, "sale", accepted=3)
    action = Interaction(deliveries[0], InteractionKind.CLICKED, "open", NOON, "x")
    sender.store.interactions.add(action)
    found = {
        (row["by"], row["value"]): row
        for row in load_details(sender.store, sender.config, "sale")[1]
    }
    assert found["language", "en"]["clicked"] == 1
    assert found["browser", None]["planned"] == 3
    assert found["button", "open"]["clicks"] == 1
    assert found["reason", "accepted"]["planned"] == 3


def test_an_unknown_campaign_is_not_found(sender: Field) -> None:
    with pytest.raises(NotFoundError):
        load_details(sender.store, sender.config, "nothing")


# --- growth --------------------------------------------------------------------------


def mark(sender: Field, rows: list[int], state: str, at: int) -> None:
    sender.store.subscriptions.mark(rows, SubscriptionState(state), "why", at)


def test_growth_is_new_less_lost_and_churn_is_lost_of_those_there(sender: Field) -> None:
    old = sender.people(10, now=NOON - 3 * DAY)
    sender.people(5, first=20, now=NOON)
    mark(sender, old[:2], "unsubscribed", NOON)
    mark(sender, old[2:3], "gone", NOON)
    today, yesterday, *_ = load_growth(sender.store, NOON + HOUR, UTC, last=5)
    assert (today["active"], today["new"], today["lost"], today["net"]) == (10, 5, 3, 2)
    assert (today["unsubscribed"], today["gone"]) == (2, 1)
    assert today["churn"] == 3 / 10
    assert (yesterday["active"], yesterday["net"], yesterday["churn"]) == (10, 0, 0.0)


def test_of_the_new_ones_those_count_as_real_that_showed_something(sender: Field) -> None:
    rows = sender.people(5, now=NOON)
    sender.store.subscriptions.verify(rows[0], NOON + DAY)
    today, yesterday = load_growth(sender.store, NOON + 2 * DAY, UTC, last=3)[1:]
    assert (yesterday["new"], yesterday["shown"], yesterday["net"]) == (5, 1, 5)
    assert (today["new"], today["shown"]) == (0, 0)


def test_nobody_is_lost_twice(sender: Field) -> None:
    rows = sender.people(1, now=NOON - DAY)
    mark(sender, rows, "gone", NOON)
    mark(sender, rows, "unsubscribed", NOON + MINUTE)
    today, *_ = load_growth(sender.store, NOON + HOUR, UTC, last=2)
    assert (today["lost"], today["gone"], today["unsubscribed"]) == (1, 1, 0)


def test_who_comes_back_counts_as_back_and_may_be_lost_again(sender: Field) -> None:
    rows = sender.people(1, now=NOON - DAY)
    mark(sender, rows, "gone", NOON)
    mark(sender, rows, "active", NOON + MINUTE)
    mark(sender, rows, "gone", NOON + 2 * MINUTE)
    today, *_ = load_growth(sender.store, NOON + HOUR, UTC, last=2)
    assert (today["lost"], today["back"], today["net"]) == (2, 1, -1)


def imported(sender: Field, first: int, state: str, at: int) -> list[int]:
    """Import ten people in a state, as a file names them; return their rows."""
    rows = [
        row._replace(state=state, subscribed_at=at)
        for row in (
            Row(
                number.to_bytes(16, "big"), support.endpoint(number), support.p256dh(),
                support.auth(), 1, sender.key, None, None, False, None, None, None, None,
                None, None, None, None, None, None, (),
            )
            for number in range(first, first + 10)
        )
    ]  # fmt: skip
    sender.store.imports.upsert(rows, NOON)
    hashes = [row.endpoint_hash for row in rows]
    found = map(sender.store.subscriptions.find_by_endpoint, hashes)
    return [one.id for one in found if one is not None]


@pytest.mark.parametrize("state", ["unsubscribed", "gone", "quarantined"])
def test_who_had_left_elsewhere_was_never_active_here(sender: Field, state: str) -> None:
    sender.people(3, now=NOON - 3 * DAY)
    left = imported(sender, 1_000, state, NOON - DAY)
    imported(sender, 2_000, "active", NOON - DAY)
    sender.store.subscriptions.verify(left[0], NOON)
    mark(sender, left[1:2], "active", NOON)
    mark(sender, left[1:2], "gone", NOON + MINUTE)
    mark(sender, left[2:4], "active", NOON)
    mark(sender, left[2:3], "active", NOON + MINUTE)
    rows = load_growth(sender.store, NOON + HOUR, UTC, last=5)
    assert [row["active"] for row in rows] == [13, 3, 3, 0, 0]
    assert [row["new"] for row in rows] == [0, 10, 0, 3, 0]
    assert (rows[0]["back"], rows[0]["lost"]) == (3, 1)
    assert rows[1]["shown"] == 0
    reached = sender.store.reports.count_active()
    assert rows[0]["active"] + rows[0]["net"] == reached == 15


def test_days_begin_at_the_sites_midnight(sender: Field) -> None:
    late = NOON - NOON % DAY + 23 * HOUR  # 23:00 UTC: past midnight in Berlin
    sender.people(1, now=late)
    in_utc = load_growth(sender.store, late + HOUR // 2, UTC, last=1)
    in_berlin = load_growth(sender.store, late + HOUR // 2, ZoneInfo("Europe/Berlin"), last=1)
    assert (in_utc[0]["start"], in_berlin[0]["start"]) == ("2026-04-28", "2026-04-29")
    assert in_utc[0]["new"] == in_berlin[0]["new"] == 1


@pytest.mark.parametrize(
    ("every", "starts"),
    [
        ("day", ["2026-04-28", "2026-04-27", "2026-04-26"]),
        ("week", ["2026-04-27", "2026-04-20", "2026-04-13"]),
        ("month", ["2026-04-01", "2026-03-01", "2026-02-01"]),
    ],
)
def test_periods_are_days_weeks_from_monday_and_months(
    sender: Field, every: str, starts: list[str]
) -> None:
    sender.people(2, now=NOON)
    rows = load_growth(sender.store, NOON, UTC, every=every, last=3)
    assert [row["start"] for row in rows] == starts
    assert [row["new"] for row in rows] == [2, 0, 0]


def test_growth_of_one_site(sender: Field) -> None:
    sender.people(2)
    assert load_growth(sender.store, NOON, UTC, last=1, site="shop")[0]["new"] == 2
    with pytest.raises(NotFoundError, match="There are: shop"):
        load_growth(sender.store, NOON, UTC, site="other")


def test_the_list_of_campaigns_has_what_failed_for_good(sender: Field) -> None:
    sender.people(3)
    made = sender.freeze(name="sale")
    rows, _ = sender.store.deliveries.claim_fresh(made.id, 0, 1000, NOON)
    failed = FinishedRow(rows[0].id, "rejected", http_status=400)
    sender.store.deliveries.finish([failed], NOON)
    (row,) = funnels.load_funnel(sender.store, table=campaigns.LIST)
    assert row["rejected"] == 1


def test_the_latest_campaigns_by_number_and_by_time(sender: Field) -> None:
    sender.people(1)
    for number in range(3):
        sender.freeze(NOON + number * DAY, name=f"sale {number}")
    now = NOON + 2 * DAY + HOUR

    def names(last: str) -> list[object]:
        return [row["name"] for row in funnels.load_latest(sender.store, last, now)]

    assert names("2") == ["sale 2", "sale 1"]
    assert names("25h") == ["sale 2", "sale 1"]
    assert names("9") == ["sale 2", "sale 1", "sale 0"]
    assert names("59m") == []
    (row,) = funnels.load_latest(sender.store, "1", now)
    assert row in funnels.load_funnel(sender.store), "with the same figures"
    with pytest.raises(InputError, match="soon"):
        names("soon")
    with pytest.raises(InputError, match="is 1 to"):
        names("0")
