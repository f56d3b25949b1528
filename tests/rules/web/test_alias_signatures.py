"""A wrong signature of an alias is named by the mistake that made it."""

import base64
import hashlib
import hmac

import pytest

from pushctl.rules import tokens
from pushctl.rules.web.alias_signatures import find_fault, sign

SECRET = tokens.encode(bytes(range(32))).encode()
ALIAS = "customer-7"


def mac(message: str, key: bytes = SECRET) -> bytes:
    return hmac.new(key, message.encode(), hashlib.sha256).digest()


RIGHT = mac(f"alias\n{ALIAS}")


def test_the_right_one_has_no_fault() -> None:
    assert sign(SECRET, ALIAS) == tokens.encode(RIGHT)
    assert find_fault(SECRET, ALIAS, tokens.encode(RIGHT)) == ""


@pytest.mark.parametrize(
    ("signature", "fault"),
    [
        (RIGHT.hex(), "as hex"),
        (base64.b64encode(RIGHT).decode(), 'as base64; it has to be base64url, without "="'),
        (base64.urlsafe_b64encode(RIGHT).decode(), 'without "="'),
        (f"{tokens.encode(RIGHT)}\n", "as base64"),
        (tokens.encode(mac(ALIAS)), 'without "alias" and a line break'),
        (tokens.encode(mac(f"alias\\n{ALIAS}")), "PHP"),
        (tokens.encode(mac(f"alias{ALIAS}")), "without the line break before"),
        (tokens.encode(mac(f"alias\n{ALIAS}\n")), "line break after the alias"),
        (tokens.encode(mac(f"alias\n{ALIAS}", SECRET + b"\n")), "at the secret's end"),
        (tokens.encode(mac(f"alias\n{ALIAS}", bytes(range(32)))), "the key is its text"),
        (mac(ALIAS, bytes(range(32))).hex(), "decoded secret; the key is its text, and as hex"),
        (tokens.encode(mac("alias\ncustomer-8")), "another alias or to another secret"),
        ("", "another alias"),
        ("A" * 5000, "another alias"),
        ("ü" * 43, "another alias"),
    ],
)
def test_usual_mistakes_are_named(signature: str, fault: str) -> None:
    assert fault in find_fault(SECRET, ALIAS, signature)


def test_a_secret_that_is_no_base64_is_one_too() -> None:
    assert "as hex" in find_fault(b"the shop's own key!", "7", mac_of_own("7").hex())


def mac_of_own(alias: str) -> bytes:
    return mac(f"alias\n{alias}", b"the shop's own key!")
