"""Files about people who are known: attributes and tags by alias, and nobody new."""

import json
from typing import Any

import pytest

from pushctl.jobs.subscribers.imports import import_file
from pushctl.jobs.subscribers.known_people import ImportReport
from pushctl.model import Subscription, SubscriptionState
from pushctl.rules.audience import parse
from tests.support import NOON
from tests.support.shop import Shop

POINTS = """\
Customer ID;points;Birthday;tags;language;status;Code
7;1204;1980-05-01;VIP|Gold;tr_TR;gold;007
8;5;1990-01-01;;;;
"""


def load(shop: Shop, text: str | list[dict[str, Any]], **options: Any) -> ImportReport:
    file = shop.folder / "points.csv"
    file.write_text(
        text if isinstance(text, str) else "\n".join(map(json.dumps, text)), "utf-8"
    )
    return import_file(shop.store, shop.config, file, NOON, **options)


def name(shop: Shop, alias: str, *, signed: bool = True) -> int:
    row = shop.person()
    shop.store.subscriptions.set_alias(row, alias, signed)
    return row


def get(shop: Shop, row: int) -> Subscription:
    (found,) = shop.store.subscriptions.get_many([row])
    return found


def test_points_by_alias_just_work(swept_shop: Shop) -> None:
    first, second = name(swept_shop, "7"), name(swept_shop, "7")
    claimed = name(swept_shop, "7", signed=False)
    swept_shop.store.subscriptions.set_attributes(first, {"plan": "gold", "points": 1})
    swept_shop.store.subscriptions.mark([second], SubscriptionState.UNSUBSCRIBED, "asked", NOON)
    before = get(swept_shop, claimed)
    for _ in range(2):  # a second import changes nothing
        report = load(swept_shop, POINTS)
        assert (report.updated, report.unknown, report.added, report.refused) == (1, 1, 0, 0)
        one, two = get(swept_shop, first), get(swept_shop, second)
        told = {"points": 1204, "Birthday": "1980-05-01", "status": "gold", "Code": "007"}
        assert one.attributes == {"plan": "gold", **told}
        assert two.attributes == told
        assert two.state is SubscriptionState.UNSUBSCRIBED
        assert one.tags == two.tags == ("Gold", "VIP")
        assert one.language == "tr-TR"
        assert get(swept_shop, claimed) == before
    rejects = json.loads((swept_shop.folder / "points.csv.rejects.jsonl").read_text())
    assert rejects["line"] == 3
    assert rejects["reason"] == "nobody of the site has this alias, signed by the shop"
    asked = parse.parse("attribute('points') >= 1000")
    found = swept_shop.store.audience.list_subscriptions(asked, NOON)
    assert [each.id for each in found] == [first]


def test_json_lines_name_people_by_id_too(swept_shop: Shop) -> None:
    ann = swept_shop.person()
    line = {
        "subscriber": get(swept_shop, ann).public_id, "first_name": "Ann",
        "attributes": {"points": 5}, "attr.level": 2, "source": "crm", "email": None,
    }  # fmt: skip
    assert load(swept_shop, [line]).updated == 1
    found = get(swept_shop, ann)
    assert found.attributes == {"first_name": "Ann", "points": 5, "level": 2}
    assert found.source is None


def test_a_dry_run_says_the_same_and_writes_nothing(swept_shop: Shop) -> None:
    ann = name(swept_shop, "7")
    before = get(swept_shop, ann)
    report = load(swept_shop, POINTS, dry_run=True)
    assert (report.updated, report.unknown, report.rejects) == (1, 1, None)
    assert get(swept_shop, ann) == before
    assert not (swept_shop.folder / "points.csv.rejects.jsonl").exists()


def test_who_must_not_be_tracked_stays_as_they_are(swept_shop: Shop) -> None:
    ann, other = name(swept_shop, "7"), name(swept_shop, "7")
    for refused, left in ((ann, 0), (other, 1)):
        swept_shop.store.tracking.set_refused(refused, NOON)
        report = load(swept_shop, [{"alias": "7", "points": 9 + left}])
        assert (report.updated, report.untracked) == (1 - left, left)
    assert get(swept_shop, ann).attributes == {}
    assert get(swept_shop, other).attributes == {"points": 9}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ({"alias": "7"}, "it changes nothing"),
        ({"alias": "", "points": 1}, "it names nobody"),
        ({"alias": "7", "timezone": "Mars"}, "timezone is no time zone"),
        ({"alias": "7", "points": 1, "endpoint": "https://x"}, "an endpoint among lines"),
        ({"alias": "7", **{f"a{n}": "x" * 1000 for n in range(20)}}, "attributes have more"),
        ({"alias": "7", **{f"a{n}": "x" * 1000 for n in range(12)}}, "the attributes would"),
    ],
)
def test_what_is_refused_has_its_reason(
    swept_shop: Shop, line: dict[str, Any], why: str
) -> None:
    ann = name(swept_shop, "7")
    swept_shop.store.subscriptions.set_attributes(ann, {f"b{n}": "x" * 1000 for n in range(8)})
    before = get(swept_shop, ann)
    report = load(swept_shop, [{"alias": "8", "points": 1}, line])
    assert report.unknown == 1
    (reason,) = report.rejected
    assert reason.startswith(why)
    assert get(swept_shop, ann) == before
