"""
Files of other push services, and whose worker their people run.

The samples are built after what these services document or their code shows; none is a real
export.
"""

import gzip
import json
from typing import Any

import pytest

from pushctl.errors import InputError
from pushctl.jobs.subscribers.imports import ImportReport
from pushctl.model import Subscription, SubscriptionState, Worker
from pushctl.push import key_register, vapid
from pushctl.rules.tokens import encode
from pushctl.rules.vendors.exports import Vendor
from tests import support
from tests.support import NOON
from tests.support.files import all_of, as_csv, bring, flat, load, person
from tests.support.posting import Browser, Project


def onesignal(number: int, **more: str) -> dict[str, str]:
    """A row of OneSignal's CSV export with extra_fields."""
    return {
        "id": f"player-{number}",
        "identifier": support.endpoint(number),
        "session_count": "3",
        "language": "tr",
        "timezone": "10800",
        "device_os": "128.0",
        "tags": '{"plan": "gold", "first_name": "Ayşe"}',
        "last_active": "2025-11-21 08:00:00",
        "created_at": "31.12.2024 13:45",
        "invalid_identifier": "f",
        "external_user_id": f"customer-{number}",
        "country": "TR",
        "timezone_id": "Europe/Istanbul",
        "web_auth": encode(support.auth(number)),
        "web_p256": encode(support.p256dh(number)),
        "location": r"\N",
        "ip": "192.0.2.7",
        "notification_types": "1",
        "rooted": "NULL",
        **more,
    }


def perfecty(number: int, **more: str) -> dict[str, str]:
    """A row of Perfecty's table."""
    return {
        "id": str(number),
        "uuid": f"00000000-0000-0000-0000-{number:012}",
        "endpoint": support.endpoint(number),
        "key_auth": encode(support.auth(number)),
        "key_p256dh": encode(support.p256dh(number)),
        "remote_ip": "192.0.2.7",
        "is_active": "1",
        "created_at": "2024-12-31 13:45:00",
        **more,
    }


def former_key(project: Project) -> str:
    """Add the former service's VAPID key; return its id."""
    return vapid.keep(project.config.keys, vapid.create(), key_register.Use.EARLIER).id


def told(project: Project, rows: list[dict[str, str]], **options: Any) -> ImportReport:
    path = project.config.folder / "export.csv.gz"
    path.write_bytes(gzip.compress(("sep=;\n" + as_csv(*rows, delimiter=";")).encode()))
    return bring(project, path, site="shop", **options)


def one_of(project: Project) -> Subscription:
    (one,) = all_of(project)
    return one


def test_a_file_of_onesignal_is_recognised(inbox_project: Project) -> None:
    report = told(inbox_project, [onesignal(1)], key=former_key(inbox_project))
    one = one_of(inbox_project)
    assert (report.added, report.origin.vendor) == (1, Vendor.ONESIGNAL)
    assert report.workers == {"onesignal": 1}
    assert (one.alias, one.alias_trusted, one.language, one.country) == (
        "customer-1", True, "tr", "TR",
    )  # fmt: skip
    assert one.timezone == "Europe/Istanbul"
    assert one.attributes == {"plan": "gold", "first_name": "Ayşe"}
    assert one.subscribed_at == 1_735_652_700_000
    assert (one.worker, one.state) == (Worker.ONESIGNAL, SubscriptionState.ACTIVE)
    assert report.origin.strange == ()
    assert {"ip", "rooted", "location"} <= set(report.ignored)


@pytest.mark.parametrize(
    "left",
    [{"notification_types": "-2"}, {"notification_types": "0"}, {"invalid_identifier": "t"}],
)
def test_who_opted_out_there_stays_out(inbox_project: Project, left: dict[str, str]) -> None:
    rows = [onesignal(1), onesignal(2, **left)]
    report = told(inbox_project, rows, key=former_key(inbox_project))
    states = [one.state for one in all_of(inbox_project)]
    assert states == [SubscriptionState.ACTIVE, SubscriptionState.UNSUBSCRIBED]
    assert report.workers == {"onesignal": 1}, "who has left waits for nothing"


def test_without_the_former_key_all_wait_for_their_visit(inbox_project: Project) -> None:
    former_key(inbox_project)
    report = told(inbox_project, [onesignal(1)])
    assert (report.workers, report.without_key) == ({"unknown": 1}, 1)
    assert one_of(inbox_project).worker is Worker.UNKNOWN


def test_a_worker_that_has_become_ours(inbox_project: Project) -> None:
    told(inbox_project, [onesignal(1)])
    report = told(inbox_project, [onesignal(1)], our_worker=True)
    assert (report.updated, report.workers, one_of(inbox_project).worker) == (1, {}, None)


def test_a_column_that_fits_none_of_the_service_is_named(inbox_project: Project) -> None:
    report = told(inbox_project, [onesignal(1, shoe_size="38", **{"attr.plan": "gold"})])
    assert report.origin.strange == ("shoe_size",)


def test_a_file_of_perfecty_is_recognised(inbox_project: Project) -> None:
    rows = [perfecty(1), perfecty(2, is_active="0")]
    report = told(inbox_project, rows, key=former_key(inbox_project))
    assert (report.origin.vendor, report.workers) == (Vendor.PERFECTY, {"unknown": 1})
    assert [one.state.value for one in all_of(inbox_project)] == ["active", "unsubscribed"]


def test_older_files_of_perfecty_call_it_disabled(inbox_project: Project) -> None:
    row = perfecty(1, disabled="1", creation_time="2021-01-01 00:00:00")
    told(
        inbox_project, [{k: v for k, v in row.items() if k not in ("is_active", "created_at")}]
    )
    assert one_of(inbox_project).state is SubscriptionState.UNSUBSCRIBED


def test_pages_of_pushpads_interface(inbox_project: Project) -> None:
    people = [
        {key: value for key, value in flat(number).items() if key != "site"}
        | {"id": number, "project_id": 5, "uid": f"c{number}", "tags": ["lamps"]}
        for number in (1, 2)
    ]
    pages = "\n".join(json.dumps([one], indent=2) for one in people)
    path = inbox_project.config.folder / "pages.json"
    path.write_text(pages)
    report = bring(inbox_project, path, site="shop", vendor=Vendor.PUSHPAD)
    assert (report.added, report.origin.strange) == (2, ())
    assert [(one.alias, one.tags) for one in all_of(inbox_project)] == [
        ("c1", ("lamps",)), ("c2", ("lamps",)),
    ]  # fmt: skip
    assert report.workers == {"unknown": 2}


def test_wonderpush_and_a_column_with_the_whole_subscription(inbox_project: Project) -> None:
    row = {key: value for key, value in flat(1).items() if key != "site"}
    report = told(inbox_project, [{**row, "vapid_public_key": "B"}], vendor=Vendor.WONDERPUSH)
    assert (report.added, report.origin.strange) == (1, ())
    whole = {"subscription_info": json.dumps(person(2)), "colour": "red"}
    report = told(inbox_project, [whole], vendor=Vendor.CSV)
    assert (report.added, report.workers, report.origin.strange) == (1, {"unknown": 1}, ())


def test_a_file_without_the_columns_of_its_service_is_refused(inbox_project: Project) -> None:
    with pytest.raises(InputError, match=r"web_auth, web_p256.*--from csv"):
        told(inbox_project, [{"identifier": "x", "id": "1"}], vendor=Vendor.ONESIGNAL)
    assert all_of(inbox_project) == []


def test_an_own_export_comes_back_as_it_was(inbox_project: Project) -> None:
    load(inbox_project, person(1), person(2, worker="onesignal"), person(3, worker="vista"))
    workers = [one.worker for one in all_of(inbox_project)]
    assert workers == [None, Worker.ONESIGNAL, None]


# --- once they visit ------------------------------------------------------------------------


def imported(project: Project, **more: str) -> Subscription:
    told(project, [onesignal(1, **more)], key=former_key(project))
    return one_of(project)


def test_adopted_they_keep_id_tags_and_alias(inbox_project: Project) -> None:
    before = imported(inbox_project)
    old, new = (Browser(number, inbox_project.key) for number in (1, 2))
    inbox_project.drain(new.subscribe(previous=old, adopted=True, source="adopted"))
    after = one_of(inbox_project)
    assert (after.public_id, after.alias, after.attributes) == (
        before.public_id, before.alias, before.attributes,
    )  # fmt: skip
    assert (after.endpoint, after.worker, after.source) == (new.endpoint, None, "adopted")
    assert list(inbox_project.store.connection.execute("SELECT name FROM events")) == []


def test_the_file_again_after_that_adds_nobody(inbox_project: Project) -> None:
    before = imported(inbox_project)
    old, new = (Browser(number, inbox_project.key) for number in (1, 2))
    inbox_project.drain(new.subscribe(previous=old, adopted=True))
    report = told(inbox_project, [onesignal(1)], key=before.key_id)
    after = one_of(inbox_project)
    assert (report.added, report.updated, report.workers) == (0, 1, {})
    assert (after.endpoint, after.worker) == (new.endpoint, None)


def test_who_left_there_is_not_adopted(inbox_project: Project) -> None:
    imported(inbox_project, notification_types="-2")
    old, new = (Browser(number, inbox_project.key) for number in (1, 2))
    inbox_project.drain(new.subscribe(previous=old, adopted=True))
    assert one_of(inbox_project).state is SubscriptionState.UNSUBSCRIBED
    # A click of theirs is a wish.
    inbox_project.drain(new.subscribe(NOON + 1000, chosen=True))
    assert one_of(inbox_project).state is SubscriptionState.ACTIVE


def test_without_the_old_proof_nobody_takes_a_row_over(inbox_project: Project) -> None:
    imported(inbox_project)
    thief, old = Browser(2, inbox_project.key), Browser(1, inbox_project.key, keys=3)
    inbox_project.drain(thief.subscribe(previous=old, adopted=True))
    assert [one.alias for one in all_of(inbox_project)] == ["customer-1", None]


def test_who_is_new_is_adopted_without_a_welcome(inbox_project: Project) -> None:
    report = inbox_project.drain(Browser(1, inbox_project.key).subscribe(adopted=True))
    assert one_of(inbox_project).state is SubscriptionState.ACTIVE
    assert report.applied["adopted"] == 1
    assert list(inbox_project.store.connection.execute("SELECT name FROM events")) == []


def test_a_page_of_ours_at_the_same_endpoint_runs_our_worker(inbox_project: Project) -> None:
    imported(inbox_project)
    inbox_project.drain(Browser(1, inbox_project.key).subscribe(adopted=True))
    assert one_of(inbox_project).worker is None
