"""jobs.subscribers, out: exports that come back as they were; people found and marked."""

import csv
import io
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pushctl.errors import NotFoundError, UsageError
from pushctl.jobs.figures.tables.subscribers import load_growth
from pushctl.jobs.subscribers import exports
from pushctl.model import Subscription, SubscriptionState
from pushctl.rules.audience import parse
from tests import support
from tests.support import DAY, NOON, database
from tests.support.files import all_of, bring, load, person
from tests.support.posting import Project
from tests.support.rows import counts_by_state

EVERYONE = parse.parse("everyone")


# --- out -----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["json", "csv"])
def test_an_export_comes_back_as_it_was(
    inbox_project: Project, form: str, tmp_path: Path
) -> None:
    load(
        inbox_project,
        person(
            1, alias="=cmd()", tags=["a|b", "-x"], attributes={"ü": [1, None, "=2"]}, city="@"
        ),
        person(2, state="unsubscribed", tags=["VIP"], language="ar", country="EG"),
        person(3, alias="label", alias_trusted=False),
    )
    lines = exports.export(inbox_project.store, EVERYONE, NOON, as_csv=form == "csv")
    path = tmp_path / "out"
    assert exports.write(path, lines) == 3 + (form == "csv")
    assert path.stat().st_mode & 0o777 == 0o600
    before = [_without_ids(one) for one in all_of(inbox_project)]

    (tmp_path / "elsewhere").mkdir()
    with database.create(tmp_path / "elsewhere" / "pushctl.db") as other:
        elsewhere = Project(inbox_project.config, other, inbox_project.key)
        assert bring(elsewhere, path).refused == 0
        assert [_without_ids(one) for one in all_of(elsewhere)] == before


def _without_ids(one: Subscription) -> dict[str, Any]:
    kept = {name: getattr(one, name) for name in one.__slots__}
    return {name: value for name, value in kept.items() if name not in ("id", "public_id")}


def test_no_cell_of_a_csv_is_a_formula(inbox_project: Project) -> None:
    load(inbox_project, person(1, alias="=1+1", city="+A1", source="@x", tags=["-2+3"]))
    text = "\n".join(exports.export(inbox_project.store, EVERYONE, NOON, as_csv=True))
    _, row = csv.reader(io.StringIO(text))
    assert not [cell for cell in row if cell.startswith(("=", "+", "@", "-", "\t", "\r"))]


def test_an_export_without_keys_reaches_nobody(inbox_project: Project) -> None:
    load(inbox_project, person(1))
    for form in (True, False):
        lines = exports.export(inbox_project.store, EVERYONE, NOON, as_csv=form, keys=False)
        text = "\n".join(lines)
        for secret in (support.endpoint(1), person(1)["keys"]["p256dh"]):
            assert secret not in text


def test_an_export_of_some(inbox_project: Project) -> None:
    load(inbox_project, person(1, tags=["VIP"]), person(2))
    asked = parse.parse("tag('VIP')")
    assert len(list(exports.export(inbox_project.store, asked, NOON, as_csv=False))) == 1


# --- finding -------------------------------------------------------------------------------


def test_a_subscriber_is_found_by_id_prefix_number_and_alias(inbox_project: Project) -> None:
    load(inbox_project, person(1, alias="c7"), person(2))
    one = all_of(inbox_project)[0]
    for ref in (one.public_id, one.public_id[:6], str(one.id), "alias:c7"):
        assert inbox_project.store.subscriptions.get(ref, NOON) == one


@pytest.mark.parametrize(
    "ref", ["", "abc", "alias:", "alias:nobody", "99", "%", "______", "9" * 30]
)
def test_who_is_not_there_is_not_found(inbox_project: Project, ref: str) -> None:
    load(inbox_project, person(1))
    with pytest.raises(NotFoundError, match="no subscriber is called"):
        inbox_project.store.subscriptions.get(ref)


def test_an_alias_of_several_browsers_stands_for_all_and_for_no_single_one(
    inbox_project: Project,
) -> None:
    load(inbox_project, person(1, alias="c7"), person(2, alias="c7"))
    assert len(inbox_project.store.subscriptions.find("alias:c7")) == 2
    with pytest.raises(UsageError, match="stands for 2 subscribers"):
        inbox_project.store.subscriptions.get("alias:c7")


def test_a_prefix_of_two_ids_is_refused(inbox_project: Project) -> None:
    load(inbox_project, person(1), person(2))
    with inbox_project.store.write() as connection:
        connection.execute("UPDATE subscriptions SET public_id = 'abcdefgh' || id")
    with pytest.raises(UsageError, match="several subscribers' ids"):
        inbox_project.store.subscriptions.get("abcdef")


def test_marking_writes_what_changed_and_only_that(inbox_project: Project) -> None:
    load(inbox_project, person(1), person(2))
    mark = inbox_project.store.subscriptions.mark
    assert mark([1, 2], SubscriptionState.GONE, "410", NOON) == 2
    assert mark([1, 2], SubscriptionState.GONE, "404", NOON + 1) == 0
    assert mark([1], SubscriptionState.ACTIVE, "seen again", NOON + 2) == 1
    changes = [
        (one["kind"], one["reason"])
        for one in inbox_project.store.subscriptions.list_changes(1)
    ]
    assert changes == [("gone", "410"), ("revived", "seen again")]
    counts = counts_by_state(inbox_project.store)
    assert counts == {"active": 1, "gone": 1, "unsubscribed": 0, "quarantined": 0}


def test_growth_is_counted_by_the_days_of_the_wall_clock(inbox_project: Project) -> None:
    load(inbox_project, person(1, subscribed_at=NOON - DAY), person(2, subscribed_at=NOON))
    inbox_project.store.subscriptions.mark([1], SubscriptionState.GONE, "410", NOON)
    zone = ZoneInfo("Etc/GMT-2")  # two hours ahead of UTC
    growth = load_growth(inbox_project.store, NOON, zone, last=7)
    assert [(one["new"], one["gone"]) for one in growth] == [(1, 1), (1, 0), *[(0, 0)] * 5]
    assert [one["start"] for one in growth[:2]] == ["2026-04-28", "2026-04-27"]
    changes = [
        (one["kind"], one["reason"])
        for one in inbox_project.store.subscriptions.list_changes(1)
    ]
    assert changes == [("gone", "410")]
