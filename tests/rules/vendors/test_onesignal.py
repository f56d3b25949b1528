"""OneSignal's requests: read as its callers send them, refused by the field's name."""

import re
from typing import Any

import pytest
from hypothesis import given

from pushctl.rules.audience import parse
from pushctl.rules.vendors import onesignal, onesignal_targets
from pushctl.rules.vendors.field_values import Asked, FieldError
from tests.support import ROOT, vendors

OWN = "Yx3vB1mZq0aKc8dWnT5R2g"
AS_UUID = "631def07-5999-ab46-8a73-c7569d3e51da"
TO_ALL = {"included_segments": ["All"]}


def read(**body: Any) -> Asked:
    return onesignal.read_notification(
        {"app_id": "shop", "contents": {"en": "Hello"}, **body}, "Shop", {"VIP", "Old"}
    )


def refuse(**body: Any) -> str:
    with pytest.raises(FieldError) as refused:
        read(**body)
    return refused.value.field


def read_audience(**to: Any) -> Any:
    return read(**to).message["to"]["audience"]


def test_a_notification_in_two_languages() -> None:
    asked = read(
        **TO_ALL, contents={"en": "Hello", "zh-Hans": "你好"}, headings={"en": "Shop"},
        web_url="https://shop.example/", chrome_web_icon="https://shop.example/i.png",
        web_buttons=[{"id": "more", "text": "More", "url": "https://shop.example/m"}],
        ttl=60, priority=10, web_push_topic="news", name="Spring", isAnyWeb=True,
        idempotency_key="5b4b64a4-2e0a-4fc8-9d93-8ab0ff4e1f42", isIos=False, data={},
        send_after="2026-12-24 18:00:00 GMT+0100",
    )  # fmt: skip
    assert asked == Asked(
        {
            "to": {"audience": "everyone"},
            "message": {
                "texts": {
                    "en": {"title": "Shop", "body": "Hello"},
                    "zh-Hans": {"title": "Shop", "body": "你好"},
                },
                "url": "https://shop.example/",
                "icon": "https://shop.example/i.png",
                "buttons": [
                    {"action": "more", "title": "More", "url": "https://shop.example/m"}
                ],
                "tag": "news",
            },
            "at": 1_798_131_600_000,
            "ttl": 60,
            "urgency": "high",
            "name": "Spring",
        },
        0,
        "5b4b64a4-2e0a-4fc8-9d93-8ab0ff4e1f42",
    )


def test_what_the_service_fills_in() -> None:
    message = read(**TO_ALL).message
    assert message["ttl"] == 259_200
    assert message["message"]["texts"]["en"]["title"] == "Shop"


def test_a_template_takes_values() -> None:
    asked = onesignal.read_notification(
        {**TO_ALL, "template_id": "order-shipped", "custom_data": {"order": "7"}}, "Shop", ()
    )
    assert (asked.message["template"], asked.message["values"]) == (
        "order-shipped", {"order": "7"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("to", "people"),
    [
        ({"include_aliases": {"external_id": ["7", "7", 8]}}, [{"alias": "7"}, {"alias": "8"}]),
        ({"include_external_user_ids": ["7"]}, [{"alias": "7"}]),
        ({"include_subscription_ids": [OWN, AS_UUID]}, [{"subscriber": OWN}]),
        ({"include_player_ids": [AS_UUID.upper()]}, [{"subscriber": OWN}]),
    ],
)
def test_people_are_named_in_four_ways(to: Any, people: Any) -> None:
    asked = read(**to)
    assert (asked.message["to"], asked.people) == ({"people": people}, len(people))


def test_an_id_is_a_uuid_and_back() -> None:
    assert onesignal_targets.write_uuid(OWN) == AS_UUID
    assert onesignal_targets.read_uuid(AS_UUID) == OWN
    assert onesignal_targets.read_uuid(OWN) is None


@pytest.mark.parametrize(
    ("to", "audience"),
    [
        (TO_ALL, "everyone"),
        ({"included_segments": ["Subscribed Users"]}, "everyone"),
        ({"included_segments": ["VIP", "Old"]}, "segment('VIP') or segment('Old')"),
        (
            {"included_segments": ["All"], "excluded_segments": ["VIP", "Old"]},
            "everyone and not (segment('VIP') or segment('Old'))",
        ),
        (
            {"filters": [{"field": "tag", "key": "plan", "relation": "=", "value": "it's"}]},
            "attribute('plan') = 'it''s'",
        ),
        (
            {"filters": [
                {"field": "tag", "key": "level", "relation": "=", "value": "10"},
                {"field": "country", "relation": "=", "value": "TR"},
                {"operator": "OR"},
                {"field": "language", "relation": "!=", "value": "en"},
                {"operator": "AND"},
                {"field": "last_session", "relation": ">", "hours_ago": "36"},
            ]},
            "((attribute('level') = '10' or attribute('level') = 10) and country = 'TR')"
            " or (not language = 'en' and not seen within 1d12h)",
        ),
        (
            {"filters": [{"field": "tag", "key": "vip", "relation": "not_exists"}]},
            "not (attribute('vip') is known or tag('vip'))",
        ),
        (
            {"filters": [
                {"field": "country", "relation": "in_array", "value": "DE, AT"},
                {"field": "tag", "key": "points", "relation": ">", "value": "1.5"},
                {"field": "first_session", "relation": "<", "hours_ago": "1.1"},
            ]},
            "(country = 'DE' or country = 'AT') and attribute('points') > 1.5"
            " and subscribed within 1h6m",
        ),
    ],
)  # fmt: skip
def test_an_audience_is_translated(to: Any, audience: str) -> None:
    written = read_audience(**to)
    assert written == audience
    parse.parse(written)  # as the import does


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("2015-09-24 14:00:00 GMT-0700", 1_443_128_400),
        ("2015-09-24 14:00:00 UTC-07:00", 1_443_128_400),
        ("Thu Sep 24 2015 14:00:00 GMT-0700 (PDT)", 1_443_128_400),
        ("2015-09-24T21:00:00", 1_443_128_400),
        ("2015-09-24T21:00:00.000Z", 1_443_128_400),
        (1_443_128_400, 1_443_128_400),
    ],
)
def test_times_as_callers_write_them(written: Any, seconds: int) -> None:
    assert read(**TO_ALL, send_after=written).message["at"] == seconds * 1000


def test_nobody_named_is_nobody() -> None:
    for to in ({}, {"included_segments": []}, {"include_player_ids": None}):
        with pytest.raises(FieldError, match="You must include which players"):
            read(**to)


def filtered(**one: Any) -> dict[str, Any]:
    return {"filters": [{"field": "tag", "key": "k", "relation": "=", "value": "v", **one}]}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"filters": [{"operator": "OR"}]}, "filters[0].operator"),
        ({"filters": [*filtered()["filters"], {"operator": "OR"}]}, "filters"),
        (filtered(field="session_count"), "filters[0].field"),
        (filtered(field="location"), "filters[0].field"),
        (filtered(relation="time_elapsed_gt"), "filters[0].relation"),
        (filtered(relation=">", value="many"), "filters[0].value"),
        (filtered(relation="exists"), "filters[0].value"),
        (filtered(relation="in_array", value=",".join("x" * 21)), "filters[0].value"),
        (filtered(radius=5), "filters[0].radius"),
        (filtered(field="last_session", relation=">"), "filters[0].key"),
        ({"included_segments": ["Nobody knows"]}, "included_segments[0]"),
        ({"included_segments": ["All"], "filters": [1]}, "filters"),
        ({**filtered(), "excluded_segments": ["VIP"]}, "excluded_segments"),
        ({"include_aliases": {"onesignal_id": ["7"]}}, "include_aliases.onesignal_id"),
        ({"include_aliases": {"external_id": ["null"]}}, "include_aliases.external_id[0]"),
        ({"include_player_ids": ["short"]}, "include_player_ids[0]"),
        ({"include_player_ids": [OWN] * 2_001}, "include_player_ids"),
        ({"include_email_tokens": ["a@b.example"]}, "include_email_tokens"),
    ],
)  # fmt: skip
def test_a_target_that_is_not_understood_is_named(body: dict[str, Any], field: str) -> None:
    assert refuse(**body) == field


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"data": {"a": 1}}, "data"),
        ({"isIos": True}, "isIos"),
        ({"isAnyWeb": "yes"}, "isAnyWeb"),
        ({"target_channel": "email"}, "target_channel"),
        ({"delayed_option": "timezone"}, "delayed_option"),
        ({"throttle_rate_per_minute": 5}, "throttle_rate_per_minute"),
        ({"contents": {}}, "contents"),
        ({"contents": "Hello"}, "contents"),
        ({"contents": {"English please": "x"}}, "contents"),
        ({"contents": {"en": 7}}, "contents.en"),
        ({"headings": {"de": "Hallo"}}, "headings.de"),
        ({"template_id": "a"}, "contents"),
        ({"custom_data": {"a": 1}}, "custom_data"),
        ({"url": "/a", "web_url": "/b"}, "url"),
        ({"web_url": "data:x"}, "web_url"),
        ({"web_buttons": [{"id": "a b", "text": "x"}]}, "web_buttons[0].id"),
        ({"web_buttons": [{"id": "a"}]}, "web_buttons[0].text"),
        (
            {"web_buttons": [{"id": "a", "text": "x", "launchURL": "/"}]},
            "web_buttons[0].launchURL",
        ),
        ({"send_after": "tomorrow"}, "send_after"),
        ({"send_after": "0001-01-01T00:00:00+14:00"}, "send_after"),
        ({"ttl": -1}, "ttl"),
        ({"priority": "high"}, "priority"),
        ({"collapse_id": "x" * 65}, "collapse_id"),
        ({"idempotency_key": {"a": 1}}, "idempotency_key"),
        ({"idempotency_key": "a", "external_id": "b"}, "external_id"),
        ({"<b>": 1}, "a field"),
    ],
)
def test_what_is_not_understood_is_named(body: dict[str, Any], field: str) -> None:
    assert refuse(**TO_ALL, **body) == field


def test_counts_are_sums_of_ours() -> None:
    state = {
        "state": "done", "at": 1_777_363_200_999,
        "counts": {"accepted": 5, "gone": 1, "rejected": 1, "skipped": 2, "in_doubt": 1,
                   "waiting": 0, "shown": 4, "clicked": 2},
    }  # fmt: skip
    assert onesignal.render_notification(OWN, "shop", state) == {
        "id": AS_UUID, "app_id": "shop", "canceled": False, "queued_at": 1_777_363_200,
        "successful": 5, "failed": 1, "errored": 4, "remaining": 0, "received": 4,
        "converted": 2,
    }  # fmt: skip


def test_what_no_import_has_told_is_not_zero() -> None:
    assert "successful" not in onesignal.render_notification(OWN, "shop", None)


@given(body=vendors.NOTIFICATIONS)
def test_any_body_is_read_or_refused(body: Any) -> None:
    try:
        asked = onesignal.read_notification(body, "Shop", {"VIP"})
    except FieldError:
        return
    if not asked.people:
        parse.parse(asked.message["to"]["audience"])


def test_the_page_lists_exactly_what_is_taken() -> None:
    text = (ROOT / "docs/vendors.md").read_text("utf-8").partition("## OneSignal")[2]
    text = text.partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", text, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`([A-Za-z_.\[\]]+)`", row)}
    fields = {*onesignal.FIELDS} - {"web_buttons"}
    fields |= {f"web_buttons[].{name}" for name in onesignal.BUTTON}
    assert listed - {*onesignal_targets.FILTERS} - {*onesignal.COUNTS} == fields
    assert {*onesignal_targets.FILTERS, *onesignal.COUNTS} <= listed
