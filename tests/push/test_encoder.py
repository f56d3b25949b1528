"""push/encoder: every encoder against RFC 8291's own example and an independent judge."""

import os
import random
import struct
import subprocess
import sys
from types import SimpleNamespace

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pushctl.errors import ConfigError
from pushctl.model import Letter
from pushctl.push import encoder
from pushctl.push.encoders import Unavailable, direct, fast, turbo
from pushctl.push.encoders.sealing import seal
from pushctl.rules import limits
from pushctl.rules.tokens import decode
from tests.support import auth, browser_key, p256dh

FAULTS = {name: encoder.prove(name) for name in encoder.NAMES}
HERE = [name for name, fault in FAULTS.items() if fault is None]
ALL = [
    pytest.param(name, marks=pytest.mark.skipif(fault is not None, reason=f"{name}: {fault}"))
    for name, fault in FAULTS.items()
]
OURS = ALL[:-1]  # all but pywebpush, which is another's code
needs_fast = pytest.mark.skipif("fast" not in HERE, reason=f"fast: {FAULTS['fast']}")


def letter(number: int, payload: bytes, key: bytes | None = None) -> Letter:
    return Letter(
        delivery=number,
        endpoint="https://push.test/x",
        p256dh=p256dh(number % 256) if key is None else key,
        auth=auth(number % 256),
        key_id="",
        payload=payload,
        ttl=60,
        urgency="normal",
        topic=None,
    )


def read(sent: Letter, body: bytes | None) -> bytes:
    assert body is not None
    return http_ece.decrypt(
        body,
        private_key=browser_key(sent.delivery % 256),
        auth_secret=sent.auth,
        version="aes128gcm",
    )


def encode(name: str, letters: list[Letter]) -> list[bytes | None]:
    return encoder.choose(name).encode(letters)


@pytest.mark.parametrize("library", ["cryptography", pytest.param("qh3", marks=needs_fast)])
def test_the_example_of_rfc_8291(library: str) -> None:
    """Appendix A: given its keys and salt, the body comes out byte by byte."""
    theirs = decode(
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
    )
    ours = decode(
        "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"
    )
    private = ec.derive_private_key(
        int.from_bytes(decode("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")), ec.SECP256R1()
    )
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), theirs)
    body = seal(
        fast.load().encrypt_record if library == "qh3" else direct.encrypt_record,
        private.exchange(ec.ECDH(), public),
        theirs,
        decode("BTBZMqHH6r4Tts7J_aSIgg"),
        ours,
        b"When I grow up, I want to be a watermelon",
        decode("DGv6ra1nlYgDCS1FRnbzlw"),
    )
    assert body == decode(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
        "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
        "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


@pytest.mark.parametrize("name", ALL)
def test_ten_thousand_messages_come_back(name: str) -> None:
    # The reference is another's code, and slow: a tenth of it shows that we call it well.
    count = 1_000 if name == "pywebpush" else 10_000
    chance = random.Random(8291)
    letters = [
        letter(number, chance.randbytes(chance.randint(1, limits.MAX_PAYLOAD_BYTES)))
        for number in range(count)
    ]
    for start in range(0, count, 100):
        part = letters[start : start + 100]
        for sent, body in zip(part, encode(name, part), strict=True):
            assert read(sent, body) == sent.payload


@pytest.mark.parametrize("name", OURS)
def test_every_size_comes_back_in_one_record(name: str) -> None:
    letters = [letter(size, bytes(size)) for size in range(limits.MAX_PAYLOAD_BYTES + 1)]
    for sent, body in zip(letters, encode(name, letters), strict=True):
        assert body is not None
        _salt, record, length = struct.unpack_from(">16sIB", body)
        assert (record, length) == (4096, 65)
        assert len(body) == 86 + len(sent.payload) + 1 + 16 <= 4096
        if sent.delivery % 40 == 0:
            assert read(sent, body) == sent.payload


@pytest.mark.parametrize("name", ALL)
def test_no_salt_and_no_key_is_used_twice(name: str) -> None:
    bodies = encode(name, [letter(1, b"the same")] * 200)
    assert len({body[:16] for body in bodies if body}) == 200
    assert len({body[21:86] for body in bodies if body}) == 200


BAD_POINTS = {
    "off the curve": b"\x04" + bytes(31) + b"\x01" + bytes(31) + b"\x01",
    "the origin": b"\x04" + bytes(64),
    "beyond the field": b"\x04" + b"\xff" * 64,
    "compressed": b"\x02" + p256dh(1)[1:33],
    "hybrid": b"\x06" + p256dh(1)[1:],
    "too short": p256dh(1)[:-1],
    "too long": p256dh(1) + b"\0",
    "empty": b"",
    "at infinity": b"\0",
}


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("kind", BAD_POINTS)
def test_a_key_off_the_curve_fails_alone(name: str, kind: str) -> None:
    """An invalid curve would leak our key; the seven others of its batch go out."""
    for place in range(9):
        letters = [letter(number, b"hello") for number in range(9)]
        letters[place] = letter(place, b"hello", BAD_POINTS[kind])
        bodies = encode(name, letters)
        assert bodies[place] is None
        for sent, body in zip(letters, bodies, strict=True):
            if sent.delivery != place:
                assert read(sent, body) == b"hello"


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 64])
def test_any_number_of_letters_at_once(name: str, count: int) -> None:
    letters = [letter(number, os.urandom(20)) for number in range(count)]
    for sent, body in zip(letters, encode(name, letters), strict=True):
        assert read(sent, body) == sent.payload


def test_the_fastest_proved_encoder_is_taken_and_tells_why() -> None:
    name, why = encoder.choose()[:2]
    assert name == HERE[0]
    assert why
    for passed_over in encoder.NAMES[: encoder.NAMES.index(name)]:
        assert f"not {passed_over}: " in why


def test_an_encoder_that_garbles_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def garble(letters: list[Letter]) -> list[bytes | None]:
        return [body and body[:-1] + bytes([body[-1] ^ 1]) for body in direct.encode(letters)]

    monkeypatch.setattr(turbo, "encode", garble)
    encoder.choose.cache_clear()
    try:
        name, why = encoder.choose("turbo")[:2]
        assert name == next(it for it in HERE if it != "turbo")
        assert why.startswith("not turbo: its self-test could not be decrypted; ")
    finally:
        encoder.choose.cache_clear()


def test_one_that_crashes_is_passed_over_down_to_the_reference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def crash(letters: list[Letter]) -> list[bytes | None]:
        raise RuntimeError("broken")

    for each in (turbo, fast, direct):
        monkeypatch.setattr(each, "encode", crash)
    encoder.choose.cache_clear()
    try:
        name, why = encoder.choose()[:2]
    finally:
        encoder.choose.cache_clear()
    assert name == "pywebpush"
    assert why.count("failed with RuntimeError: broken") == 3


def test_one_that_takes_a_key_off_the_curve_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def trust(letters: list[Letter]) -> list[bytes | None]:
        return [body or b"a body" for body in direct.encode(letters)]

    monkeypatch.setattr(fast, "encode", trust)
    fault = "its self-test was given a body for a key that is off the curve"
    assert encoder.prove("fast") == fault


def test_a_panic_of_a_library_in_rust_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Panic(BaseException):
        """As pyo3's, which is no Exception."""

    def panic(letters: list[Letter]) -> list[bytes | None]:
        raise Panic("unwrap on None")

    monkeypatch.setattr(fast, "encode", panic)
    assert encoder.prove("fast") == "its self-test failed with Panic: unwrap on None"


def test_a_machine_without_the_package_says_what_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fast, "find_spec", lambda name: None)
    fast.load.cache_clear()
    turbo.find_encryption.cache_clear()
    encoder.choose.cache_clear()
    try:
        assert encoder.prove("fast") == "pip install 'pushctl[fast]' would bring it"
        assert encoder.choose("fast").name == "direct"
        assert turbo.find_encryption() is direct.encrypt_record
    finally:
        fast.load.cache_clear()
        turbo.find_encryption.cache_clear()
        encoder.choose.cache_clear()


@needs_fast
@pytest.mark.parametrize(
    ("name", "form"),
    [("AeadAes128Gcm", {"AeadAes128Gcm": None}), ("none of it", {})],
)
def test_another_form_of_the_private_module_is_not_used(
    monkeypatch: pytest.MonkeyPatch, name: str, form: dict[str, object]
) -> None:
    monkeypatch.setattr(fast, "_load_extension", lambda: SimpleNamespace(**form))
    fast.load.cache_clear()
    try:
        with pytest.raises(Unavailable, match="not of the form that we know"):
            fast.load()
    finally:
        fast.load.cache_clear()


@needs_fast
def test_turbo_takes_no_encryption_that_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    turbo.find_encryption.cache_clear()
    fast.load.cache_clear()
    try:
        assert turbo.find_encryption() is direct.encrypt_record, "it loads nothing by itself"
        turbo.find_encryption.cache_clear()
        fast.load()
        assert turbo.find_encryption() is fast.load().encrypt_record
        turbo.find_encryption.cache_clear()
        wrong = fast.load()._replace(encrypt_record=lambda key, nonce, data: data)
        monkeypatch.setattr(fast, "is_loaded", lambda: True)
        monkeypatch.setattr(fast, "load", lambda: wrong)
        assert turbo.find_encryption() is direct.encrypt_record
    finally:
        turbo.find_encryption.cache_clear()


@needs_fast
def test_the_package_around_the_private_module_is_not_loaded() -> None:
    program = (
        "import sys; from pushctl.push.encoders import fast; fast.load(); "
        "assert not {'qh3', 'asyncio'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("name", OURS)
def test_forked_processes_make_different_keys(name: str) -> None:
    """Workers are forked from a process that has made keys: none may make the same again."""
    encode(name, [letter(1, b"the first")] * 9)
    seen: set[bytes] = set()
    for _ in range(3):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            bodies = encode(name, [letter(1, b"the same")] * 20)
            os.write(writing, b"".join(body[:16] + body[21:86] for body in bodies if body))
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            found = pipe.read()
        assert os.waitpid(child, 0)[1] == 0
        parts = [found[at : at + 81] for at in range(0, len(found), 81)]
        seen |= {part[:16] for part in parts} | {part[16:] for part in parts}
    own = [body for body in encode(name, [letter(1, b"the same")] * 20) if body]
    seen |= {body[:16] for body in own} | {body[21:86] for body in own}
    assert len(seen) == 2 * 20 * 4


def test_an_unknown_encoder_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="auto, turbo, fast, direct, pywebpush"):
        encoder.choose("rot13")


def test_a_library_of_another_form_is_not_loaded() -> None:
    for library in (b"", b"\x7fELF", b"\x7fELF\x02\x01" + bytes(500), os.urandom(4000)):
        with pytest.raises(Unavailable):
            turbo.replace_unused(library)


@pytest.mark.skipif("turbo" not in HERE, reason="crypto_mb is not usable here")
def test_the_loaded_library_needs_nothing_of_intels() -> None:
    path = turbo._find()
    patched = turbo.replace_unused(path.read_bytes())
    assert len(patched) == path.stat().st_size
    # A few bytes in the table of needed libraries, and nothing else, may differ.
    assert sum(a != b for a, b in zip(path.read_bytes(), patched, strict=True)) <= 16
    with open("/proc/self/maps") as maps:
        mapped = maps.read()
    assert "crypto_mb" in mapped
    assert "libsvml" not in mapped
