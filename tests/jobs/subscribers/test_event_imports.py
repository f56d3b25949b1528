"""Events from files: whose they are, when they were, once each; and what they begin."""

import json
from typing import Any

import pytest

from pushctl.errors import ConfigError, InputError
from pushctl.jobs.subscribers import event_imports
from pushctl.jobs.subscribers.event_imports import EventReport
from pushctl.model import SubscriptionState
from pushctl.rules.audience import parse
from pushctl.rules.money import Money
from pushctl.rules.shops import order
from pushctl.rules.shops.told import Clues
from pushctl.rules.tokens import hash_email
from pushctl.store.events import Event
from pushctl.store.orders import Found
from tests.support import DAY, HOUR, MINUTE, NOON
from tests.support.shop import Shop

YEAR = 365 * DAY


class Quiet:
    def advance(self, count: int = 1) -> None: ...


def load(shop: Shop, text: str | list[dict[str, Any]], **options: Any) -> EventReport:
    file = shop.folder / "events.txt"
    lines = text if isinstance(text, str) else "\n".join(map(json.dumps, text))
    file.write_text(lines, "utf-8")
    return event_imports.import_file(shop.store, shop.config, file, NOON, Quiet(), **options)


def name(shop: Shop, alias: str, *, signed: bool = True) -> int:
    """Let somebody subscribe whom the shop calls *alias*."""
    row = shop.person(at=NOON - YEAR)
    shop.store.subscriptions.set_alias(row, alias, signed)
    return row


def events(shop: Shop, person: int) -> list[tuple[str, int, Any]]:
    return [(one.name, one.at, one.properties) for one in shop.store.events.list_newest(person)]


def test_events_keep_their_times_and_are_written_once(swept_shop: Shop) -> None:
    ann = name(swept_shop, "customer-7")
    told = [
        {"alias": "customer-7", "event": "Purchase", "at": NOON - YEAR, "value": 20},
        {
            "alias": "customer-7",
            "name": "visited",
            "at": "2026-01-02T10:00:00+02:00",
            "id": "v1",
        },
        {"alias": "customer-7", "name": "visited", "at": NOON - 5, "id": "v1"},  # the same one
    ]
    report = load(swept_shop, told)
    assert (report.new, report.known, report.people, report.refused) == (2, 1, 1, 0)
    assert events(swept_shop, ann) == [
        ("visited", 1_767_340_800_000, {}),
        ("purchase", NOON - YEAR, {"value": 20}),
    ]
    again = load(swept_shop, told)
    assert (again.new, again.known) == (0, 3)
    # By other words it is another event.
    assert load(swept_shop, [{**told[0], "value": 21}]).new == 1


def test_a_csv_of_orders_needs_no_more_than_a_name(swept_shop: Shop) -> None:
    ann = name(swept_shop, "7")
    cells = (
        "Customer ID;Order ID;Total;Currency;Date;Items\n"
        '7;R1;"49,90";EUR;31.12.2025 13:45;"[{""id"": ""lamp"", ""price"": 49.9}]"\n'
        "8;R2;10.00;EUR;2025-12-31;\n"
    )
    dry = load(swept_shop, cells, event="purchase", dry_run=True)
    assert (dry.people, dry.new, dry.unknown, dry.orders) == (1, 1, 1, 2)
    assert dry.properties == ("order_id", "total", "currency", "items")
    assert events(swept_shop, ann) == []
    assert swept_shop.store.orders.list() == []
    assert not (swept_shop.folder / "events.txt.rejects.jsonl").exists()

    for orders in (2, 0):
        assert load(swept_shop, cells, event="purchase").orders == orders
    matched, unmatched = sorted(swept_shop.store.orders.list(), key=lambda one: one["number"])
    assert (matched["source"], matched["minor"], matched["state"]) == ("import", 4990, "paid")
    assert matched["at"] == 1_767_188_700_000
    assert json.loads(matched["lines"])[0]["id"] == "lamp"
    public = swept_shop.store.subscriptions.get_many([ann])[0].public_id
    assert (matched["subscriber"], unmatched["subscriber"]) == (public, None)
    assert unmatched["unmatched"] == "nobody of the site has this alias, signed by the shop"


def test_an_order_that_nobody_paid_for_is_no_purchase(swept_shop: Shop) -> None:
    name(swept_shop, "7")
    states = ("wc-Cancelled", "Refunded", "on-hold", "completed", "partially_refunded", "")
    cells = "".join(f"7,R{i},10,2025-12-31,{word}\n" for i, word in enumerate(states))
    report = load(
        swept_shop, "customer_id,order_id,total,date,Order Status\n" + cells, event="purchase"
    )
    assert (report.orders, report.new, report.refused) == (3, 3, 3)
    assert report.reasons["a purchase that is 'on hold' by its state is none"] == 1
    # Of other events it is a property as any.
    told = {"alias": "7", "event": "visited", "at": NOON - DAY, "status": "pending"}
    assert load(swept_shop, [told]).new == 1


def test_a_number_counts_once_whoever_tells_of_it(swept_shop: Shop) -> None:
    ann, store = name(swept_shop, "7"), swept_shop.store
    told = {"alias": "7", "event": "purchase", "at": NOON - HOUR, "total": "20 EUR"}
    for number, source in (("R1", order.PAGE), ("R2", "shopify")):
        bought = order.Purchase(number, Money(999, 2, "EUR"), ())
        found = Found(ann, None, source)
        store.orders.add(1, source, bought, order.State.PAID, NOON, NOON, found)
        event = Event(ann, "purchase", NOON, NOON, {}, f"{ann}:purchase:{number}")
        store.events.add([event])
    lines = [{**told, "order": number} for number in ("R1", "R2", "R3", "R3")]
    for dry_run in (True, False):
        report = load(swept_shop, lines, dry_run=dry_run)
        assert (report.orders, report.new, report.known) == (2, 1, 3)
    kept = sorted((one["number"], one["source"], one["minor"]) for one in store.orders.list())
    # A page may say what it likes; a shop knows.
    assert kept == [("R1", "import", 2000), ("R2", "shopify", 999), ("R3", "import", 2000)]


def test_an_order_waits_for_whoever_subscribes_later(swept_shop: Shop) -> None:
    told = {"alias": "7", "event": "purchase", "at": NOON - HOUR, "order": "R1", "total": 5}
    load(swept_shop, [told])
    (waiting,) = swept_shop.store.orders.list_unmatched(1, Clues(alias="7"), NOON - DAY)
    assert waiting.number == "R1"


def test_a_person_is_all_of_their_active_browsers(swept_shop: Shop) -> None:
    first, second, gone = (name(swept_shop, "customer-7") for _ in range(3))
    swept_shop.store.subscriptions.mark([gone], SubscriptionState.GONE, "410", NOON)
    claimed = name(swept_shop, "customer-7", signed=False)
    public = swept_shop.store.subscriptions.get_many([first])[0].public_id
    report = load(swept_shop, [{"subscriber": public, "event": "visited", "at": NOON - HOUR}])
    assert (report.new, report.people) == (1, 1)
    rows = (first, second, gone, claimed)
    assert [len(events(swept_shop, one)) for one in rows] == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ({"event": "a", "at": NOON}, "it names nobody"),
        ({"alias": "null", "event": "a", "at": NOON}, "alias is a word for nothing"),
        ({"alias": "7", "at": NOON}, "event is missing"),
        ({"alias": "7", "event": "a"}, "at is missing"),
        ({"alias": "7", "event": "a", "at": NOON + 2 * DAY}, "at is not between"),
        ({"alias": "7", "event": "a", "at": "yesterday"}, "at is no time"),
        ({"alias": "7", "event": "a" * 65, "at": NOON}, "event has 65 characters"),
        ({"alias": "7", "event": "a", "at": NOON, "properties": []}, "properties is no object"),
        ({"alias": "7", "event": "a", "at": NOON, "x": "y" * 2000}, "properties has a text"),
        (
            {"alias": "7", "event": "cart_updated", "at": NOON, "itms": [1]},
            "cart_updated without",
        ),
        ({"alias": "7", "event": "a", "at": NOON, "site": "blog"}, "site is none of those"),
        ({"alias": "8", "event": "a", "at": NOON}, "nobody of the site has this alias"),
    ],
)
def test_what_is_refused_stands_in_a_file_with_its_reason(
    swept_shop: Shop, line: dict[str, Any], why: str
) -> None:
    name(swept_shop, "7")
    good = {"alias": 7, "event": "visited", "at": NOON - 1}
    report = load(swept_shop, [line, good])
    assert (report.new, report.refused + report.unknown) == (1, 1)
    (reason,) = report.reasons
    assert reason.startswith(why)
    assert report.rejects is not None
    kept = json.loads(report.rejects.read_text())
    assert kept == {"line": 1, "reason": reason, "original": json.dumps(line)}


def test_people_are_named_by_basket_and_address_too(swept_shop: Shop) -> None:
    ann, ben = swept_shop.person(), swept_shop.person()
    store, key = swept_shop.store, "k" * 22
    store.matches.learn_cart_key(1, key, ben, NOON - 1)
    store.matches.learn_cart_key(1, key, ann, NOON)  # the latest to have it
    (swept_shop.folder / "keys").mkdir(exist_ok=True)
    (swept_shop.folder / "keys/email_secret").write_bytes(b"secret\n")
    store.matches.set_email_hash(ben, hash_email(b"secret", "ben@shop.example"))
    report = load(
        swept_shop,
        [
            {"cart": key, "event": "visited", "at": NOON},
            {"email": "Ben@Shop.example", "event": "visited", "at": NOON, "e_mail": "x@y.z"},
            {"email_hash": hash_email(b"secret", "x@y.z"), "event": "visited", "at": NOON},
            {"email": "nobody", "event": "visited", "at": NOON},
        ],
    )
    assert (report.new, report.unknown, report.refused) == (2, 1, 1)
    assert events(swept_shop, ann) == events(swept_shop, ben) == [("visited", NOON, {})]
    (swept_shop.folder / "keys/email_secret").unlink()
    with pytest.raises(ConfigError, match="email_secret does not exist"):
        load(swept_shop, [{"email": "a@b.c", "event": "visited", "at": NOON}])


def test_an_id_that_came_back_from_a_link_of_ours_names_its_subscriber(
    swept_shop: Shop,
) -> None:
    ann = swept_shop.person()
    (who,) = swept_shop.store.subscriptions.get_many([ann])
    report = load(swept_shop, [{"cart": who.public_id, "event": "visited", "at": NOON}])
    assert (report.new, report.unknown) == (1, 0)
    assert events(swept_shop, ann) == [("visited", NOON, {})]


def test_a_file_without_people_is_refused_whole(swept_shop: Shop) -> None:
    with pytest.raises(InputError, match="no column says whose the events are"):
        load(swept_shop, "event,at\nvisited,2026-01-01\n")


def test_an_import_that_was_stopped_goes_on(
    swept_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_imports, "BATCH", 2)
    name(swept_shop, "7")
    told = [{"alias": "7", "event": "visited", "at": NOON - one} for one in range(5)]
    file = swept_shop.folder / "events.jsonl"
    file.write_text("\n".join(map(json.dumps, told)))

    class Stops(Quiet):
        def advance(self, count: int = 1) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        event_imports.import_file(swept_shop.store, swept_shop.config, file, NOON, Stops())
    report = event_imports.import_file(swept_shop.store, swept_shop.config, file, NOON, Quiet())
    assert (report.known, report.new) == (2, 3)


def test_who_must_not_be_tracked_leaves_sums_and_no_reminders(swept_shop: Shop) -> None:
    ann = name(swept_shop, "7")
    swept_shop.fill(ann, NOON - MINUTE)
    swept_shop.sweep(NOON - MINUTE)
    swept_shop.store.tracking.set_refused(ann, NOON - 1)
    told = {"alias": "7", "event": "purchase", "at": NOON, "order": "R1", "total": "20 EUR"}
    report = load(swept_shop, [told, {"alias": "7", "event": "visited", "at": NOON}])
    assert (report.not_kept, report.new, report.orders) == (2, 0, 1)
    (kept,) = swept_shop.store.orders.list()
    assert (kept["minor"], kept["subscriber"], kept["lines"]) == (2000, None, "[]")
    swept_shop.sweep(NOON + 3 * MINUTE)
    assert swept_shop.sent == []
    assert [one[0] for one in events(swept_shop, ann)] == ["cart_updated"]


# --- what an import begins and ends -------------------------------------------------------

BASKET = {"items": [{"id": "lamp", "price": 20}], "url": "/cart"}


def test_yesterdays_events_begin_a_trigger_and_older_ones_none(swept_shop: Shop) -> None:
    ann, ben = name(swept_shop, "ann"), name(swept_shop, "ben")
    swept_shop.sweep(NOON - 1)
    load(
        swept_shop,
        [
            {"alias": "ann", "event": "cart_updated", "at": NOON - 30_000, **BASKET},
            {"alias": "ben", "event": "cart_updated", "at": NOON - DAY - 1, **BASKET},
        ],
    )
    swept_shop.sweep(NOON)
    assert [one.trigger for one in swept_shop.store.enrolments.list_all(ann)] == ["basket"]
    assert swept_shop.store.enrolments.list_all(ben) == []
    assert swept_shop.why(ben) == []
    assert swept_shop.sweep(NOON + 1).counts["events"] == 0  # they are not read again


def test_an_old_purchase_reaches_the_goal_of_an_enrolment_before_it(swept_shop: Shop) -> None:
    ann = name(swept_shop, "ann")
    swept_shop.declare(swept_shop.triggers.replace('within = "24h"', 'within = "30d"'))
    swept_shop.fill(ann, NOON - 3 * DAY)
    swept_shop.sweep(NOON - 3 * DAY)
    for at in (NOON - 4 * DAY, NOON - 2 * DAY):
        load(swept_shop, [{"alias": "ann", "event": "purchase", "at": at}])
        swept_shop.sweep(NOON - 3 * DAY + MINUTE)
    assert swept_shop.why(ann)[-1] == ("finish", "goal reached: purchase")


def test_what_was_imported_is_counted_by_audiences(swept_shop: Shop) -> None:
    ann = name(swept_shop, "ann")
    load(swept_shop, [{"alias": "ann", "event": "purchase", "at": NOON - 200 * DAY}])
    asked = parse.parse("event('purchase') within 365d")
    found = swept_shop.store.audience.list_subscriptions(asked, NOON)
    assert [one.id for one in found] == [ann]
