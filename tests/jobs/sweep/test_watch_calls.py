"""`sweep --watch` calls programs and webhooks, and no receiver keeps a message waiting."""

import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl.demo.pushservice import PushService
from tests.jobs.sweep.test_watch import await_, end, view, watching
from tests.support import project, sending, webhooks
from tests.support.program import pushctl
from tests.support.sending import Field
from tests.support.webhooks import URL, Receiver

SETTINGS = f"""
[triggers.hello]
on    = "page_view"
steps = [{{ after = "0s", template = "one" }}]
[triggers.chat]
on    = "asked"
steps = [
  {{ after = "0s", exec = ["./chat.sh"] }},
  {{ after = "0s", template = "one", from = "accepted" }},
]
[[webhooks]]
name   = "crm"
url    = "{URL}"
events = ["trigger_finished"]
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhooks.receiving() as opened:
        yield opened


@pytest.fixture
def field(tmp_path: Path, service: PushService, receiver: Receiver) -> Iterator[Field]:
    made = sending.field(tmp_path / "project", service)
    folder = made.config.folder
    sending.template(folder, "one", title="one", body="Hello")
    both = tmp_path / "both.pem"
    both.write_bytes(Path(service.ca).read_bytes() + receiver.ca.read_bytes())
    hosts = service.loopback_hosts | {webhooks.HOST: f"127.0.0.1:{receiver.port}"}
    lines = [f'"{name}" = "{target}"' for name, target in hosts.items()]
    loopback = f'[push.loopback]\nca = "{both}"\n[push.loopback.hosts]\n'
    project.add(folder, SETTINGS + loopback + "\n".join(lines))
    (folder / "chat.sh").write_text("#!/bin/sh\ncat > called\n")
    (folder / "chat.sh").chmod(0o755)
    # Webhooks are told of what happens after the first sweep that knows them.
    assert pushctl("--project", str(folder), "sweep").code == 0
    yield made
    made.store.close()


def test_a_watch_calls_and_nobody_waits_for_it(
    field: Field, service: PushService, receiver: Receiver
) -> None:
    field.people(3)
    receiver.answer = lambda handler, got: time.sleep(8)
    with watching(field) as watch:
        view(field, 0)
        await_(service.receipts, "no message came")
        await_(lambda: receiver.got, "no call came")
        # While the receiver says nothing.
        began = time.monotonic()
        view(field, 1)
        await_(lambda: len(service.receipts()) == 2, "no second message came")
        assert time.monotonic() - began < 5
        receiver.answer = webhooks.OK
        end(watch)
    with watching(field) as watch:
        # A step after it counts from its acceptance.
        view(field, 2, "asked")
        await_((field.config.folder / "called").exists, "the program was not run")
        await_(lambda: len(service.receipts()) == 3, "no message came after the call")
        # What calls may tell webhooks meanwhile, and says what it did at its end.
        read_until(watch, "1 taken by other channels")
        end(watch)


def read_until(watch: "subprocess.Popen[str]", words: str) -> None:
    """Read what *watch* says until it says *words*."""
    assert watch.stdout is not None
    hanging = threading.Timer(60, watch.kill)
    hanging.start()
    try:
        said = ""
        while words not in said:
            line = watch.stdout.readline()
            assert line, f"it never said {words!r}:\n{said}"
            said += line
    finally:
        hanging.cancel()
