"""Events of a page with a fault: the basket stays as it was, and the owner can find out."""

from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from pushctl.jobs.ingest import event_faults
from pushctl.jobs.project import check_events
from pushctl.rules import events
from pushctl.rules.audience import parse
from pushctl.rules.shops import cart
from pushctl.rules.triggers import declaration
from pushctl.store import Store
from pushctl.store.schema import migrations
from tests.support import DAY, NOON
from tests.support.posting import Browser, Project, events_of

LAMP = [{"id": "lamp", "name": "Lamp", "price": 20}]


def send(inbox_project: Project, browser: Browser, *told: tuple[str, Any]) -> Any:
    """Let a page send events: (name, properties)."""
    given = [
        {"id": f"e{number}", "name": name, "at": NOON, "properties": properties}
        for number, (name, properties) in enumerate(told)
    ]
    return inbox_project.drain(browser.post("/v1/events", events=given))


def test_a_basket_under_a_wrong_name_changes_nothing_and_is_counted(
    inbox_project: Project, ann: Browser
) -> None:
    report = send(inbox_project, ann, ("cart_updated", {"itms": LAMP}))
    assert dict(report.refused) == {"events that can't be meant": 1}
    why = "cart_updated without items, it has itms"
    assert dict(report.events_refused) == {why: 1}
    assert {"result": "events refused", "what": why, "lines": 1} in report.rows()
    assert "cart_updated" not in events_of(inbox_project, ann)
    assert event_faults.load(inbox_project.store, NOON) == {why: 1}
    assert event_faults.load(inbox_project.store, NOON + DAY) == {}


def test_the_other_events_of_the_request_are_taken(
    inbox_project: Project, ann: Browser
) -> None:
    told = ("cart_updated", {"items": LAMP}), ("cart_emptied", {"items": LAMP})
    report = send(inbox_project, ann, *told, ("purchase", {"itms": LAMP}))
    assert dict(report.applied) == {"events": 1}
    assert dict(report.events_refused) == {"cart_emptied with items": 1}
    assert sorted(events_of(inbox_project, ann)) == ["cart_updated", "purchase"]


def test_what_strangers_make_up_is_counted_up_to_a_bound(store: Store) -> None:
    for number in range(100):
        event_faults.record(store, {f"cart_updated without items, it has x{number}": 1}, NOON)
    found = event_faults.load(store, NOON)
    assert len(found) == 21 and found["for other reasons"] == 80


@pytest.mark.parametrize("name", ["Purchase", "PURCHASE", "purchase"])
def test_a_known_event_is_known_in_any_case(
    inbox_project: Project, ann: Browser, name: str
) -> None:
    send(inbox_project, ann, (name, {}), ("Trial_Viewed", {}))
    assert sorted(events_of(inbox_project, ann)) == ["Trial_Viewed", "purchase"]


def test_triggers_and_audiences_name_known_events_in_any_case() -> None:
    table = {
        "on": "Cart_Updated", "cancel_on": ["CART_EMPTIED"], "unless": "Trial", "within": "1h",
        "goal": "Purchase", "steps": [{"template": "one"}],
    }  # fmt: skip
    trigger, faults = declaration.parse("basket", table)
    assert trigger is not None and not faults
    assert trigger.on == ("cart_updated",)
    assert trigger.stops == {"cart_emptied", "Trial", "purchase"}
    assert parse.parse("event('Purchase')") == parse.parse("event('purchase')")
    assert set(cart.TELLING) <= set(events.KNOWN)


def test_check_names_events_that_nothing_knows(inbox_project: Project, ann: Browser) -> None:
    send(inbox_project, ann, ("Purchased", {}), ("cart_updated", {"itms": LAMP}), ("x", {}))
    config, store = inbox_project.config, inbox_project.store
    notes = [
        f"{text}: {remedy}" for _, text, remedy in check_events.find_notes(config, store, NOON)
    ]
    assert notes == [
        "today 1 event could not be meant: cart_updated without items, it has itms: "
        "The basket stays as it was. Send cart({ items: [{ id, name, price }] }).",
        "'Purchased' comes in (1 of the last events), no trigger knows it: "
        "Did you mean purchase?",
        "'x' comes in (1 of the last events), no trigger knows it: Fine, if nothing follows.",
    ]


def test_old_events_in_another_case_get_the_known_names(tmp_path: Path) -> None:
    database = Database(tmp_path / "old.db")
    migrations.apply(database, stop_before="m010_event_names")
    database.execute("PRAGMA foreign_keys = OFF")
    for number, name in enumerate(("Purchase", "CART_UPDATED", "Trial_Viewed", "purchase")):
        database.execute(
            "INSERT INTO events (subscription_id, name, at, received_at, properties,"
            " dedupe_key) VALUES (1, ?, 1, 1, '{}', ?)",
            (name, str(number)),
        )
    database.conn.commit()
    migrations.apply(database)
    names = [name for (name,) in database.execute("SELECT name FROM events ORDER BY id")]
    assert names == ["purchase", "cart_updated", "Trial_Viewed", "purchase"]
