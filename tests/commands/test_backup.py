"""`pushctl backup` and `restore`: what people type, and what they read."""

import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.support import backups, project
from tests.support.program import PROGRAM, environment, on_terminal, pushctl

WORDS = "correct horse battery"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project.make(tmp_path_factory.mktemp("backup") / "shop")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text(backups.key_pair().identity)
    return file


def recipient() -> str:
    return backups.key_pair().recipient


def test_a_key_is_made_once_and_its_public_half_goes_into_the_settings(
    shop: Path, tmp_path: Path
) -> None:
    run = pushctl("backup", "--new-key", str(tmp_path / "key"), cwd=shop)
    public = run.out.strip()
    assert (run.code, public.startswith("age1")) == (0, True)
    assert f'recipients = ["{public}"]' in run.err
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert "AGE-SECRET-KEY" not in run.out + run.err
    again = pushctl("backup", "--new-key", str(tmp_path / "key"), cwd=shop)
    assert (again.code, "never overwritten" in again.err) == (2, True)


def test_cron_needs_one_line(tmp_path: Path, key: Path) -> None:
    folder, target = project.make(tmp_path / "my shop"), tmp_path / "backups"
    target.mkdir()
    project.add(folder, f'[backup]\nrecipients = ["{recipient()}"]\nkeep = 2')
    for minute in range(4):
        now = f"2026-11-30T03:0{minute}:00+00:00"
        run = pushctl("backup", str(target), cwd=folder, PUSHCTL_NOW=now)
        assert run.code == 0, run.err
    names = sorted(each.name for each in target.iterdir())
    stem = "pushctl-my_shop-20261130T030"
    assert names == [f"{stem}200Z.tar.gz.age", f"{stem}300Z.tar.gz.age"]
    assert "older than the 2 that are kept" in run.err
    newest = str(target / names[-1])
    looked = pushctl("restore", newest, "--check", "--key", str(key))
    assert (looked.code, "is whole" in looked.err) == (0, True), looked.err
    new = tmp_path / "new"
    done = pushctl("restore", newest, str(new), "--key", str(key))
    assert (done.code, "It sends nothing yet" in done.err) == (0, True), done.err
    assert "erased since" in done.err
    check = pushctl("check", cwd=new)
    assert (check.code, "restored from the backup of 2026-11-30 03:03 UTC" in check.out) == (
        3, True,
    )  # fmt: skip
    released = pushctl("release", "--yes", cwd=new)
    assert (released.code, "It may send now" in released.err) == (0, True)
    assert "Nothing to release" in pushctl("release", "--yes", cwd=new).err


def test_without_a_word_on_encryption_nothing_is_written(shop: Path, tmp_path: Path) -> None:
    run = pushctl("backup", str(tmp_path / "backup"), cwd=shop)
    assert (run.code, "nothing says how to encrypt" in run.err) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_plain_says_what_lies_open(shop: Path, tmp_path: Path) -> None:
    file = tmp_path / "plain.tar.gz"
    run = pushctl("backup", str(file), "--plain", cwd=shop)
    assert (run.code, file.stat().st_mode & 0o777) == (0, 0o600)
    for word in ("not encrypted", "VAPID keys", "endpoint", "promo codes"):
        assert word in run.err
    with tarfile.open(file) as tar:
        assert {"backup.json", "pushctl.db", "manifest.json"} <= set(tar.getnames())
    again = pushctl("backup", str(file), "--plain", cwd=shop)
    assert (again.code, "never written over" in again.err) == (2, True)


def test_a_passphrase_is_typed_or_read_and_never_an_argument(
    shop: Path, tmp_path: Path
) -> None:
    file, words = tmp_path / "backup", tmp_path / "words"
    words.write_text(f"{WORDS}\n")
    typed = on_terminal(
        [*PROGRAM, "backup", str(file), "--passphrase"], answers=[WORDS, WORDS], cwd=shop
    )
    assert (typed.code, WORDS in typed.out) == (0, False), typed.out
    with words.open() as opened:
        number = opened.fileno()
        done = subprocess.run(
            [*PROGRAM, "restore", str(file), "new", "--passphrase-fd", str(number)],
            cwd=tmp_path, env=environment(), pass_fds=[number], capture_output=True, text=True,
        )  # fmt: skip
    assert (done.returncode, (tmp_path / "new" / "pushctl.db").exists()) == (0, True)
    words.write_text("correct horse buttery\n")
    wrong = pushctl(
        "restore", str(file), str(tmp_path / "wrong"), "--passphrase-file", str(words)
    )
    assert (wrong.code, "can't be opened" in wrong.err) == (2, True)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["backup", "new", "words"]


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["--passphrase-file", "short"], "shorter than 12"),
        (["--passphrase-file", "none"], "can't be read"),
        (["--passphrase-fd", "99"], "can't be read"),
        (["--passphrase-file", "short", "--passphrase-fd", "0"], "one too many"),
        (["--plain", "--passphrase"], "exclude each other"),
        (["--recipient", "age1nobody"], "no public key"),
    ],
)
def test_what_can_not_be_meant_is_refused(
    shop: Path, tmp_path: Path, words: list[str], fault: str
) -> None:
    (tmp_path / "short").write_text("hello\n")
    given = [str(tmp_path / it) if it in ("short", "none") else it for it in words]
    run = pushctl("backup", str(tmp_path / "backup"), *given, cwd=shop)
    assert (run.code, fault in run.err) == (2, True), run.err
    assert not (tmp_path / "backup").exists()


def test_a_recipient_in_the_settings_is_checked(tmp_path: Path) -> None:
    folder = project.make(tmp_path / "shop")
    project.add(folder, '[backup]\nrecipients = ["AGE-SECRET-KEY-1QQ"]')
    run = pushctl("check", cwd=folder)
    assert (run.code, "is a private key" in run.out) == (3, True)


def test_restore_names_what_is_missing(shop: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    assert pushctl("backup", str(file), "--recipient", recipient(), cwd=shop).code == 0
    for words, fault in (
        ([str(file), str(tmp_path / "new")], "--key"),
        ([str(file)], "name a folder"),
        ([str(file), str(tmp_path / "new"), "--key", "nowhere"], "can't be read"),
        ([str(tmp_path / "nothing"), str(tmp_path / "new")], "can't be read"),
        ([str(shop / "pushctl.toml"), str(tmp_path / "new")], "no backup of pushctl's"),
    ):
        run = pushctl("restore", *words)
        assert (run.code, fault in run.err) == (2, True), run.err
    assert [each.name for each in tmp_path.iterdir()] == ["backup"]
