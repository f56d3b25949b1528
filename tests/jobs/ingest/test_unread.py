"""What waits in the inbox is known before it is applied, and believed by the same proof."""

import json
from dataclasses import replace

import pytest

from pushctl import inbox
from pushctl.inbox import Writer
from pushctl.jobs.ingest.unread import ERASED, PAUSED, UNSUBSCRIBED, Unread
from pushctl.model import InboxRecord
from pushctl.rules.money import Money
from pushctl.rules.shops.order import State
from pushctl.rules.shops.told import PATH, Clues, Told, ToldCart, ToldOrder, encode
from tests.support import MINUTE, NOON
from tests.support.posting import Browser, Project, sign_alias


@pytest.fixture
def unread(inbox_project: Project, ann: Browser) -> Unread:
    (inbox_project.config.keys / "secret").write_bytes(bytes(32))
    return Unread(inbox_project.store, inbox_project.config, ["purchase", "cart_emptied"])


def bought(browser: Browser, sign: bytes | None = None, name: str = "purchase") -> InboxRecord:
    return browser.post("/v1/events", NOON, sign, events=[{"id": "1", "name": name}])


def names(unread: Unread) -> list[str]:
    found, whole = unread.look()
    assert whole
    return [one.name for one in found]


def test_a_purchase_is_known_before_the_drain_and_nothing_is_applied(
    inbox_project: Project, ann: Browser, unread: Unread
) -> None:
    assert names(unread) == []
    inbox_project.post(bought(ann), ann.tag(["purchase"]))
    segment = inbox.list_segments(inbox_project.config.inbox)
    found, _ = unread.look()
    known = inbox_project.get(ann)
    assert known is not None
    assert [tuple(one) for one in found] == [(known.id, "purchase", NOON)]
    assert names(unread) == []  # once
    assert inbox_project.store.inbox_cursors.load(segment) == {}
    assert inbox_project.drain().applied == {"events": 1, "tagged": 1}


@pytest.mark.parametrize("name", ["Purchase", "PURCHASE"])
def test_a_name_is_known_in_any_case(
    inbox_project: Project, ann: Browser, unread: Unread, name: str
) -> None:
    inbox_project.post(bought(ann, name=name))
    assert names(unread) == ["purchase"]


def test_letters_may_be_escaped_and_a_basket_emptied_by_an_update(
    inbox_project: Project, ann: Browser, unread: Unread
) -> None:
    named = '"events":[{"name":"p\\u0075rchase"}]'
    escaped = f'{{"endpoint":"{ann.endpoint}",{named}}}'
    emptied = [{"name": "cart_updated", "properties": {"items": []}}]
    filled = [{"name": "cart_updated", "properties": {"items": [{"id": "a"}]}}]
    inbox_project.post(
        ann.record("/v1/events", escaped),
        ann.post("/v1/events", events=emptied),
        ann.post("/v1/events", events=filled),
    )
    assert sorted(names(unread)) == ["cart_emptied", "purchase"]


def test_nobody_else_can_say_that_somebody_has_bought(
    inbox_project: Project, ann: Browser, unread: Unread
) -> None:
    other = Browser(1, ann.key, keys=7)
    refused = other.subscribe(events=[{"name": "purchase"}])
    inbox_project.post(bought(ann, b"x" * 16), bought(ann, b""), bought(Browser(2, ann.key)))
    inbox_project.post(refused, bought(Browser(1, ann.key, site="blog")))
    assert names(unread) == []


def test_of_somebody_who_is_not_tracked_a_purchase_counts_alone(
    inbox_project: Project, ann: Browser, unread: Unread
) -> None:
    both = {
        "endpoint": ann.endpoint,
        "events": [{"name": "purchase"}, {"name": "cart_emptied"}],
    }
    inbox_project.post(ann.record("/v1/events", both, hints={"gpc": "1"}))
    assert names(unread) == ["purchase"]


def test_what_the_drain_would_refuse_is_nothing(
    inbox_project: Project, ann: Browser, unread: Unread
) -> None:
    body = {"endpoint": ann.endpoint, "events": [{"name": "purchase"}]}
    inbox_project.post(
        ann.record("/v1/events", '{"events": "purchase"'),
        ann.record("/v1/nothing", body),
    )
    assert names(unread) == []


def test_who_has_moved_is_known_at_the_new_endpoint(
    inbox_project: Project, ann: Browser, unread: Unread
) -> None:
    moved = Browser(5, ann.key)
    inbox_project.post(moved.subscribe(previous=ann), bought(moved))
    found, _ = unread.look()
    known = inbox_project.get(ann)
    assert known is not None
    assert [one.subscription for one in found] == [known.id]


def test_a_backlog_is_read_in_pieces_and_half_a_line_waits(
    inbox_project: Project, ann: Browser
) -> None:
    folder, line = inbox_project.config.inbox, inbox.encode(bought(ann))
    writer = Writer(folder)
    writer.write([line] * 5 + [line[:40]], NOON + MINUTE)
    begun = dict.fromkeys(inbox.list_segments(folder), 0)
    peek = inbox.Peek(folder, begun, [b"purchase"])
    counts = []
    for _ in range(4):
        found, whole = peek.look(2 * len(line))
        counts.append((len(found), whole))
    assert counts == [(2, False), (2, False), (1, True), (0, True)]
    writer.write([line[40:]], NOON + MINUTE)
    assert len(peek.look(1 << 20).records) == 1
    writer.close()


def test_what_shops_and_servers_tell_is_known_for_all_devices(
    inbox_project: Project, ann: Browser, unread: Unread
) -> None:
    known = inbox_project.get(ann)
    assert known is not None
    inbox_project.drain(
        ann.post("/v1/identify", alias="c-7", signature=sign_alias("c-7")),
    )
    clues, paid = Clues(alias="c-7"), Money(1999, 2, "EUR")
    orders = tuple(
        ToldOrder(number, state, paid, None, (), NOON, clues)
        for number, state in (("1", State.PENDING), ("2", State.PAID))
    )
    basket = ToldCart("b", "cart_updated", {"items": []}, NOON, clues)
    said = Told("woocommerce", "d1", orders, (basket,), (), ())
    items = [
        {"alias": "c-7", "name": "purchase"},
        {"alias": "somebody else", "name": "purchase"},
        {"alias": "c-7", "name": "page_view"},
        "nonsense",
    ]
    told_by = {"request": "r" * 22, "key": "k", "items": items}
    inbox_project.post(
        ann.record(PATH, encode(said), sign=b""),
        ann.record("/v1/server/events", told_by, sign=b""),
    )
    found, _ = unread.look()
    assert sorted(tuple(one) for one in found) == [
        (known.id, "cart_emptied", NOON),
        (known.id, "purchase", NOON),
        (known.id, "purchase", NOON),
    ]


def test_what_a_server_gives_back_was_bought(
    inbox_project: Project, ann: Browser, unread: Unread
) -> None:
    known = inbox_project.get(ann)
    assert known is not None
    who, order = {"subscriber": known.public_id}, {"properties": {"order": "7"}}
    items = [{**who, "name": one, **order} for one in ("order_pending", "refund", "purchase")]
    items.append({**who, "name": "refund"})  # of no order
    body = json.dumps({"request": "r" * 22, "key": "abcdefgh", "items": items})
    inbox_project.post(InboxRecord("i" * 22, NOON, "/v1/server/events", "shop", body))
    assert names(unread) == ["purchase", "purchase"]


def left_by(unread: Unread, project: Project, *records: InboxRecord) -> list[str]:
    project.post(*records)
    assert names(unread) == []
    return list(unread.left.values())


@pytest.mark.parametrize(
    ("path", "body", "why"),
    [
        ("/v1/unsubscribe", {}, [UNSUBSCRIBED]),
        ("/v1/forget", {}, [ERASED]),
        ("/v1/preferences", {"pause": 3600}, [PAUSED]),
        ("/v1/preferences", {"pause": 0}, []),
        ("/v1/preferences", {"pause": True}, []),
        ("/v1/preferences", {"fewer": True}, []),
    ],
)
def test_who_leaves_is_known_before_the_drain(
    inbox_project: Project,
    ann: Browser,
    unread: Unread,
    path: str,
    body: dict[str, int],
    why: list[str],
) -> None:
    forged = ann.post(path, NOON, b"x" * 16, **body)
    assert left_by(unread, inbox_project, forged, Browser(2, ann.key).post(path, **body)) == []
    assert left_by(unread, inbox_project, ann.post(path, NOON, **body)) == why
    known = inbox_project.get(ann)
    assert known is not None
    assert set(unread.left) == ({known.id} if why else set())
    assert known.state == "active"


def test_a_request_to_leave_that_somebody_repeats_is_not_believed(
    inbox_project: Project, ann: Browser
) -> None:
    away = ann.post("/v1/unsubscribe", NOON)
    inbox_project.drain(away, ann.subscribe(NOON + 1000, chosen=True))
    (inbox_project.config.keys / "secret").write_bytes(bytes(32))
    unread = Unread(inbox_project.store, inbox_project.config, [])
    again = replace(away, id="z" * 22, at=NOON + 2000)
    assert left_by(unread, inbox_project, again) == []


@pytest.mark.parametrize(("route", "why"), [("unsubscribe", UNSUBSCRIBED), ("erase", ERASED)])
def test_whom_a_server_lets_go_is_known_once(
    inbox_project: Project, ann: Browser, unread: Unread, route: str, why: str
) -> None:
    known = inbox_project.get(ann)
    assert known is not None
    items = [{"alias": "nobody"}, {"subscriber": known.public_id}]
    body = json.dumps({"request": "r" * 22, "key": "abcdefgh", "items": items})
    line = InboxRecord("i" * 22, NOON, f"/v1/server/{route}", "shop", body)
    assert left_by(unread, inbox_project, line) == [why]
    inbox_project.drain()
    late = Unread(inbox_project.store, inbox_project.config, [])
    assert left_by(late, inbox_project, replace(line, id="j" * 22)) == []
