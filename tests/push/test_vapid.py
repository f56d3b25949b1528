"""push/vapid: keys, their folder, the header that says who sends."""

import base64
import json
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from py_vapid import Vapid02

from pushctl.errors import ConfigError, InputError
from pushctl.push import vapid
from pushctl.rules.tokens import decode
from pushctl.rules.web import keys
from tests.support import DAY, HOUR, MINUTE, NOON

ORIGIN = "https://fcm.googleapis.com"
CONTACT = "mailto:push@shop.example"


@pytest.fixture
def key() -> vapid.Key:
    return vapid.read(vapid.create())


def claims(header: str) -> dict[str, object]:
    token = header.removeprefix("vapid t=").partition(",k=")[0]
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


class TestFolder:
    def test_a_written_key_is_read_back(self, tmp_path: Path) -> None:
        written = vapid.write(tmp_path / "keys")
        assert vapid.load(tmp_path / "keys") == {written.id: written}
        assert written.file == tmp_path / "keys" / f"vapid-{written.id}.pem"

    def test_nobody_else_can_read_it(self, tmp_path: Path) -> None:
        written = vapid.write(tmp_path / "keys")
        assert written.file is not None
        assert stat.S_IMODE(written.file.stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
    def test_a_key_that_others_can_read_is_not_used(self, tmp_path: Path, mode: int) -> None:
        file = vapid.write(tmp_path).file
        assert file is not None
        file.chmod(mode)
        with pytest.raises(ConfigError, match=f"chmod 600 {file}"):
            vapid.load(tmp_path)

    def test_the_newest_comes_first(self, tmp_path: Path) -> None:
        keys = [vapid.write(tmp_path) for _ in range(4)]
        for age, key in enumerate(keys):
            assert key.file is not None
            os.utime(key.file, (1000 + age, 1000 + age))
        assert list(vapid.load(tmp_path)) == [key.id for key in reversed(keys)]

    def test_an_empty_folder_holds_none(self, tmp_path: Path) -> None:
        assert vapid.load(tmp_path) == {}
        assert vapid.load(tmp_path / "missing") == {}

    def test_a_key_under_another_name_is_an_error(self, tmp_path: Path) -> None:
        file = vapid.write(tmp_path).file
        assert file is not None
        file.rename(tmp_path / "vapid-AAAAAAAA.pem")
        with pytest.raises(ConfigError, match="holds the key"):
            vapid.load(tmp_path)

    @pytest.mark.parametrize("text", [b"", b"junk", b"-----BEGIN PRIVATE KEY-----\n"])
    def test_what_is_no_key_is_an_error_with_its_place(
        self, tmp_path: Path, text: bytes
    ) -> None:
        file = tmp_path / "vapid-AAAAAAAA.pem"
        file.touch(0o600)
        file.write_bytes(text)
        with pytest.raises(ConfigError, match=r"vapid-AAAAAAAA\.pem"):
            vapid.load(tmp_path)

    def test_a_key_of_another_kind_is_an_error(self) -> None:
        other = rsa.generate_private_key(65537, 2048)
        pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with pytest.raises(ConfigError, match="P-256"):
            vapid.read(pem)

    def test_a_key_never_shows_itself(self, key: vapid.Key) -> None:
        assert "PRIVATE" not in repr(key)


class TestPublicKey:
    def test_it_is_what_a_browser_subscribes_with(self, key: vapid.Key) -> None:
        raw = keys.server_key(key.public)
        assert (len(raw), raw[0]) == (65, 4)
        assert keys.key_id(raw) == key.id
        assert len(key.id) == 8

    @pytest.mark.parametrize("text", ["", "AAAA", "!", "BA" + "A" * 85])
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(InputError, match="application server key"):
            keys.server_key(text)


class TestHeader:
    def test_a_push_service_can_verify_it(self, key: vapid.Key) -> None:
        header = vapid.make_header(ORIGIN, key, CONTACT, NOON)
        assert header.startswith("vapid t=")
        assert header.endswith(f",k={key.public}")
        assert Vapid02.verify(header)
        assert claims(header) == {
            "aud": ORIGIN,
            "exp": (NOON + 12 * HOUR) // 1000,
            "sub": CONTACT,
        }

    def test_it_is_signed_for_each_origin(self, key: vapid.Key) -> None:
        for origin in (ORIGIN, "https://web.push.apple.com", ORIGIN):
            assert claims(vapid.make_header(origin, key, CONTACT, NOON))["aud"] == origin

    def test_it_is_signed_once_for_all_messages(self, key: vapid.Key) -> None:
        first = vapid.make_header(ORIGIN, key, CONTACT, NOON)
        assert vapid.make_header(ORIGIN, key, CONTACT, NOON + 4 * MINUTE) == first

    @pytest.mark.parametrize("later", [6 * MINUTE, 6 * HOUR, DAY, -1, -HOUR])
    def test_it_is_signed_anew_when_the_clock_has_moved(
        self, key: vapid.Key, later: int
    ) -> None:
        # No time has passed on the steady clock: each of these is a jump or an age.
        first = vapid.make_header(ORIGIN, key, CONTACT, NOON)
        again = vapid.make_header(ORIGIN, key, CONTACT, NOON + later)
        assert again != first
        assert claims(again)["exp"] == (NOON + later + 12 * HOUR) // 1000

    def test_another_key_or_contact_signs_for_itself(self, key: vapid.Key) -> None:
        other = vapid.read(vapid.create())
        headers = {
            vapid.make_header(ORIGIN, signer, contact, NOON)
            for signer in (key, other)
            for contact in (CONTACT, "https://shop.example/contact")
        }
        assert len(headers) == 4

    def test_the_key_in_it_is_the_one_that_signed(self, key: vapid.Key) -> None:
        header = vapid.make_header(ORIGIN, key, CONTACT, NOON)
        assert keys.key_id(decode(header.partition(",k=")[2])) == key.id


class TestContact:
    @pytest.mark.parametrize(
        "contact",
        [
            "mailto:push@shop.example",
            "mailto:push+web@mail.shop.co.uk",
            "https://shop.example",
            "https://shop.example/contact?x=1",
            "https://shop.example:8443/",
        ],
    )
    def test_services_take_it(self, contact: str) -> None:
        assert vapid.check_contact(contact) == []

    @pytest.mark.parametrize(
        ("contact", "says"),
        [
            ("", "neither"),
            ("push@shop.example", "neither"),
            ("http://shop.example", "neither"),
            ("MAILTO:push@shop.example", "neither"),
            ("mailto:", "not an e-mail address"),
            ("mailto:push", "not an e-mail address"),
            ("mailto:push@shop.example, b@shop.example", "a space"),
            ("mailto: push@shop.example", "a space"),
            ("mailto:<push@shop.example>", "angle brackets"),
            ("mailto:push@localhost", "no public domain"),
            ("mailto:push@shop.local", "no public domain"),
            ("mailto:push@shop.LOCAL", "no public domain"),
            ("mailto:push@shop.invalid", "no public domain"),
            ("mailto:push@shop..example", "no public domain"),
            ("https://localhost", "no public domain"),
            ("https://localhost:8080/", "no public domain"),
            ("https://a.localhost/", "no public domain"),
            ("https://10.0.0.1/", "no public domain"),
            ("https://shop", "no public domain"),
            ("https://", "not a web address"),
        ],
    )
    def test_apple_refuses_it(self, contact: str, says: str) -> None:
        assert says in "; ".join(vapid.check_contact(contact))
