"""The JSON that travels: its form, its size, its links."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushctl.errors import InputError
from pushctl.model import Action, Message
from pushctl.rules import limits
from pushctl.rules.messages import payload

TOKEN = "123456789012345678.AbCdEfGhIjKlMnOpQrStUv"
ASIDE = Message(
    title="سلة",
    body="Zwei\nZeilen “”",
    url="https://shop.example/cart",
    language="ar",
    dir="rtl",
)
FULL = replace(
    ASIDE,
    icon="https://shop.example/i.png",
    image="https://shop.example/big.jpg",
    badge="https://shop.example/b.png",
    actions=(
        Action("buy", "Buy", "https://shop.example/buy", "https://shop.example/a.png"),
        Action("look", "Look"),
    ),
    tag="basket",
    require_interaction=True,
    silent=True,
    data={"variant": "b"},
)


def build(message: Message, token: str) -> bytes:
    return payload.frame(message).with_token(token, 0)


def test_a_payload_is_declarative_web_push_json() -> None:
    assert json.loads(build(FULL, TOKEN)) == {
        "web_push": 8030,
        "notification": {
            "title": "سلة",
            "body": "Zwei\nZeilen “”",
            "navigate": "https://shop.example/cart",
            "lang": "ar",
            "dir": "rtl",
            "icon": "https://shop.example/i.png",
            "image": "https://shop.example/big.jpg",
            "badge": "https://shop.example/b.png",
            "tag": "basket",
            "requireInteraction": True,
            "silent": True,
            "actions": [
                {
                    "action": "buy",
                    "title": "Buy",
                    "navigate": "https://shop.example/buy",
                    "icon": "https://shop.example/a.png",
                },
                # Safari opens nothing for a button without a URL of its own.
                {"action": "look", "title": "Look", "navigate": "https://shop.example/cart"},
            ],
            "data": {"pushctl": TOKEN, "variant": "b"},
        },
        "mutable": True,
    }


def test_what_a_message_lacks_takes_no_bytes() -> None:
    shown = json.loads(build(ASIDE, TOKEN))["notification"]
    assert set(shown) == {"title", "body", "navigate", "lang", "dir", "data"}


def test_one_frame_serves_a_group_and_differs_in_the_token_only() -> None:
    frame = payload.frame(FULL)
    other = "7.zzzzzzzzzzzzzzzzzzzzzz"
    assert frame.with_token(TOKEN, 0) == build(FULL, TOKEN)
    assert frame.with_token(TOKEN, 0).replace(TOKEN.encode(), other.encode()) == (
        frame.with_token(other, 0)
    )


def test_a_text_for_buyers_brings_the_time_of_sending_along_and_counts_it() -> None:
    thanks = {"title": "Thank you", "body": "It is packed", "navigate": "https://shop.example/"}
    made = payload.frame(replace(ASIDE, data={"bought": thanks}))
    written = made.with_token(TOKEN, 1_764_000_000_000)
    data = json.loads(written)["notification"]["data"]
    assert data == {"pushctl": TOKEN, "at": 1_764_000_000_000, "bought": thanks}
    assert made.size == len(written)


def test_data_can_t_take_the_token_s_place() -> None:
    sly = replace(ASIDE, data={"pushctl": "stolen", "x": {"pushctl": ""}})
    shown = json.loads(build(sly, TOKEN))["notification"]["data"]
    assert shown == {"pushctl": TOKEN, "x": {"pushctl": ""}}


def test_the_largest_payload_has_3993_bytes_and_not_one_more() -> None:
    room = limits.MAX_PAYLOAD_BYTES - payload.frame(replace(ASIDE, body="")).size
    largest = replace(ASIDE, body="x" * room)
    assert len(build(largest, TOKEN)) == limits.MAX_PAYLOAD_BYTES
    with pytest.raises(InputError, match="3,994 bytes"):
        build(replace(ASIDE, body="x" * (room + 1)), TOKEN)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//shop.example/",
        "/cart",
        "http:///path",
        "https://",
        "https://shop.example/a b",
        "https://shop.example/\n",
        "https://user@shop.example/",
        "https://shop.example\\@evil.example/",
        "ftp://shop.example/",
        "",
    ],
)
@pytest.mark.parametrize("place", ["url", "icon", "image", "badge", "action"])
def test_only_http_and_https_go_out(url: str, place: str) -> None:
    actions = (Action("a", "A", url),)
    bad = replace(ASIDE, **({"actions": actions} if place == "action" else {place: url}))
    with pytest.raises(InputError, match="no http or https URL"):
        payload.frame(bad)


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example",
        "http://localhost:8000/a?b=c&d=%20#e",
        "https://xn--mnchen-3ya.example/",
        "https://[::1]:8443/x",
        "HTTPS://Shop.Example/",
    ],
)
def test_absolute_links_are_links(url: str) -> None:
    assert payload.is_link(url)


def test_half_a_character_is_refused_and_not_a_crash() -> None:
    with pytest.raises(InputError, match="JSON"):
        payload.frame(replace(ASIDE, title="\ud83d"))


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["x", "ü", "م", "😀", '"', "… ", "a b "]),
    st.integers(0, 1200),
    st.integers(300, 3993),
)
def test_what_is_made_to_fit_fits_and_keeps_its_title(
    piece: str, times: int, limit: int
) -> None:
    body = (piece * times).strip()
    fitted = payload.fit(replace(FULL, body=body), limit)
    assert payload.frame(fitted).size <= limit
    assert (fitted.title, fitted.url) == (FULL.title, FULL.url)
    assert fitted.body == body or body.startswith(fitted.body.rstrip("… "))


def test_what_fits_stays_as_it_is() -> None:
    assert payload.fit(FULL) == FULL
