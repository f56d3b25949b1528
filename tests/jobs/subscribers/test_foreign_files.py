"""jobs.subscribers, files of other tools: what is read, left out, asked about, refused."""

import json
from typing import Any

import pytest

from pushctl.errors import InputError
from pushctl.jobs.subscribers.questions import Answer, Question
from pushctl.model import Cause, SubscriptionState
from pushctl.rules.web import opt_out
from tests import support
from tests.support import DAY, NOON
from tests.support.files import all_of, as_csv, bring, flat, load, person
from tests.support.posting import Browser, Project

# --- fields that a person can do without -----------------------------------------------------


@pytest.mark.parametrize(
    ("change", "left", "reason"),
    [
        ({"language": "<script>"}, "language", "is no language tag"),
        ({"timezone": "Mars/Base"}, "timezone", "is no time zone"),
        ({"timezone": -12_600}, "timezone", "is no time zone"),
        ({"timezone": "../../../etc/passwd"}, "timezone", "is no time zone"),
        ({"country": "Turkey"}, "country", "is no country code"),
        ({"city": "\x1b[31m"}, "city", "has control characters"),
        ({"city": ["x"]}, "city", "is no text"),
        ({"alias": "x" * 256}, "alias", "has 256 characters"),
        ({"alias": {"a": 1}}, "alias", "is no text"),
        ({"alias": "a", "external_user_id": "b"}, "alias", "another one in each of two"),
        ({"alias_trusted": "maybe"}, "alias_trusted", "neither true nor false"),
        ({"tags": [""]}, "tags", "one is empty"),
        ({"tags": [5]}, "tags", "one is no text"),
        ({"tags": "[1"}, "tags", "is no list"),
        ({"tags": '{"a'}, "tags", "is no object"),
        ({"attributes": [1]}, "attributes", "is no object"),
        ({"attributes": "{"}, "attributes", "is no object"),
        (
            {"attributes": {"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}}},
            "attributes",
            "deep",
        ),
        ({"attributes": {"n": 2**60}}, "attributes", "2^53"),
        ({"attributes": {str(n): 1 for n in range(65)}}, "attributes", "more than 64"),
        ({"subscribed_at": "yesterday"}, "subscribed_at", "no time such as"),
        ({"subscribed_at": "2099-01-01"}, "subscribed_at", "not between 1970 and now"),
        ({"subscribed_at": "nan "}, "subscribed_at", "no time such as"),
        ({"subscribed_at": "0000-00-00 00:00:00"}, "subscribed_at", "no time such as"),
        # A spreadsheet's day number would be the first day of 1970.
        ({"last_seen_at": "45123.5"}, "last_seen_at", "no time such as"),
        ({"created_at": 45123}, "subscribed_at", "no time such as"),
        ({"created_at": "1e400"}, "subscribed_at", "not between"),
    ],
)
def test_a_field_that_can_not_be_read_is_left_out_and_counted(
    inbox_project: Project, change: dict[str, Any], left: str, reason: str
) -> None:
    report = load(inbox_project, person(1) | change, person(2))
    assert (report.added, report.refused, report.fields_left_out) == (2, 0, {left: 1})
    assert reason in next(iter(report.left_out))[1]
    one = all_of(inbox_project)[0]
    assert one.subscribed_at == one.last_seen_at == NOON
    assert not one.alias_trusted


def test_the_rest_of_the_field_stays(inbox_project: Project) -> None:
    tags = ["good", "", "\x00", "fine"]
    report = load(inbox_project, person(1, tags=tags, attributes={"n": 2**60, "plan": "gold"}))
    (one,) = all_of(inbox_project)
    assert (one.tags, one.attributes) == (("fine", "good"), {"plan": "gold"})
    assert report.fields_left_out == {"tags": 2, "attributes": 1}


def test_an_alias_whose_trust_can_not_be_read_is_not_trusted(inbox_project: Project) -> None:
    load(inbox_project, person(1, alias="c1", alias_trusted="perhaps"), person(2, alias="c2"))
    assert [one.alias_trusted for one in all_of(inbox_project)] == [False, True]


def test_a_cell_that_is_not_utf_8_is_left_out(inbox_project: Project) -> None:
    path = inbox_project.config.folder / "latin.csv"
    row = flat(1, city="Köln", tags="ä|b", **{"attr.Straße": "x", "attr.b": "ü"})
    path.write_bytes(as_csv(row, flat(2)).encode("latin-1").replace(b"Stra\xdfe", b"a"))
    report = bring(inbox_project, path)
    assert (report.added, report.refused) == (2, 0)
    assert report.fields_left_out == {"city": 1, "tags": 1, "attributes": 1}
    assert {reason for _, reason in report.left_out} >= {"is not in UTF-8"}
    (one, _) = all_of(inbox_project)
    assert (one.city, one.tags, one.attributes) == (None, (), {"a": "x"})


def test_half_of_a_letter_refuses_nobody(inbox_project: Project) -> None:
    lines = [json.dumps(person(1)).replace('"site"', '"city": "\\ud800", "site"'),
             json.dumps(person(2, attributes={"a": "X"})).replace('"X"', '"\\udfff"'),
             json.dumps(person(3, tags=["X"])).replace('"X"', '"\\udfff"'),
             json.dumps(person(4)).replace("https", "\\ud800https")]  # fmt: skip
    report = load(inbox_project, *lines)
    assert (report.added, report.refused) == (3, 1)
    assert report.fields_left_out == {"city": 1, "attributes": 1, "tags": 1}


@pytest.mark.parametrize(
    ("given", "zone"),
    [
        ("7200", "Etc/GMT-2"), (7200, "Etc/GMT-2"), ("-18000.0", "Etc/GMT+5"), ("0", "Etc/UTC"),
        ("19800", "Asia/Kolkata"), ("20700", "Asia/Kathmandu"), ("12600", "Asia/Tehran"),
        ("34200", "Australia/Darwin"), ("-12600", None), ("45000", None),
        ("UTC+3", "Etc/GMT-3"), ("+05:30", "Asia/Kolkata"), ("GMT-14:00", None),
        ("99999", None),
    ],
)  # fmt: skip
def test_a_zone_as_an_offset(inbox_project: Project, given: str, zone: str | None) -> None:
    report = load(inbox_project, person(1, timezone=given))
    assert all_of(inbox_project)[0].timezone == zone
    assert report.fields_left_out == ({} if zone else {"timezone": 1})


@pytest.mark.parametrize(
    ("given", "millis"),
    [
        ("31.12.2024 13:45", 1_735_652_700_000), ("1.2.2024", 1_706_745_600_000),
        ("20241231", 1_735_603_200_000), ("1735652700", 1_735_652_700_000),
        (1_735_652_700_000, 1_735_652_700_000), ("2024-12-31T13:45:00Z", 1_735_652_700_000),
    ],
)  # fmt: skip
def test_a_time_in_several_forms(inbox_project: Project, given: Any, millis: int) -> None:
    load(inbox_project, person(1, created_at=given))
    assert all_of(inbox_project)[0].subscribed_at == millis


# --- who has left ----------------------------------------------------------------------------

SAYING_NO = [
    {"notification_types": "-2"}, {"notification_types": "0"}, {"enabled": "0"},
    {"is_active": "false"}, {"isActive": "false"}, {"status": "unsubscribed"},
    {"Status": "Opted out"}, {"unsubscribed_at": "2024-05-01 10:00:00"},
    {"deleted_at": "31.12.2024 13:45"}, {"opted_out": "1"}, {"subscribed": "no"},
    {"invalid_identifier": "t"}, {"state": "inactive"},
    {"notification_types": "1", "deleted_at": "2024-05-01"},
]  # fmt: skip


@pytest.mark.parametrize("columns", SAYING_NO)
@pytest.mark.parametrize("as_json", [True, False])
def test_people_who_left_elsewhere_are_unsubscribed(
    inbox_project: Project, columns: dict[str, str], as_json: bool
) -> None:
    lines = [person(1) | columns] if as_json else as_csv(flat(1, **columns)).splitlines()
    report = load(inbox_project, *lines)
    assert all_of(inbox_project)[0].state == "unsubscribed"
    assert (report.added, report.unsubscribed) == (1, 1)


@pytest.mark.parametrize(
    "columns",
    [{"notification_types": "1"}, {"is_active": "t"}, {"deleted_at": "NULL"},
     {"status": "None"}, {"unsubscribed_at": "0000-00-00 00:00:00"}, {"opted_out": "0"},
     {"state": "active"}],
)  # fmt: skip
def test_people_who_did_not_leave_are_active(
    inbox_project: Project, columns: dict[str, str]
) -> None:
    load(inbox_project, as_csv(flat(1, **columns)))
    assert all_of(inbox_project)[0].state == "active"


@pytest.mark.parametrize("as_json", [True, False])
def test_what_is_not_understood_stops_the_import(inbox_project: Project, as_json: bool) -> None:
    columns = [
        {"status": "active"},
        {"status": "Paused"},
        {"status": "paused"},
        {"status": "2"},
    ]
    if as_json:
        lines = [json.dumps(person(n) | one) for n, one in enumerate(columns)]
    else:
        lines = as_csv(*(flat(n, **one) for n, one in enumerate(columns))).splitlines()
    with pytest.raises(InputError) as caught:
        load(inbox_project, *lines)
    text = str(caught.value)
    assert "status is 'Paused' (2 lines), '2' (1 line)" in text
    assert '--unsubscribed "status=Paused"' in text and "--ignore status" in text
    assert all_of(inbox_project) == []


def test_answers_are_taken_and_asked_for(inbox_project: Project) -> None:
    states = ["active", "paused", "2", "beta"]
    rows = [flat(n, status=state, order_status="paid") for n, state in enumerate(states)]
    path = inbox_project.config.folder / "people.csv"
    path.write_text(as_csv(*rows))
    asked: list[Question] = []

    def ask(question: Question) -> Answer:
        asked.append(question)
        return "ignore" if question.column == "order_status" else "subscribed"

    known = opt_out.Answers({opt_out.make_key("status", "PAUSED"): opt_out.LEFT})
    report = bring(inbox_project, path, answers=known, ask=ask)
    assert asked == [
        Question("order_status", "paid", 4, 2),
        Question("status", "2", 1, 4),
        Question("status", "beta", 1, 5),
    ]
    assert [one.state for one in all_of(inbox_project)] == [
        "active", "unsubscribed", "active", "active",
    ]  # fmt: skip
    assert (report.added, report.unsubscribed) == (4, 1)
    # Nobody has to be asked about a column that is left out.
    ignoring = opt_out.Answers(ignored=frozenset({"status", "order_status"}))
    assert bring(inbox_project, path, answers=ignoring).updated == 4


def test_a_column_of_texts_is_asked_about_in_a_bounded_way(inbox_project: Project) -> None:
    with pytest.raises(InputError) as caught:
        load(inbox_project, *(person(n % 9, state=f"City {n}") for n in range(500)))
    assert "and others" in str(caught.value) and len(str(caught.value)) < 800


def test_who_was_imported_as_active_before_leaves_now(inbox_project: Project) -> None:
    lines = as_csv(*(flat(n, notification_types="-2") for n in range(4)))
    load(inbox_project, *(person(n) for n in range(4)))
    # Two came by themselves since: what they wish now is newer than the file.
    inbox_project.drain(
        Browser(1, inbox_project.key).post("/v1/events", events=[{"name": "x"}])
    )
    inbox_project.store.subscriptions.mark([3], SubscriptionState.UNSUBSCRIBED, "asked", NOON)
    inbox_project.store.subscriptions.mark(
        [3], SubscriptionState.ACTIVE, "subscribed again", NOON
    )
    for changed in (2, 0):
        assert load(inbox_project, lines).unsubscribed == changed
        states = [one.state for one in all_of(inbox_project)]
        assert states == ["unsubscribed", "active", "active", "unsubscribed"]
    changes = inbox_project.store.subscriptions.list_changes(1)
    assert [(one["kind"], one["reason"]) for one in changes] == [("unsubscribed", "imported")]


@pytest.mark.parametrize("state", ["quarantined", "gone"])
def test_a_no_counts_for_people_whom_nothing_reaches_now(
    inbox_project: Project, state: str
) -> None:
    store = inbox_project.store
    load(inbox_project, person(0), person(1))
    store.subscriptions.mark([1], SubscriptionState(state), "test", NOON)
    assert load(inbox_project, as_csv(flat(0, notification_types="-2"))).unsubscribed == 1
    assert [one.state for one in all_of(inbox_project)] == ["unsubscribed", "active"]
    assert store.health.reactivate(NOON + 2 * DAY) == 0
    load(inbox_project, person(0))
    assert [one.state for one in all_of(inbox_project)] == ["unsubscribed", "active"]


def test_whom_we_revived_has_not_come_by_themselves(inbox_project: Project) -> None:
    store = inbox_project.store
    load(inbox_project, person(0), person(1))
    store.subscriptions.mark([1], SubscriptionState.QUARANTINED, "test", NOON)
    assert store.health.reactivate(NOON + 2 * DAY) == 1
    store.subscriptions.mark([2], SubscriptionState.GONE, "410", NOON)
    store.subscriptions.mark(
        [2], SubscriptionState.ACTIVE, "too many were gone at once", NOON, Cause.MASS_GONE
    )
    lines = as_csv(*(flat(n, notification_types="-2") for n in range(2)))
    assert load(inbox_project, lines).unsubscribed == 2
    assert [one.state for one in all_of(inbox_project)] == ["unsubscribed"] * 2


def test_whole_exports_of_other_tools(inbox_project: Project) -> None:
    # The columns as they are; the values are ours.
    one, two, three = flat(1), flat(2), flat(3)
    onesignal = {
        "id": "9a8b", "identifier": one["endpoint"], "session_count": "5", "language": "tr",
        "timezone": "10800", "game_version": "", "device_os": "124", "device_type": "5",
        "device_model": "Linux", "ad_id": "", "tags": '{"plan":"gold"}', "playtime": "0",
        "last_active": "2025-01-02 03:04:05", "amount_spent": "0", "badge_count": "0",
        "created_at": "2025-01-02 03:04:05", "invalid_identifier": "f", "ip": "192.0.2.1",
        "external_user_id": "NULL", "country": "TR", "rooted": "f", "location": "",
        "web_auth": one["auth"], "web_p256": one["p256dh"], "notification_types": "-2",
        "timezone_id": "Europe/Istanbul",
    }  # fmt: skip
    perfecty = {
        "id": "1", "uuid": "5f", "endpoint": two["endpoint"], "key_auth": two["auth"],
        "key_p256dh": two["p256dh"], "remote_ip": "", "is_active": "1",
        "created_at": "2024-05-01 10:00:00",
    }  # fmt: skip
    older = {
        "endpoint": three["endpoint"], "key_auth": three["auth"], "key_p256dh": three["p256dh"],
        "disabled": "1", "creation_time": "2024-05-01 10:00:00",
    }  # fmt: skip
    for number, row in enumerate((onesignal, perfecty, older)):
        path = inbox_project.config.folder / f"{number}.csv"
        path.write_text(as_csv(row))
        report = bring(inbox_project, path, site="shop")
        assert (report.added, report.fields_left_out) == (1, {})
    people = all_of(inbox_project)
    assert [one.state for one in people] == ["unsubscribed", "active", "unsubscribed"]
    assert (people[0].timezone, people[0].alias) == ("Europe/Istanbul", None)
    assert people[0].attributes == {"plan": "gold"}
    assert {one.subscribed_at for one in people[1:]} == {1_714_557_600_000}


# --- what stands for nothing, and columns of one meaning -------------------------------------


@pytest.mark.parametrize("word", ["NULL", "null", r"\N", "None", "undefined", "NaN", "#N/A"])
def test_words_for_nothing_are_nothing(inbox_project: Project, word: str) -> None:
    columns = {"alias": word, "city": word, "tags": word, "created_at": word, "attr.a": word}
    load(inbox_project, as_csv(flat(1, **columns), flat(2, **columns)))
    load(inbox_project, person(3, alias=word, city=word))
    for one in all_of(inbox_project):
        assert (one.alias, one.city, one.tags, one.attributes) == (None, None, (), {})
        assert one.subscribed_at == NOON


@pytest.mark.parametrize("turned", [False, True])
def test_the_better_of_two_columns_wins(inbox_project: Project, turned: bool) -> None:
    rows = [
        {"timezone": "10800", "timezone_id": "Europe/Istanbul"},
        {"timezone": "10800", "timezone_id": "NULL"},
        {"timezone": "10800", "timezone_id": "nonsense"},
        {"timezone": "nonsense", "timezone_id": ""},
    ]
    rows = [dict(reversed(row.items())) if turned else row for row in rows]
    report = load(inbox_project, as_csv(*(flat(n, **row) for n, row in enumerate(rows))))
    zones = ["Europe/Istanbul", "Etc/GMT-3", "Etc/GMT-3", None]
    assert [one.timezone for one in all_of(inbox_project)] == zones
    assert report.fields_left_out == {"timezone": 1}
    load(inbox_project, *(person(n + 9) | row for n, row in enumerate(rows)))
    assert [one.timezone for one in all_of(inbox_project)[4:]] == zones


def test_two_columns_of_one_key_must_not_differ(inbox_project: Project) -> None:
    row = flat(1)
    same = row | {"identifier": row["endpoint"]}
    other = flat(2, identifier=support.endpoint(3))
    report = load(inbox_project, as_csv(same, other))
    assert report.added == 1
    assert dict(report.rejected) == {"two columns mean endpoint, and they differ": 1}


# --- forms of files --------------------------------------------------------------------------


def whole(number: int) -> str:
    return json.dumps({key: person(number)[key] for key in ("endpoint", "keys")})


@pytest.mark.parametrize("name", ["subscription", "subscription_info", "Any name"])
def test_a_column_of_json(inbox_project: Project, name: str) -> None:
    rows = [{"id": "7", name: whole(n), "site": "shop", "lang": "tr"} for n in range(2)]
    report = load(inbox_project, as_csv(*rows), name="dump.csv")
    assert (report.added, report.refused) == (2, 0)
    assert [one.language for one in all_of(inbox_project)] == ["tr", "tr"]


def test_a_cell_that_is_no_json_refuses_its_line_alone(inbox_project: Project) -> None:
    rows = [{"subscription": one, "site": "shop"} for one in ("rubbish", whole(1))]
    report = load(inbox_project, as_csv(*rows))
    assert (report.added, dict(report.rejected)) == (1, {"endpoint is missing": 1})


def test_a_subscription_as_text_within_json(inbox_project: Project) -> None:
    report = load(inbox_project, {"subscription_info": whole(1), "site": "shop", "uid": "c1"})
    assert report.added == 1 and all_of(inbox_project)[0].alias == "c1"


@pytest.mark.parametrize("indent", [None, 2])
def test_one_array_of_people(inbox_project: Project, indent: int | None) -> None:
    path = inbox_project.config.folder / "people.json"
    path.write_text(json.dumps([person(n) for n in range(3)], indent=indent))
    assert bring(inbox_project, path).added == 3


def test_quotes_of_another_dialect_say_what_to_do(inbox_project: Project) -> None:
    cell = '"' + whole(1).replace('"', '\\"') + '"'
    report = load(inbox_project, f"subscription,site\n{cell},shop\n")
    assert "a quotation mark in a cell is doubled" in next(iter(report.rejected))


def test_a_list_inside_an_object_is_refused_with_what_to_do(inbox_project: Project) -> None:
    report = load(inbox_project, {"total": 1, "players": [person(1)]})
    assert "jq -c '.players[]'" in next(iter(report.rejected))


def test_a_file_without_a_header_shows_nobodys_keys(inbox_project: Project) -> None:
    line = as_csv(flat(1)).splitlines()[1]
    for text in (line, '"' + whole(1).replace('"', '""') + '"'):
        with pytest.raises(InputError, match="no header") as caught:
            load(inbox_project, text)
        assert flat(1)["auth"] not in str(caught.value)
        assert support.endpoint(1)[-20:] not in str(caught.value)


def test_a_zones_name_is_better_than_an_offset_whatever_its_column(
    inbox_project: Project,
) -> None:
    load(inbox_project, person(1, timezone="3600", time_zone="Asia/Dubai"))
    assert all_of(inbox_project)[0].timezone == "Asia/Dubai"


@pytest.mark.parametrize(
    ("given", "kept"), [("tur", "tr"), ("ARA", "ar"), ("ger-AT", "de-AT"), ("fil", "fil")]
)
def test_a_language_of_three_letters_gets_its_shorter_code(
    inbox_project: Project, given: str, kept: str
) -> None:
    load(inbox_project, person(1, language=given))
    assert all_of(inbox_project)[0].language == kept
