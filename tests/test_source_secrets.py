"""keys/sources.toml: two secrets while a shop changes its own."""

import stat
from pathlib import Path

import pytest

from pushctl import source_secrets
from pushctl.errors import ConfigError, InputError
from pushctl.rules.units import DAY, HOUR
from pushctl.source_secrets import Entry, Reader
from tests.support import NOON


def test_the_former_secret_is_valid_until_its_date(tmp_path: Path) -> None:
    source_secrets.set_secret(tmp_path, "woo", "first", DAY, NOON - HOUR)
    changed = source_secrets.set_secret(tmp_path, "woo", "second", DAY, NOON)
    assert source_secrets.load(tmp_path) == {"woo": changed}
    assert changed.list_valid(NOON) == ["second", "first"]
    assert changed.list_valid(NOON + DAY - 1) == ["second", "first"]
    assert changed.list_valid(NOON + DAY) == ["second"]


def test_a_first_secret_has_no_former_one(tmp_path: Path) -> None:
    assert source_secrets.set_secret(tmp_path, "woo", "first", DAY, NOON).former == ""


def test_a_leaked_secret_ends_at_once(tmp_path: Path) -> None:
    source_secrets.set_secret(tmp_path, "woo", "first", 0, NOON)
    changed = source_secrets.set_secret(tmp_path, "woo", "second", 0, NOON)
    assert changed.list_valid(NOON) == ["second"]


def test_the_same_secret_again_keeps_the_former_one(tmp_path: Path) -> None:
    source_secrets.set_secret(tmp_path, "woo", "first", DAY, NOON)
    changed = source_secrets.set_secret(tmp_path, "woo", "second", DAY, NOON)
    assert source_secrets.set_secret(tmp_path, "woo", "second", 0, NOON + 1) == changed


def test_nobody_else_can_read_the_file(tmp_path: Path) -> None:
    source_secrets.set_secret(tmp_path, "woo", "first", 0, NOON)
    mode = stat.S_IMODE((tmp_path / "sources.toml").stat().st_mode)
    assert mode == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["sources.toml"]


@pytest.mark.parametrize("secret", ['"', "a\\b", "[x]", "türkçe 🔑", "x" * 1024, "'''", "# no"])
def test_secrets_are_kept_as_they_are(tmp_path: Path, secret: str) -> None:
    source_secrets.set_secret(tmp_path, "woo", secret, 0, NOON)
    source_secrets.set_word(tmp_path, "woo", "buy-link", secret)
    source_secrets.set_secret(tmp_path, "other", "beside it", 0, NOON)
    found = source_secrets.load(tmp_path)["woo"]
    assert found == Entry(secret, words={"buy-link": secret})
    assert secret not in repr(found)


@pytest.mark.parametrize("secret", ["", "x" * 1025, "two\nlines", "\0"])
def test_what_is_no_secret_is_refused(tmp_path: Path, secret: str) -> None:
    with pytest.raises(InputError, match="one line"):
        source_secrets.set_secret(tmp_path, "woo", secret, 0, NOON)


@pytest.mark.parametrize(
    "text",
    [
        'woo = "canary"',
        "[woo]\nsecret = 7",
        '[woo]\nsecret = "canary"\nformer = "canary"',
        '[woo]\nwords = "canary"',
        "[woo]\nsecret = canary",
        '[woo]\nsecret = "canary',
    ],
)
def test_a_fault_of_the_file_repeats_no_secret(tmp_path: Path, text: str) -> None:
    (tmp_path / "sources.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        source_secrets.load(tmp_path)
    assert "canary" not in str(caught.value)
    assert "pushctl sources secret" in str(caught.value)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_running_receiver_reads_the_file_again(tmp_path: Path) -> None:
    clock, notes = Clock(), list[str]()
    reader = Reader(tmp_path, notes.append, clock)
    assert not reader.find("woo", NOON)
    source_secrets.set_secret(tmp_path, "woo", "first", 0, NOON)
    source_secrets.set_word(tmp_path, "woo", "buy-link", "word")
    clock.now = 1.0
    assert list(reader.find("woo", NOON)) == [b"first"]
    assert reader.find("woo", NOON).words == {"buy-link": b"word"}
    # A file that was broken by hand stops nothing.
    (tmp_path / "sources.toml").write_text("[woo")
    clock.now = 2.0
    assert list(reader.find("woo", NOON)) == [b"first"]
    clock.now = 3.0
    assert list(reader.find("woo", NOON)) == [b"first"]
    assert len(notes) == 1
    (tmp_path / "sources.toml").unlink()
    clock.now = 4.0
    assert not reader.find("woo", NOON)


def test_a_file_that_is_nested_too_deeply_is_no_bug(tmp_path: Path) -> None:
    (tmp_path / source_secrets.NAME).write_text("a = " + "[" * 100_000)
    with pytest.raises(ConfigError, match="is no TOML"):
        source_secrets.load(tmp_path)
