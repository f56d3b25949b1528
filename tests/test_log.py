"""pushctl.log: a night can be read back, and nobody can be reached with what it says."""

import json
import logging
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pushctl import log
from pushctl.demo.pushservice import PushService
from pushctl.jobs.delivery import deliver
from pushctl.push import vapid
from pushctl.rules.tokens import encode
from tests import support
from tests.support import project, sending
from tests.support.program import pushctl
from tests.support.sending import FCM, soon


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    root = logging.getLogger("pushctl")
    handlers, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        with suppress(OSError):  # what a full disk did not take
            handler.close()
    root.setLevel(level)


def test_lines_of_text_have_time_name_message_and_fields(tmp_path: Path) -> None:
    assert log.start(tmp_path / "log", "text") is None
    log.note("sweep", "ended", accepted=12, campaign="Big sale", seconds=0.81234)
    line = (tmp_path / "log").read_text("utf-8")
    assert line.endswith(' INFO sweep: ended accepted=12 campaign="Big sale" seconds=0.812\n')
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600


def test_lines_of_json_are_objects(tmp_path: Path) -> None:
    log.start(tmp_path / "log", "json")
    log.note("send", "ended", counts={"accepted": 2}, level=logging.WARNING)
    line = json.loads((tmp_path / "log").read_text("utf-8"))
    assert line.pop("at").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "send",
        "message": "ended",
        "counts": {"accepted": 2},
    }


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_line_holds_an_endpoint_a_key_or_an_escape(tmp_path: Path, form: str) -> None:
    log.start(tmp_path / "log", form)
    key = "BGsX0fLhLEJH9Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA"
    auth = "tBHItJI5svbpez7KI4CQXg"
    endpoint = support.endpoint(7)
    log.note("send", f"to {endpoint}", why=f"{endpoint}: {key}", more={"auth": auth})
    log.note("send", "\x1b[2Jgone", name="a\nb")
    text = (tmp_path / "log").read_text("utf-8")
    assert endpoint not in text
    assert "updates.push.services.mozilla.com/…" in text
    assert key not in text and auth not in text
    assert "\x1b" not in text
    assert len(text.splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("https://ann:pass@shop.example/feed?t=1: 404", "https://shop.example/… 404"),
        ("http://shop.example?token=abc", "http://shop.example/…"),
        ("https://shop.example", "https://shop.example"),
        ("campaign abandoned_basket_discount", "campaign abandoned_basket_discount"),
    ],
)
def test_passwords_and_paths_of_addresses_are_cut(text: str, kept: str) -> None:
    assert log.hide_secrets(text) == kept


def test_a_file_that_logrotate_moved_is_opened_anew(tmp_path: Path) -> None:
    file = tmp_path / "log"
    log.start(file, "text")
    log.note("sweep", "first")
    file.rename(tmp_path / "log.1")
    log.note("sweep", "second")
    assert "first" in (tmp_path / "log.1").read_text()
    assert "second" in file.read_text()


def test_a_file_that_cannot_be_written_is_named_and_stops_nothing(tmp_path: Path) -> None:
    trouble = log.start(tmp_path / "missing" / "log", "text")
    assert trouble is not None and "missing/log" in trouble
    log.note("sweep", "lost")
    assert log.start(Path("/dev/full"), "text") is None
    log.note("sweep", "lost, too")


def test_without_a_file_nothing_is_logged(capfd: pytest.CaptureFixture[str]) -> None:
    log.note("sweep", "ended", level=logging.ERROR)
    assert capfd.readouterr() == ("", "")


def test_the_file_stands_in_the_project(tmp_path: Path) -> None:
    folder = project.make(tmp_path / "shop")
    text = (folder / "pushctl.toml").read_text()
    (folder / "pushctl.toml").write_text(text.replace('# file = "pushctl', 'file = "pushctl'))
    (folder / "below").mkdir()
    done = pushctl("import", cwd=folder / "below")
    assert done.code == 0, done.err
    assert (folder / "pushctl.log").exists()


def test_an_import_is_logged_with_its_counts(tmp_path: Path) -> None:
    folder = project.make(tmp_path / "shop")
    (folder / "people.jsonl").write_text('{"endpoint": "nowhere"}\n')
    done = pushctl("-v", "subscribers", "import", "people.jsonl", cwd=folder)
    assert "INFO import: subscribers imported file=people.jsonl lines=1 added=0" in done.err


def test_a_send_is_logged_without_an_endpoint_or_a_key(tmp_path: Path) -> None:
    wait = {"do": "answer", "status": 429, "headers": {"retry-after": "900"}, "host": FCM}
    with PushService(checks=False, script=[wait]) as service:
        field = sending.field(tmp_path, service)
        field.people(3)
        field.people(20, FCM, first=100)
        log.start(tmp_path / "log", "json")
        now = soon()
        report = field.send(now, name="spring")
        list(deliver.run_due(field.store, field.config, now + 1000))
        field.send(now + 2000, name="again")
    text = (tmp_path / "log").read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert {line["logger"] for line in lines} == {"send"}
    first, throttled, ended = lines[:3]
    assert (first["message"], first["campaign"], first["waiting"]) == ("started", "spring", 23)
    assert (throttled["message"], throttled["host"]) == ("push service throttled", FCM)
    assert throttled["level"] == "warning" and "429" in throttled["reason"]
    assert throttled["until"].endswith("+00:00")
    assert (ended["message"], ended["counts"]) == ("ended", dict(report.sent))
    assert (ended["waiting"], ended["seconds"] >= 0) == (20, True)
    held = [line["host"] for line in lines if line["message"] == "push service held"]
    assert held == [FCM]
    _holds_no_secret(text, field)


def test_a_log_of_faults_names_hosts_and_reasons_alone(tmp_path: Path) -> None:
    refusal = {"do": "answer", "status": 403, "host": FCM}
    gone = {"do": "answer", "status": 410}
    with PushService(checks=False, script=[refusal, gone]) as service:
        field = sending.field(tmp_path, service)
        field.people(300)
        field.people(20, FCM, first=100)
        log.start(tmp_path / "log", "text")
        field.send(soon())
        lines = (tmp_path / "log").read_text("utf-8").splitlines()
    words = " ".join(lines)
    assert f"WARNING send: push service stopped host={FCM} " in words
    assert f"WARNING send: mass gone host={sending.MOZILLA} " in words
    assert "until=null" in words
    _holds_no_secret(words, field)


def test_a_campaign_that_pauses_itself_is_logged(tmp_path: Path) -> None:
    with PushService(checks=False, script=[{"do": "answer", "status": 400}]) as service:
        field = sending.field(tmp_path, service)
        field.people(400)
        log.start(tmp_path / "log", "json")
        field.send(soon())
        lines = (tmp_path / "log").read_text("utf-8").splitlines()
    (paused,) = [line for line in map(json.loads, lines) if line["message"] == "paused"]
    assert (paused["level"], bool(paused["reason"])) == ("warning", True)
    assert json.loads(lines[-1])["status"] == "paused"


def _holds_no_secret(text: str, field: sending.Field) -> None:
    rows = field.store.connection.execute("SELECT endpoint, p256dh, auth FROM subscriptions")
    for endpoint, p256dh, auth in rows:
        address = endpoint.removeprefix("https://").partition("/")[2]
        assert endpoint not in text and address not in text
        assert encode(p256dh) not in text and encode(auth) not in text
    for name, key in vapid.load(field.config.keys).items():
        assert key.public not in text and name not in text
