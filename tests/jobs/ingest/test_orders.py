"""Orders of pages: once each, exact in every currency, kept for ever, nobody's once erased."""

import csv
import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from pushctl import cli
from pushctl.jobs.figures.tables import orders as figures
from pushctl.jobs.ingest import orders as ingested
from pushctl.jobs.subscribers import forget
from pushctl.rules.limits import MAX_DAILY_PAGE_ORDERS
from pushctl.rules.money import Money
from pushctl.rules.shops.history import History
from pushctl.rules.shops.told import Clues
from pushctl.store import Store
from pushctl.store.orders import Found, StoredOrder
from pushctl.store.schema import m016_money, migrations
from tests.support import DAY, NOON, killed, project
from tests.support.posting import SECRET, Browser, Project, sign_alias
from tests.support.telling import tell_order

LAMP = {"id": "lamp", "name": "Brass lamp of Ann", "price": 19.99, "quantity": 2}


@pytest.fixture
def ann(inbox_project: Project) -> Browser:
    browser = Browser(1, inbox_project.key)
    inbox_project.drain(browser.subscribe())
    return browser


def buy(inbox_project: Project, browser: Browser, *told: dict[str, Any]) -> dict[str, int]:
    """Send a purchase for each of *told*; return what the import says of orders."""
    given = [{"name": "purchase", "properties": properties} for properties in told]
    report = inbox_project.drain(browser.post("/v1/events", events=given))
    assert not report.quarantined
    return dict(report.orders)


def listed(inbox_project: Project, **wanted: Any) -> list[dict[str, Any]]:
    wanted = {"site": None, "since": 0, "last": None, **wanted}
    return figures.load(inbox_project.config, inbox_project.store, **wanted)


def test_a_purchase_with_a_number_is_an_order_of_its_subscription(
    inbox_project: Project, ann: Browser
) -> None:
    told = {"order": 1007, "total": 39.98, "currency": "EUR", "items": [LAMP]}
    assert buy(inbox_project, ann, told) == {ingested.NEW: 1}
    (one,) = listed(inbox_project)
    who = inbox_project.get(ann)
    assert who is not None
    assert (one["number"], one["source"], one["state"]) == ("1007", "page", "paid")
    assert (one["minor"], one["exponent"], one["currency"]) == (3998, 2, "EUR")
    assert (one["amount"], one["subscriber"], one["at"]) == ("39.98", who.public_id, NOON)
    assert one["lines"] == [
        {"id": "lamp", "name": "Brass lamp of Ann", "quantity": 2, "minor": 1999,
         "exponent": 2, "currency": "EUR", "price": "19.99"}
    ]  # fmt: skip
    assert listed(inbox_project, unmatched=True) == []


def test_an_order_is_written_once(inbox_project: Project, ann: Browser) -> None:
    """A page that is loaded again sends a new event; another phone has it open, too."""
    assert buy(inbox_project, ann, {"order": "7", "total": 5}) == {ingested.NEW: 1}
    assert buy(inbox_project, ann, {"order": "7", "total": 6}) == {ingested.KNOWN: 1}
    bob = Browser(2, inbox_project.key)
    inbox_project.drain(bob.subscribe())
    assert buy(inbox_project, bob, {"order": 7, "total": 7}) == {ingested.KNOWN: 1}
    elsewhere = Browser(3, inbox_project.key, site="blog")
    inbox_project.drain(elsewhere.subscribe())
    assert buy(inbox_project, elsewhere, {"order": 7, "total": 8}) == {ingested.NEW: 1}
    assert {(one["site"], one["amount"]) for one in listed(inbox_project)} == {
        ("shop", "5"), ("blog", "8"),
    }  # fmt: skip
    assert [one["amount"] for one in listed(inbox_project, site="blog")] == ["8"]


def test_without_a_number_there_is_an_event_and_no_order(
    inbox_project: Project, ann: Browser
) -> None:
    assert buy(inbox_project, ann, {"total": 5}, {"id": "lamp"}) == {ingested.NO_NUMBER: 2}
    assert listed(inbox_project) == []
    who = inbox_project.get(ann)
    assert who is not None
    names = [event.name for event in inbox_project.store.events.list_newest(who.id)]
    assert names.count("purchase") == 2


def test_one_browser_can_not_fill_the_orders(inbox_project: Project, ann: Browser) -> None:
    many = [{"order": number} for number in range(MAX_DAILY_PAGE_ORDERS + 3)]
    counts: dict[str, int] = defaultdict(int)
    for begin in range(0, len(many), 50):
        for what, count in buy(inbox_project, ann, *many[begin : begin + 50]).items():
            counts[what] += count
    assert counts == {ingested.NEW: MAX_DAILY_PAGE_ORDERS, ingested.TOO_MANY: 3}


def test_orders_add_up_to_the_cent_in_every_currency(inbox_project: Project) -> None:
    """The other way to the sums has no decimals at all: it adds the digits that pages wrote."""
    chance = random.Random(4217)
    places = {"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3}
    people = [Browser(number, inbox_project.key) for number in range(10, 15)]
    inbox_project.drain(*(one.subscribe() for one in people))
    expected: dict[str, int] = defaultdict(int)
    sent: list[tuple[Browser, dict[str, Any]]] = []
    for number in range(400):
        currency = chance.choice(list(places))
        minor = chance.randrange(10**7)
        expected[currency] += minor
        digits = str(minor).rjust(places[currency] + 1, "0")
        cut = len(digits) - places[currency]
        text = digits[:cut] + (f".{digits[cut:]}" if places[currency] else "")
        total: Any = float(text)
        if currency != "KWD" and chance.random() < 0.5:
            total = f"{text.replace('.', ',')} {currency}"
        sent.append(
            (chance.choice(people), {"order": number, "total": total, "currency": currency})
        )
    sent += chance.sample(sent, 100)  # pages that were loaded again
    for one in people:
        mine = [told for who, told in sent if who is one]
        for begin in range(0, len(mine), 50):
            buy(inbox_project, one, *mine[begin : begin + 50])
    said = figures.describe_sums(listed(inbox_project))
    sums = dict(part.split(" ")[::-1] for part in said.removeprefix("Paid: ")[:-1].split(", "))
    assert {code: int(text.replace(".", "")) for code, text in sums.items()} == expected


def test_an_erased_persons_order_stays_without_the_person(
    inbox_project: Project, ann: Browser
) -> None:
    inbox_project.drain(
        ann.post("/v1/identify", alias="ann-7", signature=sign_alias("ann-7")),
        now=NOON + 61_000,
    )
    buy(inbox_project, ann, {"order": "1007", "total": 39.98, "items": [LAMP]})
    store = inbox_project.store
    with store.write() as connection:  # as a shop's server may have sent them
        connection.execute(
            "UPDATE orders SET alias = 'ann-7', cart_key = 'k', email_hash = x'01'"
        )
        connection.execute(
            "INSERT INTO orders (site_id, source, number, state, at, received_at, alias,"
            " unmatched, lines) VALUES (1, 'api', '1', 'pending', 1, 1, 'ann-7', 'unknown',"
            """ '[{"name": "Brass lamp of Ann"}]')"""
        )
    assert [one["number"] for one in listed(inbox_project, unmatched=True)] == ["1"]
    forget.forget(
        store, inbox_project.config, SECRET, "alias:ann-7", NOON + 120_000, dry_run=False
    )
    left = store.connection.execute(
        "SELECT subscription_id, alias, cart_key, email_hash, lines FROM orders"
    ).fetchall()
    assert left == [(None, None, None, None, "[]")] * 2
    one = next(one for one in listed(inbox_project) if one["source"] == "page")
    assert (one["amount"], one["number"], one["at"]) == ("39.98", "1007", NOON)
    assert listed(inbox_project, unmatched=True) == []  # nobody looks for them
    kept = b"".join(path.read_bytes() for path in store.path.parent.glob("*.db*"))
    assert b"ann-7" not in kept and b"Brass lamp" not in kept


def test_orders_are_never_pruned(inbox_project: Project, ann: Browser) -> None:
    buy(inbox_project, ann, {"order": "1", "total": 5})
    inbox_project.store.pruning.run(NOON + 4000 * DAY)
    who = inbox_project.get(ann)
    assert who is not None and not list(inbox_project.store.events.list_newest(who.id))
    assert [one["number"] for one in listed(inbox_project)] == ["1"]


def old_database(path: Path) -> Path:
    prices = [("lamp", 19.99, '{"currency": "EUR"}'), ("yen", 1200.0, '{"currency": "JPY"}'),
              ("dinar", 1.25, '{"currency": "KWD"}'), ("fuel", 1.799, '{"currency": "EUR"}'),
              ("bare", 19.5, "{}"), ("points", 40.0, '{"currency": "points"}'),
              ("free", 0.0, "{}"), ("unknown", None, '{"name": "currency"}')]  # fmt: skip
    database = Database(path)
    migrations.apply(database, stop_before="m016_money")
    with database.atomic():
        database.execute("INSERT INTO sites (id, name, origin) VALUES (1, 'shop', 'https://x')")
        for name, price, about in prices:
            database.execute(
                "INSERT INTO products VALUES (1, ?, ?, 1, ?, 5)", (name, price, about)
            )
    database.close()
    return path


MIGRATED = [
    ("bare", 195, 1, None), ("dinar", 1250, 3, "KWD"), ("free", 0, 0, None),
    ("fuel", 1799, 3, "EUR"), ("lamp", 1999, 2, "EUR"), ("points", 40, 0, None),
    ("unknown", None, None, None), ("yen", 1200, 0, "JPY"),
]  # fmt: skip


def test_old_prices_become_minor_units_also_after_a_kill_at_any_line(tmp_path: Path) -> None:
    path = old_database(tmp_path / "pushctl.db")
    traced = killed.files_of(m016_money)
    whole = killed.copy_database(path, tmp_path / "whole" / "pushctl.db")
    points = killed.find_points(lambda: Store(whole).close(), traced, [whole.parent])
    for at in points.first:
        copy = killed.copy_database(path, tmp_path / f"{at}" / "pushctl.db")
        assert killed.run(lambda copy=copy: Store(copy).close(), at, traced)  # type: ignore[misc]
        with Store(copy) as store:
            rows = store.connection.execute(
                "SELECT id, minor, exponent, currency FROM products ORDER BY id"
            ).fetchall()
            assert rows == MIGRATED
            lamp = store.products.get(1, "lamp")
            assert lamp is not None and lamp.price is not None
            assert (lamp.price.text, lamp.price.number, lamp.available) == ("19.99", 19.99, 1)


def test_commands_list_and_show_orders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project.make(tmp_path / "project")
    monkeypatch.setenv("PUSHCTL_PROJECT", str(folder))
    monkeypatch.setenv("PUSHCTL_NOW", "2026-04-28T10:00:00+02:00")
    assert cli.run(["orders", "list"]) == 0
    assert "No order yet" in capsys.readouterr().err
    lines = json.dumps([{"id": "tea", "name": "Tea", "quantity": 2, "minor": 450,
                         "exponent": 2, "currency": "EUR"}])  # fmt: skip
    with Store(folder / "pushctl.db") as store, store.write() as connection:
        connection.execute(
            "INSERT INTO sites (id, name, origin) VALUES (1, 'shop', 'https://shop.example')"
            " ON CONFLICT DO NOTHING"
        )
        connection.executemany(
            "INSERT INTO orders (site_id, source, number, state, minor, exponent, currency,"
            " lines, at, received_at, unmatched)"
            " VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, 1, 'alias unknown')",
            [
                ("page", "7", "paid", 900, 2, "EUR", lines, NOON - DAY),
                ("api", "8", "refunded", 1250, 3, "KWD", "[]", NOON - 40 * DAY),
                ("page", "9", "paid", None, None, None, "[]", NOON - 2 * DAY),
            ],
        )
    assert cli.run(["orders", "list", "--json"]) == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert [(one["number"], one["amount"], one["minor"]) for one in found] == [
        ("7", "9.00", 900), ("9", None, None), ("8", "1.250", 1250),
    ]  # fmt: skip
    assert "Paid: 9.00 EUR, 1 order of unknown amount. Refunded: 1.250 KWD." in shown.err
    assert cli.run(["orders", "list", "--since", "30d", "--last", "1", "--csv"]) == 0
    (row,) = csv.DictReader(capsys.readouterr().out.splitlines())
    assert (row["number"], row["amount"], row["currency"]) == ("7", "9.00", "EUR")
    assert cli.run(["orders", "unmatched", "--site", "shop"]) == 0
    assert capsys.readouterr().out.count("alias unknown") == 3
    assert cli.run(["orders", "show", "7", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["lines"][0]["price"] == "4.50"
    assert cli.run(["orders", "show", "7", "--csv"]) == 0
    (row,) = csv.DictReader(capsys.readouterr().out.splitlines())
    assert json.loads(row["lines"])[0]["name"] == "Tea"
    assert cli.run(["orders", "show", "7"]) == 0
    assert "Tea" in capsys.readouterr().out
    assert cli.run(["orders", "show", "70"]) == 4
    assert cli.run(["orders", "list", "--site", "other"]) == 4


def test_refunds_tests_and_the_beginning_of_codes_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project.make(tmp_path / "project")
    monkeypatch.setenv("PUSHCTL_PROJECT", str(folder))
    with Store(folder / "pushctl.db") as store:
        site = store.sites.sync({"shop": "https://shop.example"})["shop"]
        for number, back, test in (("7", 150, False), ("8", None, True)):
            told = tell_order(
                number, "paid", NOON, total=900, test=test,
                refunded=Money(back, 2, "EUR") if back else None,
            )  # fmt: skip
            history = History().add(told)
            codes = ("SPRING15", "AB")
            store.orders.save(
                StoredOrder(
                    None,
                    site,
                    "shopify",
                    number,
                    history,
                    "[]",
                    codes,
                    test,
                    NOON,
                    Found(None, "nobody has its alias"),
                    Clues(alias="ann-7"),
                )
            )
    assert cli.run(["orders", "list"]) == 0
    shown = capsys.readouterr()
    assert "Paid: 9.00 EUR. Of that given back: 1.50 EUR. Besides 1 test order." in shown.err
    assert cli.run(["orders", "show", "7", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["refunded"], one["refunded_minor"], one["test"]) == ("1.50", 150, False)
    assert (one["codes"], one["found_by"]) == (["SPR...", "A..."], None)
    for form in ([], ["--csv"], ["--json"]):
        assert cli.run(["orders", "show", "8", *form]) == 0
        out = capsys.readouterr().out
        assert "SPR..." in out and "SPRING15" not in out
    assert cli.run(["orders", "unmatched"]) == 0
    assert capsys.readouterr().out.count("nobody has its alias") == 2


def test_orders_of_pages_from_before_are_read_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "pushctl.db"
    database = Database(path)
    migrations.apply(database, stop_before="m018_matching")
    with database.atomic():
        database.execute("INSERT INTO sites (id, name, origin) VALUES (1, 'shop', 'https://x')")
        for number, minor, exponent, currency in (
            ("1", 900, 2, "EUR"), ("2", 20, 0, None), ("3", None, None, None),
        ):  # fmt: skip
            database.execute(
                "INSERT INTO orders (site_id, source, number, state, minor, exponent, currency,"
                " at, received_at) VALUES (1, 'page', ?, 'paid', ?, ?, ?, 70, 80)",
                (number, minor, exponent, currency),
            )
    database.close()
    with Store(path) as store:
        sql = "SELECT state, minor, exponent, currency, refunded_minor, at, matched FROM orders"
        before = store.connection.execute(sql).fetchall()
        for number, total in (
            ("1", Money(900, 2, "EUR")),
            ("2", Money(20, 0, None)),
            ("3", None),
        ):
            one = store.orders.find_same(1, "page", number)
            assert one is not None and one.found == Found(None, None, "page")
            history = one.history
            assert (history.state, history.at, history.total) == ("paid", 70, total)
            assert history.refunded_minor == (0 if total else None)
            store.orders.save(one)
        assert store.connection.execute(sql).fetchall() == before
