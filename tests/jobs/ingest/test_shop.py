"""What shops tell: orders once, whatever comes late or twice, and whose they are."""

import itertools
import json
import os
import random
from collections import Counter, defaultdict
from typing import Any

import pytest

from pushctl.jobs.figures.tables import orders as figures
from pushctl.jobs.ingest import shop, shop_orders
from pushctl.jobs.subscribers import forget, personal_data
from pushctl.model import InboxRecord
from pushctl.rules import tokens
from pushctl.rules.money import Money
from pushctl.rules.shops import order
from pushctl.rules.shops.order import Line
from pushctl.rules.shops.told import Clues, ToldCart, ToldErasure, ToldProduct
from pushctl.store.orders import Found
from tests.support import DAY, NOON
from tests.support.posting import SECRET, Browser, Project, events_of, sign_alias
from tests.support.telling import record, tell_order

MINUTE, HOUR = 60_000, 3_600_000
KEY, HASH = "k" * 22, tokens.hash_email(b"secret", "ann@shop.example")
LAMP = Line("lamp", "Brass lamp of Ann", 2, Money(2500, 2, "EUR"))


def identify(browser: Browser, alias: str, **more: Any) -> InboxRecord:
    made: InboxRecord = browser.post(
        "/v1/identify", alias=alias, signature=sign_alias(alias), **more
    )
    return made


def listed(project: Project, **wanted: Any) -> list[dict[str, Any]]:
    wanted = {"site": None, "since": 0, "last": None, **wanted}
    return figures.load(project.config, project.store, **wanted)


def subscriber(project: Project, browser: Browser) -> str:
    found = project.get(browser)
    assert found is not None
    return found.public_id


@pytest.fixture
def phone(inbox_project: Project, ann: Browser) -> Browser:
    """Another device of hers; both are signed as ann-7."""
    browser = Browser(2, inbox_project.key)
    inbox_project.drain(browser.subscribe())
    inbox_project.drain(identify(ann, "ann-7"), identify(browser, "ann-7"))
    return browser


def test_a_paid_order_is_its_buyers_and_ends_reminders_everywhere(
    inbox_project: Project, ann: Browser, phone: Browser
) -> None:
    inbox_project.drain(ann.post("/v1/identify", at=NOON + 1, cart=KEY))
    told = tell_order(
        "1007", "paid", NOON, lines=(LAMP,), clues=Clues(cart_key=KEY), codes=("SPRING15",)
    )
    report = inbox_project.drain(record(told))
    assert dict(report.orders) == {shop_orders.WRITTEN: 1}
    (one,) = listed(inbox_project)
    assert (one["number"], one["source"], one["state"]) == ("1007", "shopify", "paid")
    assert (one["subscriber"], one["found_by"]) == (subscriber(inbox_project, ann), "cart key")
    assert (one["amount"], one["codes"], one["items"]) == ("50.00", ["SPR..."], 1)
    for browser in (ann, phone):
        assert events_of(inbox_project, browser) == ["purchase"]
    who = inbox_project.get(phone)
    assert who is not None
    event = next(inbox_project.store.events.list_newest(who.id))
    assert event.properties == {
        "order": "1007", "total": 50, "currency": "EUR",
        "items": [{"id": "lamp", "name": "Brass lamp of Ann", "quantity": 2,
                   "currency": "EUR", "price": 25}],
    }  # fmt: skip


def test_a_delivery_that_comes_twice_changes_nothing(
    inbox_project: Project, ann: Browser
) -> None:
    refund = tell_order("1", "refunded", refund=Money(1000, 2, "EUR"))
    inbox_project.drain(record(tell_order("1", "paid"), delivery="a"))
    for _ in range(2):
        inbox_project.drain(record(refund, delivery="b"))
    (one,) = listed(inbox_project)
    assert (one["state"], one["refunded"]) == ("paid", "10.00")
    again = inbox_project.drain(record(refund, delivery="b"))
    assert dict(again.applied) == {"shopify told it before": 1}
    inbox_project.drain(record(refund, delivery="b", source="woo"))
    assert len(listed(inbox_project)) == 2
    inbox_project.drain(record(at=NOON + 61 * DAY), now=NOON + 61 * DAY + MINUTE)
    (kept,) = inbox_project.store.connection.execute("SELECT count(*) FROM shop_deliveries")
    assert kept == (1,)


@pytest.mark.parametrize("page_first", [True, False])
def test_a_page_and_the_shop_tell_of_one_order(
    inbox_project: Project, ann: Browser, phone: Browser, page_first: bool
) -> None:
    """The page says what the buyer saw, the shop what was paid; the number is the same."""
    bought = {"order": "1007", "total": 45, "currency": "EUR"}
    page = ann.post("/v1/events", events=[{"name": "purchase", "properties": bought}])
    told = record(tell_order("1007", "paid", NOON + 9, lines=(LAMP,)))
    for one in (page, told) if page_first else (told, page):
        inbox_project.drain(one)
    (one,) = listed(inbox_project)
    assert (one["source"], one["amount"], one["items"]) == ("shopify", "50.00", 1)
    assert (one["subscriber"], one["found_by"]) == (subscriber(inbox_project, ann), "page")
    assert events_of(inbox_project, ann) == ["purchase"]


def test_orders_of_one_number_at_two_sources_are_two_purchases(
    inbox_project: Project, ann: Browser, phone: Browser
) -> None:
    """Each ends what was begun before it; told again, or by a page, it is the same one."""
    bought = {"order": "5", "total": 45, "currency": "EUR"}
    clues = Clues(alias="ann-7")
    for at, source in ((NOON, "stripe"), (NOON + 9, "woo"), (NOON + 20, "stripe")):
        told = tell_order("5", "paid", at, lines=(LAMP,), clues=clues)
        inbox_project.drain(record(told, delivery=f"{at}", source=source))
    inbox_project.drain(
        ann.post("/v1/events", events=[{"name": "purchase", "properties": bought}])
    )
    assert len(listed(inbox_project)) == 2
    for browser in (ann, phone):
        assert events_of(inbox_project, browser) == ["purchase", "purchase"]


def test_a_clue_of_the_shop_goes_before_a_page(
    inbox_project: Project, ann: Browser, phone: Browser
) -> None:
    eve = Browser(7, inbox_project.key)
    inbox_project.drain(eve.subscribe())
    guessed = {"order": "1008", "total": 1}
    inbox_project.drain(
        eve.post("/v1/events", events=[{"name": "purchase", "properties": guessed}])
    )
    inbox_project.drain(record(tell_order("1008", "paid", clues=Clues(alias="ann-7"))))
    (one,) = listed(inbox_project)
    assert (one["subscriber"], one["found_by"]) == (subscriber(inbox_project, phone), "alias")
    inbox_project.drain(record(tell_order("1008", "refunded", NOON + 20 * DAY)))
    (one,) = listed(inbox_project)
    assert (one["subscriber"], one["state"]) == (subscriber(inbox_project, phone), "refunded")


def test_a_page_can_not_guess_the_numbers_of_orders_to_come(
    inbox_project: Project, ann: Browser
) -> None:
    bought = {"order": "1009", "total": 45}
    inbox_project.drain(
        ann.post("/v1/events", events=[{"name": "purchase", "properties": bought}])
    )
    late = NOON + 8 * DAY
    inbox_project.drain(record(tell_order("1009", "paid", late), at=late), now=late + MINUTE)
    (one,) = listed(inbox_project, unmatched=True)
    assert one["unmatched"] == "no cart key, alias or e-mail hash came with it"


@pytest.mark.parametrize("clue", ["cart key", "alias", "e-mail hash"])
def test_an_unmatched_order_is_found_its_buyer_later(
    inbox_project: Project, ann: Browser, clue: str
) -> None:
    clues, more = {
        "cart key": (Clues(cart_key=KEY), {"cart": KEY}),
        "alias": (Clues(alias="ann-7"), {"alias": "ann-7", "signature": sign_alias("ann-7")}),
        "e-mail hash": (Clues(email_hash=HASH), {"email_hash": HASH}),
    }[clue]
    early, late = tell_order("1", "paid", clues=clues), tell_order("2", "pending", clues=clues)
    report = inbox_project.drain(record(early, late), record(tell_order("3", "paid")))
    assert dict(report.orders) == {shop_orders.UNMATCHED: 3}
    assert len(listed(inbox_project, unmatched=True)) == 3
    at = NOON + 10 * DAY
    inbox_project.drain(ann.post("/v1/identify", at=at, **more), now=at + MINUTE)
    found = {one["number"]: one["found_by"] for one in listed(inbox_project)}
    assert found == {"1": clue, "2": clue, "3": None}
    assert "purchase" in events_of(inbox_project, ann)


def test_after_sixty_days_nobody_is_looked_for(inbox_project: Project, ann: Browser) -> None:
    inbox_project.drain(record(tell_order("1", "paid", clues=Clues(alias="ann-7"))))
    at = NOON + 61 * DAY
    signed = {"alias": "ann-7", "signature": sign_alias("ann-7")}
    inbox_project.drain(ann.post("/v1/identify", at=at, **signed), now=at + MINUTE)
    assert listed(inbox_project)[0]["subscriber"] is None


def test_an_old_purchase_is_no_news_and_a_refund_first_is_a_purchase(
    inbox_project: Project, ann: Browser, phone: Browser
) -> None:
    clues = Clues(alias="ann-7")
    inbox_project.drain(record(tell_order("1", "paid", NOON - 40 * DAY, clues=clues)))
    assert events_of(inbox_project, ann) == []
    inbox_project.drain(record(tell_order("2", "pending", clues=clues)))
    inbox_project.drain(record(tell_order("3", "cancelled", clues=clues)))
    assert events_of(inbox_project, ann) == []
    inbox_project.drain(record(tell_order("4", "refunded", clues=clues)))
    inbox_project.drain(record(tell_order("4", "paid", NOON - HOUR, clues=clues)))
    assert events_of(inbox_project, ann) == ["purchase"]
    one = next(one for one in listed(inbox_project) if one["number"] == "4")
    assert (one["state"], one["at"], one["refunded"]) == ("refunded", NOON - HOUR, "50.00")


def test_a_test_order_ends_the_testers_reminders_and_counts_nowhere(
    inbox_project: Project, ann: Browser, phone: Browser
) -> None:
    clues = Clues(alias="ann-7")
    inbox_project.drain(
        record(tell_order("1", "paid", clues=clues, test=True), tell_order("2", "paid"))
    )
    assert events_of(inbox_project, ann) == ["purchase"]
    said = figures.describe_sums(listed(inbox_project))
    assert said == "Paid: 50.00 EUR. Besides 1 test order."


def test_baskets_of_the_shop_are_events_of_the_person(
    inbox_project: Project, ann: Browser, phone: Browser
) -> None:
    basket = ToldCart(
        "t1:1", "checkout_started", {"items": [{"id": "lamp"}], "url": "/c"}, NOON,
        Clues(alias="ann-7"),
    )  # fmt: skip
    nobodys = basket._replace(id="t2:1", clues=Clues(alias="bob-8"))
    empty = basket._replace(id="t3:1", event="cart_updated", properties={"itms": [1]})
    report = inbox_project.drain(record(carts=(basket, nobodys, empty)))
    assert report.left_out[shop.NOBODYS_CART] == 1
    assert "without items" in next(iter(report.events_refused))
    inbox_project.drain(record(carts=(basket,)))  # the same state of it once more
    for browser in (ann, phone):
        assert events_of(inbox_project, browser) == ["checkout_started"]


def test_prices_of_the_shop_are_events_of_who_looked(
    inbox_project: Project, ann: Browser
) -> None:
    who = inbox_project.get(ann)
    assert who is not None
    inbox_project.store.products.add_interest(["lamp"], [who.id], NOON)
    first = ToldProduct(
        "lamp", Money(5000, 2, "EUR"), True, {"name": "Lamp", "url": "https://evil.example/"}
    )
    inbox_project.drain(record(products=(first,)))
    assert events_of(inbox_project, ann) == []
    lower = ToldProduct("lamp", Money(4000, 2, "EUR"), None, {})
    inbox_project.drain(record(products=(lower,), at=NOON + MINUTE), now=NOON + HOUR)
    assert events_of(inbox_project, ann) == ["price_dropped"]
    event = next(inbox_project.store.events.list_newest(who.id))
    assert (event.properties["price"], event.properties["was"]) == (40, 50)
    assert event.properties["name"] == "Lamp" and "url" not in event.properties


def test_one_bad_part_does_not_stop_the_others(
    inbox_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = tell_order("1", "paid", at=2**53 - 1)._replace(refund=Money(10**14 - 1, 2, "EUR"))
    with inbox_project.store.write() as connection:
        connection.execute(
            "CREATE TRIGGER odd BEFORE INSERT ON orders WHEN new.number = 'odd'"
            " BEGIN SELECT raise(ABORT, 'odd'); END"
        )
    report = inbox_project.drain(
        record(huge, tell_order("odd", "paid"), tell_order("2", "paid"))
    )
    assert dict(report.left_out) == {"an order of a shop: the database refuses it: odd": 1}
    assert {one["number"] for one in listed(inbox_project)} == {"1", "2"}


def test_no_browser_can_tell_as_a_shop_does(inbox_project: Project) -> None:
    from pushctl.receiver import shapes

    assert "/v1/shop" not in shapes.make_table(("push.example",))
    body = '{"source": "shopify", "delivery": "1", "orders": [{}]}'
    line = InboxRecord(id="x" * 22, at=NOON, path="/v1/shop", site="shop", body=body)
    report = inbox_project.drain(line)
    assert list(report.quarantined) == ["number of orders[1] is no text"]


def test_who_the_shop_erases_is_gone_with_all_devices(
    inbox_project: Project, ann: Browser, phone: Browser
) -> None:
    clues = Clues(cart_key=KEY, alias="ann-7", email_hash=HASH)
    lost = Clues(email_hash=HASH)
    inbox_project.drain(
        record(tell_order("1", "paid", lines=(LAMP,), clues=clues, codes=("SPRING15",))),
        record(tell_order("2", "paid", lines=(LAMP,), clues=lost)),
        record(tell_order("3", "paid", lines=(LAMP,))),
    )
    people = (ToldErasure(Clues(alias="ann-7", email_hash=HASH), ("3",)),)
    inbox_project.drain(record(erasures=people, at=NOON + MINUTE), now=NOON + HOUR)
    assert inbox_project.get(ann) is None and inbox_project.get(phone) is None
    for one in listed(inbox_project):
        assert (one["subscriber"], one["unmatched"], one["lines"]) == (None, "erased", [])
        assert (one["amount"], one["codes"], one["alias"]) == ("50.00", [], None)
    # What the shop says of an erased person's order afterwards is the amount alone.
    inbox_project.drain(
        record(tell_order("1", "refunded", NOON + 2 * HOUR, lines=(LAMP,), clues=clues))
    )
    one = next(one for one in listed(inbox_project) if one["number"] == "1")
    assert (one["state"], one["lines"], one["alias"]) == ("refunded", [], None)
    store = inbox_project.store
    store.checkpoint()
    kept = b"".join(path.read_bytes() for path in store.path.parent.glob("*.db*"))
    for trace in (b"Brass lamp", b"ann-7", bytes.fromhex(HASH), b"SPRING15"):
        assert trace not in kept


def test_a_person_gets_all_that_is_kept_of_an_order(
    inbox_project: Project, ann: Browser, phone: Browser
) -> None:
    clues = Clues(cart_key=KEY, alias="ann-7", email_hash=HASH)
    inbox_project.drain(record(tell_order("1", "paid", clues=clues, codes=("SPRING15",))))
    store, one = inbox_project.store, inbox_project.get(phone)
    assert one is not None
    (said,) = json.loads(personal_data.render(store, [one], NOON, keys=False))["browsers"]
    (told,) = said["orders"]
    assert (told["cart_key"], told["email_hash"], told["matched"]) == (KEY, HASH, "alias")
    assert (told["codes"], told["refunded_minor"], told["test"]) == (["SPR..."], 0, 0)
    forget.forget(store, inbox_project.config, SECRET, "alias:ann-7", NOON + DAY, dry_run=False)
    assert listed(inbox_project)[0]["unmatched"] == "erased"


# --- a history against an oracle -------------------------------------------------------------


class Shop:
    """
    A shop's months, generated: each order's tellings in their true sequence.

    Beside it stands the oracle, which has the truth and no merging at all: the last state of
    each order, the refunds added up, the buyer who made it.
    """

    def __init__(self, project: Project, seed: int) -> None:
        self.chance = random.Random(seed)
        self.people = [self._make_person(project, number) for number in range(8)]
        self.lines: list[InboxRecord] = []
        self.truth: dict[tuple[str, str], dict[str, Any]] = {}

    def _make_person(self, project: Project, number: int) -> dict[str, Any]:
        devices = [
            Browser(100 + 10 * number + one, project.key)
            for one in range(self.chance.randint(1, 3))
        ]
        return {
            "devices": devices,
            "alias": f"person-{number}" if number % 4 else None,
            "hash": tokens.hash_email(b"x", f"p{number}@x") if number % 3 == 0 else None,
            "keys": {one.number: f"{one.number:022}" for one in devices},
        }

    def subscribe(self) -> list[InboxRecord]:
        made = []
        for number, person in enumerate(self.people):
            for one in person["devices"]:
                made.append(one.subscribe(at=NOON - DAY + number))
                about = {"cart": person["keys"][one.number]}
                if person["alias"]:
                    about |= {
                        "alias": person["alias"], "signature": sign_alias(person["alias"]),
                    }  # fmt: skip
                if person["hash"]:
                    about["email_hash"] = person["hash"]
                made.append(one.post("/v1/identify", at=NOON - DAY + 100 + number, **about))
        return made

    def sell(self, number: int) -> None:
        chance = self.chance
        source, currency = (
            chance.choice(["shopify", "2checkout"]),
            chance.choice(["EUR", "USD"]),
        )
        person, total = chance.choice(self.people), chance.randrange(1, 10**6)
        browser = chance.choice(person["devices"])
        ways = {"cart": Clues(cart_key=person["keys"][browser.number]), "none": Clues()}
        if person["alias"]:
            ways["alias"] = Clues(alias=person["alias"])
        if person["hash"]:
            ways["hash"] = Clues(email_hash=person["hash"])
        way = chance.choice(list(ways))
        name, at, test = str(number), NOON + number * MINUTE, chance.random() < 0.1
        tellings, state, paid_at, back = [], "pending", None, 0
        while len(tellings) < 4:
            tellings.append((state, at, back))
            at += chance.randrange(1, HOUR)
            after = {"pending": ["paid", "paid", "cancelled"], "paid": ["paid", "part", "all"]}
            state = chance.choice([*after.get(state, [""]), ""])
            if state == "part":
                back, state = min(total, back + chance.randrange(1, 1 + total // 2)), "paid"
            if state == "all":
                back, state = total, "refunded"
            if not state:
                break
            if back == total:
                state = "refunded"
        if chance.random() < 0.2:
            tellings = tellings[len(tellings) // 2 :]  # the first ones never came
        for state, when, given_back in tellings:
            if state != "pending" and state != "cancelled":
                paid_at = when if paid_at is None else paid_at
            refunded = Money(given_back, 2, currency) if given_back else None
            told = tell_order(
                name, state, when, total, currency, ways[way], refunded=refunded, test=test
            )
            for _ in range(1 + (chance.random() < 0.3)):
                delivery = f"{source}-{name}-{state}-{when}"
                self.lines.append(record(told, source=source, delivery=delivery))
        last, when, back = tellings[-1]
        if paid_at is not None and chance.random() < 0.3:
            told = {"order": name, "total": total / 200, "currency": currency}
            bought = [{"name": "purchase", "properties": told, "id": f"page-{name}"}]
            self.lines.append(browser.post("/v1/events", events=bought))
            if way == "none":
                way = "cart"
        self.truth[source, name] = {
            "state": last, "back": back, "currency": currency, "total": total, "test": test,
            "at": paid_at if last in ("paid", "refunded") else when,
            "person": None if way == "none" else person,
            "browser": browser if way == "cart" else None, "bought": paid_at is not None,
        }  # fmt: skip


def sum_up(rows: list[dict[str, Any]]) -> dict[str, int]:
    sums: dict[str, int] = defaultdict(int)
    for one in rows:
        if one["state"] in ("paid", "refunded") and not one["test"]:
            sums[one["currency"]] += one["minor"] - one["refunded_minor"]
    return sums


# The long form: PUSHCTL_ORDER_SEEDS=200 (docs/proofs.md).
SEEDS = [20261129, 7, *range(1000, 1000 + int(os.environ.get("PUSHCTL_ORDER_SEEDS", "0")))]


@pytest.mark.parametrize("seed", SEEDS)
def test_orders_late_twice_and_out_of_order_come_to_the_same(
    inbox_project: Project, seed: int
) -> None:
    world = Shop(inbox_project, seed)
    for number in range(150):
        world.sell(number)
    # In the wrong order, and some before their buyers were known at all.
    world.chance.shuffle(world.lines)
    lines = world.lines[:60] + world.subscribe() + world.lines[60:]
    pages = [one for one in world.lines[:60] if one.path == "/v1/events"]
    at = 0
    while at < len(lines):
        size = world.chance.randrange(1, 60)
        inbox_project.drain(*lines[at : at + size], now=NOON + DAY)
        at += size
    inbox_project.drain(*pages, now=NOON + DAY)  # their first try was refused: tried again
    rows = {(one["source"], one["number"]): one for one in listed(inbox_project)}
    assert rows.keys() == world.truth.keys()
    bought, allowed = defaultdict(set), defaultdict(set)  # orders by subscriber
    for key, truth in world.truth.items():
        row = rows[key]
        assert (row["state"], row["minor"], row["at"]) == (
            truth["state"], truth["total"], truth["at"]), key  # fmt: skip
        assert row["refunded_minor"] == (truth["total"] if truth["state"] == "refunded"
                                         else truth["back"])  # fmt: skip
        devices = truth["person"]["devices"] if truth["person"] else []
        ids = {subscriber(inbox_project, one) for one in devices}
        assert (row["subscriber"] in ids) if devices else (row["subscriber"] is None), key
        if truth["browser"]:
            assert row["subscriber"] == subscriber(inbox_project, truth["browser"]), key
        if devices and truth["bought"]:
            bought[row["subscriber"]].add(row["number"])
            for one in ids:
                allowed[one].add(row["number"])
    expected: dict[str, int] = defaultdict(int)
    for truth in world.truth.values():
        if truth["bought"] and truth["state"] != "cancelled" and not truth["test"]:
            expected[truth["currency"]] += truth["total"] - truth["back"]
    assert sum_up(list(rows.values())) == expected
    for person in world.people:
        for one in person["devices"]:
            who = inbox_project.get(one)
            assert who is not None
            events = inbox_project.store.events.list_newest(who.id, 10**6)
            told = Counter(it.properties["order"] for it in events if it.name == "purchase")
            assert set(told.values()) <= {1}
            assert bought[who.public_id] <= told.keys() <= allowed[who.public_id]


def test_a_payment_that_waits_in_the_inbox_has_not_failed(
    inbox_project: Project, ann: Browser
) -> None:
    inbox_project.drain(ann.post("/v1/identify", at=NOON, cart=KEY))
    clues = Clues(cart_key=KEY)
    inbox_project.drain(record(tell_order("1", "pending", NOON, clues=clues)))
    paid = record(tell_order("1", "paid", NOON + MINUTE, clues=clues), at=NOON + MINUTE)
    inbox_project.drain(paid, now=NOON + HOUR)
    assert events_of(inbox_project, ann) == ["purchase"]


def test_a_number_of_the_shop_is_one_order_whoever_tells_of_it(
    inbox_project: Project, ann: Browser
) -> None:
    """The better source is believed, in whichever sequence; two programs stay apart."""
    store, project = inbox_project.store, inbox_project
    site = store.sites.sync({"shop": "https://shop.example", "blog": "https://blog.example"})[
        "shop"
    ]
    who = project.get(ann)
    assert who is not None

    def tell(source: str, number: str) -> None:
        if source == "page":
            told = {"order": number, "total": 1, "currency": "EUR"}
            project.drain(
                ann.post("/v1/events", events=[{"name": "purchase", "properties": told}])
            )
        elif source == "import":
            bought = order.Purchase(number, Money(200, 2, "EUR"), ())
            store.orders.add(
                site, source, bought, order.State.PAID, NOON, NOON, Found(None, "nobody")
            )
        else:
            total = 300 if source == "api" else 400
            project.drain(record(tell_order(number, "paid", total=total), source=source))

    ways = list(itertools.permutations(["page", "import", "api", "shopify"]))
    for way in ways:
        number = "-".join(way)
        for source in way:
            tell(source, number)
        (one,) = store.orders.find(number)
        assert (one["source"], one["minor"], one["unmatched"]) == ("shopify", 400, None), way
        assert one["subscriber"] == who.public_id
    tell("2checkout", "x")
    tell("shopify", "x")
    assert len(store.orders.find("x")) == 2


def test_an_order_of_who_asked_not_to_be_tracked_counts_and_names_nobody(
    inbox_project: Project, ann: Browser, phone: Browser
) -> None:
    for one in (ann, phone):
        inbox_project.drain(one.post("/v1/preferences", tracking=False))
    clues = Clues(alias="ann-7", cart_key=KEY)
    for state, at in (("pending", NOON), ("paid", NOON + 1)):
        told = tell_order("1", state, at, lines=(LAMP,), clues=clues, codes=("SPRING15",))
        inbox_project.drain(record(told, at=at))
    (one,) = listed(inbox_project)
    assert (one["state"], one["amount"], one["subscriber"]) == ("paid", "50.00", None)
    assert (one["lines"], one["codes"], one["alias"]) == ([], [], None)
    assert listed(inbox_project, unmatched=True) == []
    for browser in (ann, phone):
        assert events_of(inbox_project, browser) == []
        who = inbox_project.get(browser)
        assert who is not None
        stops = inbox_project.store.tracking.list_stops()
        assert [(it.name, it.at) for it in stops if it.subscription == who.id] == [
            ("purchase", NOON + 1)
        ]  # what ends their reminders
