"""rules.keys: only real keys are stored, so that sending never meets a bad one."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from pushctl.errors import InputError
from pushctl.rules.tokens import encode
from pushctl.rules.web import keys
from tests import support

P = 2**256 - 2**224 + 2**192 + 2**96 - 1


def point(x: int, y: int) -> bytes:
    return b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")


@pytest.mark.parametrize("number", range(20))
def test_a_browsers_key_is_taken(number: int) -> None:
    assert keys.p256dh(encode(support.p256dh(number))) == support.p256dh(number)


def test_padded_base64_is_taken() -> None:
    assert keys.p256dh(encode(support.p256dh(1)) + "=") == support.p256dh(1)


@pytest.mark.parametrize(
    "raw",
    [
        point(0, 0),
        point(1, 1),
        point(P, 0),
        point(2**256 - 1, 2**256 - 1),
        support.p256dh(1)[:-1] + b"\x00",
        b"\x04" + support.p256dh(1)[33:] + support.p256dh(1)[1:33],
    ],
)
def test_a_point_off_the_curve_is_refused(raw: bytes) -> None:
    with pytest.raises(InputError, match="not a point on the curve"):
        keys.p256dh(encode(raw))


def test_a_coordinate_beyond_the_field_is_refused() -> None:
    # x + p names the same field element; a parser that reduces first would take it.
    small = next((x, _root(x)) for x in range(100) if _root(x) ** 2 % P == _right(x))
    assert keys.p256dh(encode(point(*small)))
    with pytest.raises(InputError):
        keys.p256dh(encode(point(small[0] + P, small[1])))


def _right(x: int) -> int:
    """Return what y squared must be at *x*, with b taken from a key that is on the curve."""
    raw = support.p256dh(0)
    x0, y0 = int.from_bytes(raw[1:33], "big"), int.from_bytes(raw[33:], "big")
    return (x**3 - 3 * x + y0 * y0 - x0**3 + 3 * x0) % P


def _root(x: int) -> int:
    return pow(_right(x), (P + 1) // 4, P)


@given(st.binary(min_size=64, max_size=64))
def test_it_agrees_with_cryptography_on_any_bytes(raw: bytes) -> None:
    assert taken(b"\x04" + raw) == judged(b"\x04" + raw)


@given(st.integers(1, 2**200), st.integers(0, 511))
def test_it_agrees_with_cryptography_on_keys_with_one_bit_turned(secret: int, bit: int) -> None:
    number = ec.derive_private_key(secret, ec.SECP256R1()).public_key().public_numbers()
    raw = point(number.x, number.y)
    assert taken(raw)
    turned = int.from_bytes(raw, "big") ^ (1 << bit)
    assert taken(turned.to_bytes(65, "big")) == judged(turned.to_bytes(65, "big"))


def taken(raw: bytes) -> bool:
    try:
        keys.p256dh(encode(raw))
    except InputError:
        return False
    return True


def judged(raw: bytes) -> bool:
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has 0 bytes"),
        (encode(support.p256dh(1)[:64]), "has 64 bytes"),
        (encode(b"\x02" + support.p256dh(1)[1:33]), "has 33 bytes"),
        (encode(b"\x05" + support.p256dh(1)[1:]), "not the 65"),
        ("not base64!", "not base64url"),
        ("A" * 87 + "\n", "not base64url"),
        ("é" * 87, "not base64url"),
        ("AA===", "too much padding"),
    ],
)
def test_what_is_no_key_is_refused_with_its_fault(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        keys.p256dh(text)


def test_a_refusal_never_repeats_the_key() -> None:
    text = encode(b"\x04" + bytes(range(64)))
    with pytest.raises(InputError) as caught:
        keys.p256dh(text)
    assert text[:10] not in str(caught.value)


def test_auth_has_sixteen_bytes() -> None:
    assert keys.auth(encode(bytes(16))) == bytes(16)
    for size in (0, 15, 17, 32):
        with pytest.raises(InputError, match=f"has {size} bytes, not 16"):
            keys.auth(encode(bytes(size)))
