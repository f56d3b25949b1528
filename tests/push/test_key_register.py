"""push/register and push/foreign_keys: whose turn each key has; keys of other tools."""

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from pushctl import lock
from pushctl.errors import BusyError, ConfigError, InputError
from pushctl.push import foreign_keys, key_register, vapid
from pushctl.push.key_register import Use


def put(folder: Path, age: int) -> str:
    """Write a key as builds did that knew no register; return its id."""
    key = vapid.read(vapid.create())
    file = folder / f"vapid-{key.id}.pem"
    file.touch(0o600)
    file.write_bytes(key.pem)
    os.utime(file, (1_700_000_000 + age,) * 2)
    vapid.write_public(key, folder)
    return key.id


def touch(folder: Path, name: str) -> None:
    for file in folder.glob(f"vapid-{name}.*"):
        os.utime(file, (4e9, 4e9))


class TestRegister:
    def test_the_newest_file_becomes_own_once(self, tmp_path: Path) -> None:
        first, last, middle = (put(tmp_path, age) for age in (1, 3, 2))
        assert list(vapid.load(tmp_path)) == [last, middle, first]
        assert not (tmp_path / key_register.NAME).exists()  # looking writes nothing
        assert list(vapid.load_required(tmp_path)) == [last, middle, first]
        touch(tmp_path, first)
        assert list(vapid.load(tmp_path)) == [last, middle, first]
        assert vapid.load_own(tmp_path).id == last
        assert vapid.load_public(tmp_path) == vapid.load(tmp_path)[last].public

    def test_an_unknown_file_is_an_earlier_key(self, tmp_path: Path) -> None:
        own = vapid.write(tmp_path)
        other = put(tmp_path, 0)
        touch(tmp_path, other)
        assert vapid.load_own(tmp_path).id == own.id
        vapid.load_required(tmp_path)
        assert vapid.load_register(tmp_path).entries[other].use is Use.EARLIER

    def test_a_new_key_takes_the_place_of_the_own_one(self, tmp_path: Path) -> None:
        keys = [vapid.write(tmp_path).id for _ in range(3)]
        found = vapid.load_register(tmp_path)
        assert found.own == keys[-1]
        assert [one.use for one in found.entries.values()].count(Use.OWN) == 1
        vapid.choose(tmp_path, keys[0])
        assert list(vapid.load(tmp_path)) == [keys[0], keys[2], keys[1]]

    def test_a_kill_between_key_and_register_changes_nobodys_key(self, tmp_path: Path) -> None:
        own = vapid.write(tmp_path)
        put(tmp_path, 2_000_000_000)  # the file is written, the register not yet
        assert vapid.load_own(tmp_path).id == own.id

    def test_a_key_for_earlier_subscribers_is_not_own_by_being_the_first(
        self, tmp_path: Path
    ) -> None:
        vapid.keep(tmp_path, vapid.create(), Use.EARLIER)
        assert vapid.load_register(tmp_path).own is None
        with pytest.raises(ConfigError, match="keys new"):
            vapid.load_own(tmp_path)
        with pytest.raises(ConfigError, match="keys new"):
            vapid.load_public(tmp_path)

    def test_a_receiver_has_public_keys_alone(self, tmp_path: Path) -> None:
        machine, theirs = tmp_path / "keys", tmp_path / "receiver"
        theirs.mkdir()
        keys = [vapid.write(machine) for _ in range(2)]
        vapid.choose(machine, keys[0].id)
        for file in (*machine.glob("*.pub"), machine / key_register.NAME):
            (theirs / file.name).write_bytes(file.read_bytes())
        assert vapid.load_public(theirs) == keys[0].public
        vapid.choose(theirs, keys[1].id)
        assert vapid.load_public(theirs) == keys[1].public

    def test_a_folder_that_can_not_be_written_is_read(self, tmp_path: Path) -> None:
        name = put(tmp_path, 1)
        with lock.hold(tmp_path / "keys.lock"):
            assert list(vapid.load_required(tmp_path)) == [name]
            assert vapid.load_public(tmp_path) == vapid.load(tmp_path)[name].public
            with pytest.raises(BusyError):
                vapid.choose(tmp_path, name)
        assert not (tmp_path / key_register.NAME).exists()

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("[", "is no TOML"),
            ("x = 1", "no table of a key"),
            ('[short]\nuse = "own"', "no table of a key"),
            ("[AAAAAAAA]\ncreated = 2026-04-28T08:00:00Z", "has no use"),
            ('[AAAAAAAA]\nuse = "ours"\ncreated = 2026-04-28T08:00:00Z', "has no use"),
            ('[AAAAAAAA]\nuse = "own"\ncreated = "x"', "has no created"),
            (
                '[AAAAAAAA]\nuse = "own"\ncreated = 2026-04-28T08:00:00Z\n'
                '[BBBBBBBB]\nuse = "own"\ncreated = 2026-04-28T08:00:00Z',
                "only one can be it",
            ),
        ],
    )
    def test_a_register_that_can_not_be_read_is_an_error(
        self, tmp_path: Path, text: str, says: str
    ) -> None:
        put(tmp_path, 1)
        (tmp_path / key_register.NAME).write_text(text)
        for read in (vapid.load, vapid.load_required, vapid.load_public, vapid.write):
            with pytest.raises(ConfigError, match=says):
                read(tmp_path)
        assert (tmp_path / key_register.NAME).read_text() == text

    def test_a_public_half_of_another_key_names_both_files(self, tmp_path: Path) -> None:
        key, other = vapid.write(tmp_path), vapid.read(vapid.create())
        (tmp_path / f"vapid-{key.id}.pub").write_text(other.public)
        for read in (vapid.load, vapid.load_required, vapid.load_public):
            with pytest.raises(ConfigError) as caught:
                read(tmp_path)
            assert f"vapid-{key.id}.pub holds the key {other.id}" in str(caught.value)
            assert f"vapid-{key.id}.pem" in str(caught.value)

    @pytest.mark.parametrize("text", ["", "rubbish", "A" * 87])
    def test_what_is_no_public_half_is_an_error(self, tmp_path: Path, text: str) -> None:
        key = vapid.write(tmp_path)
        (tmp_path / f"vapid-{key.id}.pub").write_text(text)
        for read in (vapid.load, vapid.load_public, vapid.load_publics):
            with pytest.raises(ConfigError, match=r"\.pub holds no public key"):
                read(tmp_path)

    def test_what_is_written_is_read_back(self, tmp_path: Path) -> None:
        vapid.write(tmp_path)
        vapid.keep(tmp_path, vapid.create(), Use.EARLIER)
        before = vapid.load_register(tmp_path)
        vapid.load_required(tmp_path)
        assert vapid.load_register(tmp_path) == before
        assert not (tmp_path / "keys.lock").exists()


PRIVATE = ec.generate_private_key(ec.SECP256R1())
WANTED = vapid.read(PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())).id
RAW = PRIVATE.private_numbers().private_value.to_bytes(32, "big")
SCALAR = base64.urlsafe_b64encode(RAW).decode().rstrip("=")
PUBLIC = base64.urlsafe_b64encode(
    PRIVATE.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
).decode().rstrip("=")  # fmt: skip


def as_bytes(encoding: Encoding, form: PrivateFormat, key: Any = PRIVATE) -> bytes:
    found: bytes = key.private_bytes(encoding, form, NoEncryption())
    return found


PEM = as_bytes(Encoding.PEM, PrivateFormat.PKCS8)
FORMS = {
    "pkcs8 pem": PEM,
    "sec1 pem": as_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL),
    "pem among words": b"Bag Attributes\r\n" + PEM.replace(b"\n", b"\r\n") + b"-----END-----",
    "pkcs8 der": as_bytes(Encoding.DER, PrivateFormat.PKCS8),
    "sec1 der": as_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL),
    "base64 of der": base64.b64encode(as_bytes(Encoding.DER, PrivateFormat.PKCS8)),
    "43 characters": SCALAR.encode(),
    "a line": f"  {SCALAR}\r\n".encode(),
    "padded base64": base64.b64encode(RAW),
    "32 bytes": RAW,
    "web-push json": json.dumps({"publicKey": PUBLIC, "privateKey": SCALAR}).encode(),
    "web-push text": f"====\nPublic Key:\n{PUBLIC}\n\nPrivate Key:\n{SCALAR}\n====\n".encode(),
    "nested json": json.dumps({"a": {"public_key": PUBLIC, "private_key": SCALAR}}).encode(),
    "pem in json": json.dumps({"vapidPrivateKey": PEM.decode()}).encode(),
    "json web key": json.dumps({"kty": "EC", "crv": "P-256", "d": SCALAR}).encode(),
}
OTHER_CURVE = as_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, ec.generate_private_key(ec.SECP384R1())
)
PUBLIC_PEM = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
OTHER = vapid.read(vapid.create()).public
REFUSED = {
    "public key": (PUBLIC.encode(), "private one is needed"),
    "public pem": (PUBLIC_PEM, "private key is needed"),
    "encrypted": (
        PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
        "encrypted",
    ),
    "another curve": (OTHER_CURVE, "P-256"),
    "damaged pem": (PEM[:80] + PEM[100:], "damaged"),
    "another pair": (
        json.dumps({"publicKey": OTHER, "privateKey": SCALAR}).encode(),
        "not of one pair",
    ),
    "json without": (b'{"publicKey": "x"}', "no privateKey"),
    "json in json": (json.dumps({"privateKey": "{" * 9}).encode(), "no privateKey"),
    "list": (b"[1]", "no privateKey"),
    "broken json": (b"{", "damaged"),
    "zero": (bytes(32), "no private key"),
    "too large": (b"\xff" * 32, "no private key"),
    "short": (SCALAR[:40].encode(), "is no key"),
    "empty": (b"", "is no key"),
    "long": (b"A" * 100_000, "is no key"),
    "picture": (b"\x89PNG\r\n\x1a\n" * 9, "is no key"),
}


class TestForeignKeys:
    @pytest.mark.parametrize("form", FORMS)
    def test_a_key_in_any_form(self, form: str) -> None:
        pem = foreign_keys.read(FORMS[form])
        assert vapid.read(pem).id == WANTED

    @pytest.mark.parametrize("form", REFUSED)
    def test_what_is_no_key_is_refused_and_not_repeated(self, form: str) -> None:
        data, says = REFUSED[form]
        with pytest.raises(InputError, match=says) as caught:
            foreign_keys.read(data)
        assert SCALAR not in str(caught.value) and caught.value.__cause__ is None

    def test_what_openssl_writes(self, tmp_path: Path) -> None:
        command = ("openssl", "ecparam", "-name", "prime256v1", "-genkey")
        made = subprocess.run(command, capture_output=True, check=True).stdout
        assert b"EC PARAMETERS" in made
        assert load_pem_private_key(foreign_keys.read(made), None)
