"""A server's message under `sweep --watch`: on the wire at once, whatever else is sent."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pushctl import apikeys
from pushctl.demo.pushservice import PushService
from tests.jobs.sweep.test_watch import await_, watching
from tests.support import receiving as r
from tests.support import sending
from tests.support.sending import APPLE, FCM, Field


@pytest.fixture
def field(tmp_path: Path, service: PushService) -> Iterator[Field]:
    made = sending.field(tmp_path / "project", service)
    sending.lead_to(made.config.folder, service)
    yield made
    made.store.close()


def test_a_servers_message_waits_for_no_broadcast_and_no_silent_service(
    field: Field, service: PushService
) -> None:
    service.play([{"host": APPLE, "do": "silence"}])
    field.people(20, APPLE)
    slow = field.freeze(now=sending.soon() - 60_000)
    people = field.people(1, APPLE, first=20) + field.people(2, FCM, first=21)
    for number, row in enumerate(people):
        field.store.subscriptions.set_alias(row, f"customer-{number}", trusted=True)
    folder = field.config.folder
    scopes = ("messages:person", "read")
    secret = apikeys.create(folder / "keys", "server", scopes, "shop", sending.soon())[1]
    heads = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}

    def call(method: str, path: str, wanted: Any = None) -> dict[str, Any]:
        body = None if wanted is None else json.dumps(wanted).encode()
        answer = r.request(port, method, path, body, heads)
        assert answer.status in (200, 202), answer.body
        return dict(answer.json())

    def ask(number: int) -> str:
        words = {"title": "Thank you", "buttons": [{"title": "Track it", "url": "/track"}]}
        wanted = {
            "to": {"alias": f"customer-{number}"},
            "message": words,
            "topic": f"o{number}",
        }
        return str(call("POST", "/v1/messages", {**wanted, "transactional": True})["id"])

    def is_in_state(message: str, state: str) -> bool:
        return call("GET", f"/v1/messages/{message}")["state"] == state

    with r.running(folder) as port, watching(field, PUSHCTL_PUSH__TIMEOUT="30") as running:
        await_(service.receipts, "the broadcast has not begun")
        first = ask(0)
        await_(lambda: is_in_state(first, "sending"), "the first was not planned")
        is_stuck, shared = field.store.messages.is_stuck, slow.id + 1
        await_(lambda: is_stuck(shared, sending.soon() - 600), "its process waits for nobody")
        for number in (1, 2):
            began, before = time.monotonic(), len(service.receipts())
            message = ask(number)
            await_(
                lambda: any(it.host == FCM for it in service.receipts(before)),  # noqa: B023
                "it waits",
            )
            assert time.monotonic() - began < 15
            await_(lambda: is_in_state(message, "done"), "its result waits")  # noqa: B023
        assert field.counts(slow).get("sending")
        assert is_in_state(first, "sending")
        while running.poll() is None:  # the second signal ends what waits for the silent one
            running.terminate()
            with suppress(subprocess.TimeoutExpired):
                running.wait(0.3)
    names = [one.name for one in field.store.campaigns.list_newest()]
    assert len(names) == 3, names
