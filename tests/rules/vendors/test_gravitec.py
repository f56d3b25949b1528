"""Gravitec's requests: read as its callers send them, refused by the field's name."""

import re
from typing import Any

import pytest
from hypothesis import given

from pushctl.rules.vendors import gravitec
from pushctl.rules.vendors.field_values import FieldError
from tests.support import ROOT, vendors

REG_ID = "Yx3vB1mZq0aKc8dWnT5R2g"
PAYLOAD = vendors.PAYLOAD
# As the WordPress plug-in posts a published article: to everybody, most of it empty.
PLUGIN = {
    "send_date": "",
    "ttl": "",
    "display_time": "",
    "is_transactional": "",
    "payload": {
        "message": "A new article",
        "title": "News",
        "icon": "https://shop.example/icon.png",
        "image": "",
        "redirect_url": "https://shop.example/news/7",
        "buttons": [
            {"title": "", "url": ""},
            {"title": "Read", "url": "https://shop.example/7"},
        ],
    },
}


def read(**body: Any) -> gravitec.Asked:
    return gravitec.read_push({"payload": PAYLOAD, **body}, "Shop")


def refuse(**body: Any) -> str:
    with pytest.raises(FieldError) as refused:
        read(**body)
    return refused.value.field


def test_a_post_of_the_plugin_goes_to_everybody() -> None:
    asked = gravitec.read_push(PLUGIN, "Shop")
    assert asked == gravitec.Asked(
        {
            "to": {"audience": "everyone"},
            "message": {
                "title": "News",
                "body": "A new article",
                "icon": "https://shop.example/icon.png",
                "url": "https://shop.example/news/7",
                "buttons": [{"title": "Read", "url": "https://shop.example/7"}],
            },
        },
        0,
    )


def test_tokens_name_people() -> None:
    asked = read(audience={"tokens": [REG_ID, REG_ID]}, is_transactional="true", ttl="3600")
    assert asked.people == 1
    assert asked.message["to"] == {"people": [{"subscriber": REG_ID}]}
    assert (asked.message["transactional"], asked.message["ttl"]) == (True, 3600)


@pytest.mark.parametrize(
    "audience", ["", {}, [], {"tokens": []}, {"tokens": ""}, {"tokens": [""]}, "everyone", 7]
)
def test_an_audience_that_names_nobody_is_never_everybody(audience: Any) -> None:
    assert refuse(audience=audience).startswith("audience")


@pytest.mark.parametrize("written", [1_798_131_600, "1798131600", "2026-12-24T18:00:00+01:00"])
def test_a_date_is_seconds_or_has_a_zone(written: Any) -> None:
    assert read(send_date=written).message["at"] == 1_798_131_600_000


def test_now_is_no_date() -> None:
    assert "at" not in read(send_date="now").message


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"display_time": 20}, "display_time"),
        ({"send_date": "2026-12-24 18:00"}, "send_date"),
        ({"send_date": 0}, "send_date"),
        ({"send_date": True}, "send_date"),
        ({"ttl": 2_419_201}, "ttl"),
        ({"ttl": "soon"}, "ttl"),
        ({"is_transactional": True}, "is_transactional"),
        ({"is_transactional": "maybe"}, "is_transactional"),
        ({"audience": {"tokens": [REG_ID], "tags": ["VIP"]}}, "audience.tags"),
        ({"audience": {"segments": ["VIP"]}}, "audience.segments"),
        ({"audience": {"tokens": [REG_ID] * 2_001}}, "audience.tokens"),
        ({"payload": ""}, "payload"),
        ({"payload": {"title": "A"}}, "payload.message"),
        ({"payload": {**PAYLOAD, "sound": "x"}}, "payload.sound"),
        (
            {"payload": {**PAYLOAD, "redirect_url": "javascript:alert(1)"}},
            "payload.redirect_url",
        ),
        ({"payload": {**PAYLOAD, "icon": ["x"]}}, "payload.icon"),
        ({"payload": {**PAYLOAD, "buttons": [{"url": "/x"}]}}, "payload.buttons[0].title"),
        ({"payload": {**PAYLOAD, "buttons": [{}, {}, {}]}}, "payload.buttons"),
        ({"<script>": 1}, "a field"),
    ],
)
def test_what_is_not_understood_is_named(body: dict[str, Any], field: str) -> None:
    assert refuse(**body) == field


def test_a_pair_keeps_the_name_as_written() -> None:
    assert gravitec.read_pair({"regId": REG_ID, "name": "VIP"}, "tag") == (
        {"subscriber": REG_ID}, "VIP",
    )  # fmt: skip


def test_a_page_may_give_its_cart_key() -> None:
    asked = read(audience={"tokens": [f"cart:{REG_ID}"]})
    assert asked.message["to"] == {"people": [{"cart": REG_ID}]}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"regId": REG_ID}, 'Required String parameter "name" is not present'),
        ({"name": "VIP"}, 'Required String parameter "regId" is not present'),
        ({"regId": REG_ID, "name": "x" * 256}, "Max alias length is 255!"),
        ({"regId": "unknown", "name": "VIP"}, "There is no follower with this regId!"),
    ],
)
def test_a_wrong_pair_has_the_words_of_the_service(fields: dict[str, str], words: str) -> None:
    with pytest.raises(FieldError, match=re.escape(words)):
        gravitec.read_pair(fields, "alias")


@pytest.mark.parametrize("name", ["null", " ", "a\x07b"])
def test_a_name_that_names_nobody_is_refused(name: str) -> None:
    with pytest.raises(FieldError):
        gravitec.read_pair({"regId": REG_ID, "name": name}, "alias")


def test_a_count_is_there_once_it_is_known() -> None:
    assert gravitec.render_message("A", None) == {"id": "A", "status": "received"}
    counts = {"accepted": 3, "in_doubt": 1, "waiting": 2, "shown": 2, "clicked": 1}
    assert gravitec.render_message("A", {"state": "sending", "counts": counts}) == {
        "id": "A", "status": "sending", "send": 4, "shown": 2, "clicked": 1,
    }  # fmt: skip
    refused = {"state": "refused", "reason": "nobody has its alias"}
    assert gravitec.render_message("A", refused)["send"] == 0


@given(body=vendors.PUSHES)
def test_any_body_is_read_or_refused(body: Any) -> None:
    try:
        asked = gravitec.read_push(body, "Shop")
    except FieldError:
        return
    assert asked.people or not body.get("audience")


def test_the_page_lists_exactly_what_is_taken() -> None:
    text = (ROOT / "docs/vendors.md").read_text("utf-8").partition("## Gravitec")[2]
    listed = set(
        re.findall(r"^\| `([a-z_.\[\]]+)` \|", text.partition("\n## ")[0], re.MULTILINE)
    )
    fields = {name for name in gravitec.PUSH if name not in ("payload", "audience")}
    fields |= {f"payload.{name}" for name in gravitec.PAYLOAD if name != "buttons"}
    fields |= {f"payload.buttons[].{name}" for name in gravitec.BUTTON}
    fields |= {f"audience.{name}" for name in gravitec.AUDIENCE}
    assert listed == fields
