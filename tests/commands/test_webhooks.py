"""Webhooks by the command line, and the ways of docs/webhooks.md to verify their calls."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl.store import Store
from pushctl.store.events import ARRIVAL, Event
from pushctl.store.subscriptions import Registration
from tests.support import ROOT, auth, endpoint, p256dh, project, webhooks
from tests.support.program import pushctl
from tests.support.webhooks import URL, Receiver

HOOK = f"""
[[webhooks]]
name = "crm"
url = "{URL}"
events = ["subscribed"]
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhooks.receiving() as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path, receiver: Receiver) -> Path:
    made = project.make(tmp_path / "shop")
    project.add(made, HOOK + receiver.settings)
    assert pushctl("sweep", cwd=made).code == 0
    return made


def arrive(folder: Path, number: int = 0) -> int:
    now = time.time_ns() // 1_000_000
    with Store(folder / "pushctl.db") as store:
        site = store.sites.sync({"shop": project.ORIGIN})["shop"]
        hashed = number.to_bytes(16, "big")
        made = Registration(site, endpoint(number), hashed, p256dh(), auth(), "k")
        row = store.subscriptions.add(made, {}, now)
        event = Event(row, "subscribed", now, now, {}, f"{row}{ARRIVAL}")
        store.events.add([event])
    return row


def test_a_sweep_tells_and_a_dry_run_only_says_so(folder: Path, receiver: Receiver) -> None:
    arrive(folder)
    dry = pushctl("sweep", "--dry-run", cwd=folder)
    assert "webhook crm" in dry.out
    assert receiver.got == []
    done = pushctl("sweep", cwd=folder)
    assert (done.code, len(receiver.got)) == (0, 1), done.err
    assert "1 told to webhooks" in done.out
    again = pushctl("sweep", cwd=folder)
    assert (again.code, again.out, len(receiver.got)) == (0, "", 1)
    (row,) = json.loads(pushctl("webhooks", "list", "--json", cwd=folder).out)
    assert (row["state"], row["waiting"], row["delivered"]) == ("on", 0, 1)


def test_the_next_sweep_need_not_wait_for_a_slow_receiver(
    folder: Path, receiver: Receiver
) -> None:
    codes: list[int] = []

    def sweep_meanwhile(handler: object, got: webhooks.Got) -> None:
        codes.append(pushctl("sweep", cwd=folder, anew=True).code)
        webhooks.OK(handler, got)  # type: ignore[arg-type]

    receiver.answer = sweep_meanwhile
    arrive(folder)
    arrive(folder, 1)
    assert pushctl("sweep", cwd=folder, anew=True).code == 0
    assert codes == [0, 0]
    assert len(set(receiver.ids)) == 2


def test_a_failing_receiver_fails_no_sweep_and_check_names_what_died(
    folder: Path, receiver: Receiver
) -> None:
    receiver.answer = webhooks.say(500)
    arrive(folder)
    assert pushctl("sweep", cwd=folder).code == 0
    (row,) = json.loads(pushctl("webhooks", "list", "--json", cwd=folder).out)
    assert (row["state"], row["reason"]) == ("fails", "it answers 500")
    with Store(folder / "pushctl.db") as store, store.write() as db:
        db.execute("UPDATE webhook_calls SET state = 'dead', next_at = NULL")
        db.execute("UPDATE webhooks SET failing_since = failing_since - 90000000")
    (dead,) = json.loads(pushctl("webhooks", "dead", "--json", cwd=folder).out)
    found = pushctl("check", cwd=folder).out
    assert "has 1 dead letter" in found
    assert "fails since" in found
    receiver.answer = webhooks.OK
    done = pushctl("webhooks", "replay", "crm", "--id", dead["message"], "--yes", cwd=folder)
    assert "1 call planned" in done.err
    assert pushctl("sweep", cwd=folder).code == 0
    assert len(set(receiver.ids)) == 1


def test_a_test_call_says_what_the_receiver_answers(folder: Path, receiver: Receiver) -> None:
    tried = pushctl("webhooks", "test", "crm", cwd=folder).err
    assert "answers 204" in tried and "[push.loopback] is on" in tried
    assert receiver.got[0].json()["type"] == "test"
    receiver.answer = webhooks.say(403)
    refused = pushctl("webhooks", "test", "crm", cwd=folder)
    assert (refused.code, "it answers 403" in refused.err) == (5, True), refused
    unknown = pushctl("webhooks", "test", "crn", cwd=folder)
    assert (unknown.code, "crm" in unknown.err) == (4, True)


def read_example(language: str) -> str:
    text = (ROOT / "docs/webhooks.md").read_text("utf-8")
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found
    return found[1]


def sign_twice(folder: Path, receiver: Receiver) -> tuple[str, str, webhooks.Got]:
    """Return the former and the present secret, and a call that both have signed."""
    old = pushctl("webhooks", "secret", "crm", cwd=folder).out.strip()
    new = pushctl("webhooks", "rotate", "crm", "--yes", cwd=folder).out.strip()
    assert old != new == pushctl("webhooks", "secret", "crm", cwd=folder).out.strip()
    pushctl("webhooks", "test", "crm", cwd=folder)
    return old, new, receiver.got[-1]


def test_the_examples_of_the_docs_verify(folder: Path, receiver: Receiver) -> None:
    old, new, got = sign_twice(folder, receiver)
    names: dict[str, object] = {}
    exec(read_example("python"), names)
    verify = names["verify"]
    cases = [(old, got.body, True), (new, got.body, True), (new, got.body + b" ", False)]
    cases.append((old[:-8] + "AAAAAAA=", got.body, False))
    for secret, body, right in cases:
        assert verify(secret, got.headers, body) is right  # type: ignore[operator]
    for program, text in (("node", NODE), ("php", PHP)):
        if shutil.which(program) is None:
            assert program == "php"  # Node is always here
            continue
        flag, language = ("-e", "js") if program == "node" else ("-r", "php")
        for secret, body, right in cases:
            given = json.dumps([secret, dict(got.headers), body.decode()])
            done = subprocess.run(
                [program, flag, read_example(language) + text],
                input=given,
                capture_output=True,
                text=True,
                timeout=20,
            )
            assert done.stdout.strip() == str(int(right)), done.stderr


NODE = """
const [secret, headers, body] = JSON.parse(require("fs").readFileSync(0));
console.log(verify(secret, headers, Buffer.from(body)) ? 1 : 0);
"""
PHP = """
[$secret, $headers, $body] = json_decode(stream_get_contents(STDIN), true);
echo verify($secret, $headers, $body) ? 1 : 0;
"""
