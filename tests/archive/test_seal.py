"""Encryption of backups: opened by its key alone, and not after any change."""

import io
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from pushctl.archive import seal
from pushctl.archive.tar import ArchiveError
from pushctl.errors import InputError

PLAIN = bytes(range(256)) * 1_200  # several of age's chunks


def sealed(recipient: str) -> bytes:
    output = io.BytesIO()
    seal.seal(iter([PLAIN[:99], PLAIN[99:]]), output, seal.read_recipients([recipient]))
    return output.getvalue()


def opened(data: bytes, identity: str) -> bytes:
    output = io.BytesIO()
    seal.unseal(io.BytesIO(data), output, seal.read_identities(identity.encode()))
    return output.getvalue()


@pytest.fixture(scope="module")
def pair() -> seal.KeyPair:
    return seal.make_key_pair()


def test_the_key_opens_it(pair: seal.KeyPair) -> None:
    data = sealed(pair.recipient)
    assert seal.find_form(io.BytesIO(data)) is seal.Form.RECIPIENTS
    assert PLAIN[:64] not in data
    assert opened(data, f"# made today\n{pair.identity}\n") == PLAIN


def test_another_key_does_not(pair: seal.KeyPair) -> None:
    with pytest.raises(InputError, match="can't be opened with this key"):
        opened(sealed(pair.recipient), seal.make_key_pair().identity)


def test_no_change_goes_unnoticed(pair: seal.KeyPair) -> None:
    data = sealed(pair.recipient)
    for at in (60, 170, 500, len(data) // 2, len(data) - 1):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(InputError):
            opened(changed, pair.identity)
    for other in (data[:-1], data[:100_000], data[: 65_536 + 250], data + b"x"):
        with pytest.raises(ArchiveError):
            opened(other, pair.identity)


def test_an_ssh_key_will_do() -> None:
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    assert opened(sealed(f"{public} me@desk"), private) == PLAIN


def test_a_passphrase_opens_it_and_age_by_hand_too(tmp_path: Path) -> None:
    output = io.BytesIO()
    seal.seal_with_passphrase(iter([PLAIN]), output, "four words by chance")
    data = output.getvalue()
    file = io.BytesIO(data)
    assert seal.find_form(file) is seal.Form.PASSPHRASE
    identities = seal.open_lock(file, "four words by chance")
    plain = io.BytesIO()
    seal.unseal(file, plain, identities)
    assert plain.getvalue() == PLAIN
    with pytest.raises(InputError, match="this key or passphrase"):
        seal.open_lock(io.BytesIO(data), "four words by change")
    # docs/backup.md tells how to part it by hand.
    (tmp_path / "backup").write_bytes(data)
    begin, rest = (
        subprocess.run(["sed", script, "backup"], cwd=tmp_path, env={"LC_ALL": "C"},
                       capture_output=True, check=True).stdout
        for script in ("/^-----END/q", "1,/^-----END/d")
    )  # fmt: skip
    assert begin + rest == data
    assert rest.startswith(b"age-encryption.org/v1\n")


@pytest.mark.parametrize("text", ["", "no key at all", "AGE-SECRET-KEY-1QQQ", "\N{SNOWMAN}"])
def test_what_is_no_key_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(InputError) as caught:
        seal.read_identities(text.encode())
    assert not text or text not in str(caught.value)
    with pytest.raises(InputError):
        seal.read_recipients([text])


def test_what_our_own_ends_raise_comes_out_as_it_was(pair: seal.KeyPair) -> None:
    """Pyrage makes text of it: a full disk and Ctrl-C would look like a broken backup."""

    class Full:
        def write(self, data: bytes, /) -> int:
            raise OSError(28, "No space left on device")

    def stopped() -> Iterator[bytes]:
        yield b"some"
        raise KeyboardInterrupt

    with pytest.raises(OSError) as caught:
        seal.seal(iter([PLAIN]), Full(), seal.read_recipients([pair.recipient]))
    assert caught.value.errno == 28
    with pytest.raises(KeyboardInterrupt):
        seal.seal(stopped(), io.BytesIO(), seal.read_recipients([pair.recipient]))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"SQLite format 3\0"])
def test_another_file_is_no_backup(data: bytes) -> None:
    with pytest.raises(ArchiveError):
        seal.find_form(io.BytesIO(data))
