"""A night of sweeps can be read back from the log."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pushctl import config as configs
from pushctl import log
from pushctl.demo.pushservice import PushService
from pushctl.jobs.sweep import sweep
from pushctl.jobs.triggers import feeds
from pushctl.rules.tokens import encode
from pushctl.web import WebError
from tests.jobs.sweep.test_sweep_processes import fill
from tests.support import MINUTE, project, sending
from tests.support.shop import BASKET

FEED = "https://shop.example/feed.xml?key=tBHItJI5svbpez7KI4CQXg"
NEWS = f'[triggers.news]\nfeed = "{FEED}"\nsteps = [{{ template = "two" }}]\n'


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """Return the file that the log is written to, as JSON."""
    root = logging.getLogger("pushctl")
    handlers, level = list(root.handlers), root.level
    log.start(tmp_path / "night.log", "json")
    yield tmp_path / "night.log"
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def read(file: Path) -> list[dict[str, Any]]:
    lines = map(json.loads, file.read_text("utf-8").splitlines())
    return [line for line in lines if line["logger"] == "sweep"]


def test_a_night_can_be_read_back(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(url: str) -> bytes:
        raise WebError(f"{url} can't be asked: timed out")

    monkeypatch.setattr(feeds, "fetch", fetch)
    with PushService(checks=False) as service:
        field = sending.field(tmp_path, service)
        sending.template(tmp_path, "one", title="one", body="Hello")
        sending.template(tmp_path, "two", title="two", body="Hello")
        project.add(tmp_path, BASKET + NEWS)
        sending.lead_to(tmp_path, service)
        people, now = field.people(3), sending.soon()
        fill(field.store, people, now - 4 * MINUTE)
        config = configs.load(tmp_path / "pushctl.toml", {})
        summary = sweep.run(config, field.store, now)
        sql = "SELECT endpoint, p256dh, auth FROM subscriptions"
        secrets = field.store.connection.execute(sql).fetchall()
        field.store.close()

    started, sent, failed, ended = read(file)
    assert [one["message"] for one in (started, sent, failed, ended)] == [
        "started", "campaign sent", "feed failed", "ended",
    ]  # fmt: skip
    assert sent["campaign"] == "basket/1"
    assert sent["counts"] == {"accepted": 3}
    assert failed["trigger"] == "news"
    assert failed["level"] == "warning"
    assert "timed out" in failed["note"]
    assert ended["level"] == "warning"
    assert ended["code"] == summary.exit_code == 5
    assert ended["counts"] == dict(summary.counts)
    assert ended["seconds"] >= sum(ended["stages"].values()) - 0.01
    stages = ["drain", "messages", "urgent", "events", "reminders", "rest", "webhooks", "tidy"]
    assert list(ended["stages"]) == stages
    text = file.read_text("utf-8")
    assert len(secrets) == 3
    for endpoint, *keys in secrets:
        assert endpoint not in text
        assert not [key for key in keys if encode(key) in text or key.hex() in text]
    assert "tBHItJI5svbpez7KI4CQXg" not in text


def test_a_good_sweep_has_no_warning(tmp_path: Path, file: Path) -> None:
    with PushService(checks=False) as service:
        field = sending.field(tmp_path, service)
        summary = sweep.run(field.config, field.store, sending.soon())
        field.store.close()
    started, ended = read(file)
    assert (started["level"], ended["level"]) == ("info", "info")
    assert ended["code"] == summary.exit_code == 0


def test_a_sweep_that_fails_ends_in_the_log(tmp_path: Path, file: Path) -> None:
    with PushService(checks=False) as service:
        field = sending.field(tmp_path, service)
        field.store.connection.execute("DROP TABLE interactions")
        with pytest.raises(Exception, match="interactions"):
            sweep.run(field.config, field.store, sending.soon())
        field.store.close()
    assert [(one["message"], one.get("code")) for one in read(file)] == [
        ("started", None), ("ended", 1),
    ]  # fmt: skip
