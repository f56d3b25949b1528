"""From a new visitor to a subscriber: visits are unknown on days before they were counted."""

from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.tables.optin import load_optin
from pushctl.store import Store
from tests.support import DAY, NOON


def count(store: Store, day: int, stage: str, times: int, variant: str = "card") -> None:
    site = store.sites.load_ids()["shop"]
    for _ in range(times):
        store.prompts.count(site, NOON + day * DAY, variant, "en", "Chrome", stage)


def test_days_before_visits_were_counted_are_left_out_of_their_rates(store: Store) -> None:
    count(store, 0, "seen", 9)  # before the upgrade
    count(store, 0, "allowed", 5)
    count(store, 1, "visit", 3)  # the day of the upgrade: a part of one
    count(store, 1, "seen", 9)
    count(store, 2, "visit", 20)
    count(store, 2, "seen", 10)
    count(store, 2, "accepted", 4)
    count(store, 2, "allowed", 3)
    (row,) = load_optin(store, Filter(now=NOON + 3 * DAY), "variant")
    assert (row["visit"], row["seen"], row["allowed"]) == (20, 28, 8)
    assert row["allowed_of_visit"] == 3 / 20
    assert row["allowed_of_visit_n"] == 20
    assert row["seen_of_visit"] == 10 / 20


def test_without_a_visit_nothing_is_said_of_visits(store: Store) -> None:
    count(store, 0, "seen", 4)
    count(store, 0, "accepted", 6)  # strangers' counts: more than were asked
    (row,) = load_optin(store, Filter(now=NOON + DAY), "variant")
    assert row["visit"] is None
    assert row["allowed_of_visit"] is None
    assert row["accepted_of_seen_low"] is None


def test_variants_and_the_filters_time(store: Store) -> None:
    for variant, agreed in (("card", 1), ("bell", 3)):
        count(store, 0, "visit", 1, variant)
        count(store, 1, "visit", 10, variant)
        count(store, 1, "seen", 5 + agreed, variant)
        count(store, 1, "allowed", agreed, variant)
    rows = load_optin(store, Filter(now=NOON + 2 * DAY), "variant")
    assert [(row["variant"], row["allowed_of_visit"]) for row in rows] == [
        ("bell", 0.3), ("card", 0.1),
    ]  # fmt: skip
    assert load_optin(store, Filter(since=NOON + 2 * DAY, now=NOON + 2 * DAY), "variant") == []
    assert load_optin(store, Filter(site="other", now=NOON), "variant") == []
