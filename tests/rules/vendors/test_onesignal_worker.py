"""rules.vendors.onesignal_worker: a message as OneSignal's worker reads it."""

import json

import pytest

from pushctl.errors import InputError
from pushctl.model import Action, Message
from pushctl.rules.limits import MAX_ANDROID_PAYLOAD_BYTES
from pushctl.rules.vendors import onesignal_worker

BASKET = Message(
    title="Sepetiniz bekliyor",
    body="2 ürün",
    url="https://shop.example/cart",
    language="tr",
    dir="ltr",
    icon="https://shop.example/icon.png",
    tag="basket",
    actions=(Action("go", "Git", url="https://shop.example/go"), Action("later", "Sonra")),
    data={"step": 1, "pushctl": "never theirs"},
)


def read(made: onesignal_worker.Frame) -> dict[str, object]:
    found: dict[str, object] = json.loads(made.with_token("7.AAAAAAAAAAAAAAAAAAAAAA", 0))
    return found


def test_the_whole_message() -> None:
    assert read(onesignal_worker.frame(BASKET)) == {
        "custom": {
            "i": "7.AAAAAAAAAAAAAAAAAAAAAA",
            "u": "https://shop.example/cart",
            "a": {"step": 1},
        },
        "title": "Sepetiniz bekliyor",
        "alert": "2 ürün",
        "icon": "https://shop.example/icon.png",
        "tag": "basket",
        "o": [
            {"i": "go", "n": "Git", "u": "https://shop.example/go"},
            {"i": "later", "n": "Sonra", "u": "https://shop.example/cart"},
        ],
    }


def test_what_is_absent_has_no_field() -> None:
    plain = Message(title="t", body="", url="https://shop.example/", language="en", dir="ltr")
    assert set(read(onesignal_worker.frame(plain))) == {"custom", "title", "alert"}


def test_a_small_one_keeps_within_what_androids_bridge_takes() -> None:
    long = Message(
        title="t", body="x" * 3500, url="https://shop.example/", language="en", dir="ltr"
    )
    made = onesignal_worker.frame(long, small=True)
    assert MAX_ANDROID_PAYLOAD_BYTES - 4 <= made.size <= MAX_ANDROID_PAYLOAD_BYTES
    with pytest.raises(InputError, match="bytes, more than the 3,993"):
        onesignal_worker.frame(Message("t", "x" * 4000, "https://shop.example/", "en", "ltr"))


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="no http or https URL"):
        onesignal_worker.frame(Message("t", "b", "javascript:alert(1)", "en", "ltr"))
