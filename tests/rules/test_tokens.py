"""rules.tokens: what goes out to the web and comes back can't be forged."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushctl.rules import tokens
from pushctl.rules.delivery import endpoints
from tests.support import NOON

SECRET = bytes(range(32))
AUTH = bytes(16)


@given(st.binary())
def test_base64url_comes_back(raw: bytes) -> None:
    text = tokens.encode(raw)
    assert tokens.decode(text) == raw
    assert "=" not in text
    assert tokens.decode(text + "=" * (-len(text) % 4)) == raw


@pytest.mark.parametrize(
    "text", ["A", "AA===", "A A", "AA\n", "=AAA", "AA=A", "é", "AAA.", "\0"]
)
def test_what_is_no_base64url_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        tokens.decode(text)


def test_an_endpoint_is_known_by_sixteen_bytes_of_its_hash() -> None:
    expected = hashlib.sha256(b"https://push.example/a").digest()[:16]
    assert tokens.endpoint_hash("https://push.example/a") == expected


@given(st.integers(1, 10**18 - 1))
def test_a_message_token_names_its_delivery(delivery: int) -> None:
    token = tokens.message_token(SECRET, delivery)
    assert tokens.read_message_token(SECRET, token) == delivery


@pytest.mark.parametrize(
    "change",
    [
        lambda token: "8" + token[1:],
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda token: token + "A",
        lambda token: token[:-1],
        lambda token: token.replace("7.", "07."),
        lambda token: token.replace("7.", "٧."),
        lambda token: token.replace("7.", " 7."),
        lambda token: "",
        lambda token: ".",
        lambda token: "9" * 40 + ".x",
        lambda token: "7.é",
    ],
)
def test_a_changed_token_names_nothing(change: object) -> None:
    token = tokens.message_token(SECRET, 7)
    assert tokens.read_message_token(SECRET, change(token)) is None  # type: ignore[operator]


def test_a_token_of_another_project_names_nothing() -> None:
    assert tokens.read_message_token(SECRET, tokens.message_token(b"other", 7)) is None


@given(st.integers(1, 2**62))
def test_a_topic_always_has_32_characters_that_decode(campaign: int) -> None:
    topic = tokens.topic(SECRET, campaign)
    assert len(topic) == 32
    assert len(base64.urlsafe_b64decode(topic)) == 24


def test_a_signature_is_made_as_the_page_makes_it() -> None:
    body = b'{"endpoint":"x"}'
    text = f"POST\n/v1/tags\n1777363200\n{hashlib.sha256(body).hexdigest()}"
    mac = hmac.new(AUTH, text.encode(), hashlib.sha256).digest()
    expected = "1777363200." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
    assert tokens.sign_request(AUTH, "/v1/tags", 1777363200, body) == expected


def test_a_signature_holds_for_five_minutes_around_its_time() -> None:
    signature = tokens.sign_request(AUTH, "/v1/tags", NOON // 1000, b"{}")
    for seconds in (-300, 0, 300):
        assert tokens.is_signed(AUTH, "/v1/tags", b"{}", signature, NOON + seconds * 1000)
    for seconds in (-301, 301, 86_400):
        assert not tokens.is_signed(AUTH, "/v1/tags", b"{}", signature, NOON + seconds * 1000)


@pytest.mark.parametrize(
    ("auth", "path", "body", "signature"),
    [
        (bytes(15) + b"\x01", "/v1/tags", b"{}", "good"),
        (AUTH, "/v1/events", b"{}", "good"),
        (AUTH, "/v1/tags", b"{ }", "good"),
        (AUTH, "/v1/tags", b"{}", None),
        (AUTH, "/v1/tags", b"{}", ""),
        (AUTH, "/v1/tags", b"{}", "1777363200"),
        (AUTH, "/v1/tags", b"{}", "1777363200."),
        (AUTH, "/v1/tags", b"{}", "x.y"),
        (AUTH, "/v1/tags", b"{}", "1777363200.é"),
        (AUTH, "/v1/tags", b"{}", "9" * 400),
    ],
)
def test_any_other_request_has_no_signature(
    auth: bytes, path: str, body: bytes, signature: str | None
) -> None:
    good = tokens.sign_request(AUTH, "/v1/tags", NOON // 1000, b"{}")
    given_signature = good if signature == "good" else signature
    assert not tokens.is_signed(auth, path, body, given_signature, NOON)


def test_a_tombstone_tells_nobody_who_without_the_secret() -> None:
    hashed = tokens.endpoint_hash("https://push.example/a")
    assert tokens.tombstone(SECRET, hashed) != tokens.tombstone(b"other", hashed)
    assert hashed.hex() not in tokens.tombstone(SECRET, hashed)


def test_an_endpoint_is_shown_by_its_host_and_eight_digits() -> None:
    secret = "https://fcm.googleapis.com/fcm/send/the-secret-part"
    digits = hashlib.sha256(secret.encode()).hexdigest()[:8]
    assert endpoints.short(secret) == f"fcm.googleapis.com/#{digits}"
    assert endpoints.short("\x1b[31m").startswith("no host/#")
