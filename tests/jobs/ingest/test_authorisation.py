"""
Who may change what: every route against every kind of forged, stale and caught request.

Each request goes the whole way, through a receiver's process, its inbox and the import;
whatever is refused must leave not one byte of the database different.
"""

import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pushctl.inbox import Writer
from pushctl.jobs.ingest.drain import IngestReport, drain
from pushctl.model import InboxRecord
from pushctl.push import vapid
from pushctl.rules import tokens
from pushctl.store import Store
from tests.support import auth, database, endpoint, hostile
from tests.support import receiving as r
from tests.support.posting import sign_alias
from tests.support.rows import by_endpoint_hash

SECRET = bytes(range(32))
SHOP = b"the shop's own key"
VICTIM, STRANGER, NOBODY = 1, 2, 3

SIGNED: dict[str, dict[str, Any]] = {
    "/v1/unsubscribe": {},
    "/v1/tags": {"add": ["VIP"], "remove": ["Newsletter"]},
    "/v1/identify": {"alias": "customer-7"},
    "/v1/events": {
        "events": [{"id": "an-event-of-its-own", "name": "purchase", "at": 1, "properties": {}}]
    },
    "/v1/preferences": {"pause": 604_800, "fewer": True},
    "/v1/forget": {},
}


@dataclass
class World:
    """A receiver, its inbox, and the database behind it."""

    folder: Path
    port: int
    store: Store
    key: str

    def subscribe(self, number: int, **more: Any) -> int:
        body = r.subscription(number, **more) | {"key": self.key}
        return r.post(self.port, "/v1/subscribe", body).status

    def drain(self) -> IngestReport:
        now = time.time_ns() // 1_000_000
        return drain(self.store, r.config(self.folder, self.port), SECRET, now)

    def settle(self) -> list[str]:
        """Import what waits, and return everything that the database holds now."""
        self.drain()
        kept = self.store.connection.iterdump()
        return [line for line in kept if '"inbox_cursors"' not in line]


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int, str]]:
    folder = tmp_path_factory.mktemp("project")
    key = vapid.write(folder / "keys")
    (folder / "keys" / "alias_secret").write_bytes(SHOP)
    with r.running(folder) as port:
        yield folder, port, key.public


@pytest.fixture
def world(receiver: tuple[Path, int, str]) -> Iterator[World]:
    folder, port, key = receiver
    file = folder / f"{os.urandom(6).hex()}.db"
    with database.create(file) as store:
        world = World(folder, port, store, key)
        # A database that has read all of the earlier tests, and erased nobody.
        for each in folder.glob("pushctl.db.forgotten*"):
            each.unlink()
        inbox = folder / "inbox"
        store.inbox_cursors.save(
            {each.name: each.stat().st_size for each in inbox.glob("*.seg")}
        )
        assert world.subscribe(VICTIM, tags=["Newsletter"]) == 204
        assert world.subscribe(STRANGER) == 204
        alias = {"endpoint": endpoint(VICTIM), "alias": "victim-9"}
        signature = sign_alias("victim-9", SHOP)
        sent = r.post(port, "/v1/identify", alias | {"signature": signature}, number=VICTIM)
        assert sent.status == 204
        assert world.drain().refused.total() == 0
        yield world


def raw(path: str) -> bytes:
    # The space keeps each request's signature its own, whatever came before.
    padding = " " * (int.from_bytes(os.urandom(2)) % 500)
    return (
        json.dumps({"endpoint": endpoint(VICTIM), **SIGNED[path]}).encode() + padding.encode()
    )


def sign(path: str, body: bytes, number: int, late: int = 0) -> str:
    return tokens.sign_request(auth(number), path, int(time.time()) - late, body)


def wrong(kind: str, path: str, body: bytes) -> dict[str, Any]:
    """Return the headers of a request that must change nothing."""
    other = next(each for each in SIGNED if each != path)
    seconds = int(time.time())
    made = {
        "none": None,
        "of another subscription": sign(path, body, STRANGER),
        "of nobody": sign(path, body, NOBODY),
        "made up": f"{seconds}.{'A' * 43}",
        "expired": sign(path, body, VICTIM, late=301),
        "from tomorrow": sign(path, body, VICTIM, late=-86_400),
        "for another address": sign(other, body, VICTIM),
        "for another body": sign(path, body + b" ", VICTIM),
        "with another time": f"{seconds - 1}.{sign(path, body, VICTIM).partition('.')[2]}",
    }[kind]
    return {} if made is None else {"X_Pushctl_Signature": made}


KINDS = [
    "none",
    "of another subscription",
    "of nobody",
    "made up",
    "expired",
    "from tomorrow",
    "for another address",
    "for another body",
    "with another time",
]


@pytest.mark.parametrize("path", SIGNED)
@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_signature_changes_nothing(world: World, path: str, kind: str) -> None:
    before = world.settle()
    body = raw(path)
    answer = r.post(world.port, path, body, **wrong(kind, path, body))
    assert answer.status in (204, 401)
    report = world.drain()
    assert report.applied.total() == 0
    assert answer.status == 401 or report.refused == {"signature missing or wrong": 1}
    assert world.settle() == before


@pytest.mark.parametrize("path", SIGNED)
def test_the_same_request_with_a_right_signature_does_change_something(
    world: World, path: str
) -> None:
    before = world.settle()
    body = raw(path)
    answer = r.post(world.port, path, body, X_Pushctl_Signature=sign(path, body, VICTIM))
    assert answer.status == 204
    if path == "/v1/identify":  # an unsigned alias is a label, and the victim has a real one
        assert world.drain().refused == {"alias is signed already": 1}
        return
    assert world.drain().applied.total() == 1
    assert world.settle() != before


@pytest.mark.parametrize("path", SIGNED)
def test_a_request_that_was_caught_and_sent_again_changes_nothing(
    world: World, path: str
) -> None:
    body = raw(path)
    caught: dict[str, Any] = {"X_Pushctl_Signature": sign(path, body, VICTIM)}
    assert r.post(world.port, path, body, **caught).status == 204
    before = world.settle()
    for _ in range(3):
        assert r.post(world.port, path, body, **caught).status == 204
    assert world.settle() == before


def test_an_unsubscription_caught_earlier_does_not_end_the_new_subscription(
    world: World,
) -> None:
    body = raw("/v1/unsubscribe")
    caught: dict[str, Any] = {"X_Pushctl_Signature": sign("/v1/unsubscribe", body, VICTIM)}
    assert r.post(world.port, "/v1/unsubscribe", body, **caught).status == 204
    assert world.subscribe(VICTIM, chosen=True) == 204
    assert world.drain().applied == {"unsubscribed": 1, "revived": 1}
    before = world.settle()
    assert r.post(world.port, "/v1/unsubscribe", body, **caught).status == 204
    assert world.drain().refused == {"sent once more": 1}
    assert world.settle() == before


def test_a_tag_taken_off_does_not_come_back_with_a_caught_request(world: World) -> None:
    body = raw("/v1/tags")
    caught: dict[str, Any] = {"X_Pushctl_Signature": sign("/v1/tags", body, VICTIM)}
    off = {"endpoint": endpoint(VICTIM), "remove": ["VIP"]}
    assert r.post(world.port, "/v1/tags", body, **caught).status == 204
    assert r.post(world.port, "/v1/tags", off, number=VICTIM).status == 204
    before = world.settle()
    assert r.post(world.port, "/v1/tags", body, **caught).status == 204
    assert world.settle() == before


def test_a_caught_request_is_known_in_the_same_import_too(world: World) -> None:
    body = raw("/v1/preferences")
    caught: dict[str, Any] = {"X_Pushctl_Signature": sign("/v1/preferences", body, VICTIM)}
    for _ in range(3):
        assert r.post(world.port, "/v1/preferences", body, **caught).status == 204
    report = world.drain()
    assert (report.applied, report.refused) == ({"preferences": 1}, {"sent once more": 2})


# --- taking over ----------------------------------------------------------------------------


def test_a_known_endpoint_is_never_given_other_keys(world: World) -> None:
    before = world.settle()
    body = r.subscription(STRANGER, tags=["VIP"], attributes={"a": 1}) | {"key": world.key}
    body["subscription"]["endpoint"] = endpoint(VICTIM)
    for number in (None, STRANGER):
        assert r.post(world.port, "/v1/subscribe", body, number=number).status == 204
    assert world.drain().refused == {"other keys for a known endpoint": 2}
    assert world.settle() == before


@pytest.mark.parametrize("proof", ["none", "own", "made up"])
def test_a_stranger_does_not_take_over_a_place_as_its_next_endpoint(
    world: World, proof: str
) -> None:
    victim = tokens.endpoint_hash(endpoint(VICTIM))
    before = by_endpoint_hash(world.store, victim)
    seconds = int(time.time())
    own = tokens.sign_request(
        auth(STRANGER), "/v1/subscribe#previous", seconds, endpoint(NOBODY).encode()
    )
    proofs = {
        "none": {},
        "own": {"previous_signature": own},
        "made up": {"previous_signature": f"{seconds}.{'A' * 43}"},
    }
    assert world.subscribe(NOBODY, previous=endpoint(VICTIM), **proofs[proof]) == 204
    assert world.drain().applied == {"subscribed": 1}
    assert by_endpoint_hash(world.store, victim) == before


@pytest.mark.parametrize(
    "signature",
    [
        None,
        sign_alias("victim-9", b"another secret"),
        sign_alias("victim-8", SHOP),
        sign_alias("victim-9", b""),
        "A" * 43,
    ],
)
def test_nobody_takes_the_alias_of_another(world: World, signature: str | None) -> None:
    body = {"endpoint": endpoint(STRANGER), "alias": "victim-9"}
    if signature is not None:
        body["signature"] = signature
    assert r.post(world.port, "/v1/identify", body, number=STRANGER).status == 204
    report = world.drain()
    stranger = by_endpoint_hash(world.store, tokens.endpoint_hash(endpoint(STRANGER)))
    assert stranger is not None
    assert not stranger.alias_trusted
    if signature is not None:
        (reason,) = report.refused
        assert reason.startswith("alias with a wrong signature: ")


def test_a_browser_cannot_set_the_programs_own_tags(world: World) -> None:
    body = {"endpoint": endpoint(VICTIM), "add": ["pushctl:paused", "PushCTL: fewer"]}
    assert r.post(world.port, "/v1/tags", body, number=VICTIM).status == 204
    before = world.store.tags.count_held(1)
    world.drain()
    assert world.store.tags.count_held(1) == before


def test_reports_count_only_with_a_token_of_ours_and_once(world: World) -> None:
    before = world.settle()
    for token in (tokens.message_token(b"x" * 32, 1), "1." + "A" * 22):
        body = {"message": token, "kind": "shown", "id": "one"}
        assert r.post(world.port, "/v1/reports", body).status == 204
    assert world.drain().refused == {"message token is not ours": 2}
    assert world.settle() == before


# Subdomains of Mozilla's service are Mozilla's own, whatever they are called.
HOSTILE = [
    each
    for each in hostile.ENDPOINTS
    if not re.match(r"https://[a-z-]+\.push\.services\.mozilla\.com/", each)
]


def test_hostile_endpoints_are_refused_at_the_door(world: World) -> None:
    assert len(HOSTILE) >= 120
    before = world.settle()
    for each in HOSTILE:
        body = r.subscription(NOBODY) | {"key": world.key}
        body["subscription"]["endpoint"] = each
        try:
            raw = json.dumps(body).encode()
        except UnicodeEncodeError:
            continue
        assert r.post(world.port, "/v1/subscribe", raw).status in (400, 413), each
    assert world.settle() == before


def test_hostile_endpoints_are_refused_behind_the_door(world: World) -> None:
    # An inbox is files, and may come from another machine.
    before = world.settle()
    writer = Writer(world.folder / "inbox")
    now = time.time_ns() // 1_000_000
    lines = []
    for number, each in enumerate(HOSTILE):
        body = r.subscription(NOBODY) | {"key": world.key}
        body["subscription"]["endpoint"] = each
        lines.append(
            InboxRecord(f"{number:022}", now, "/v1/subscribe", "shop", json.dumps(body))
        )
    writer.append(lines)
    writer.close()
    report = world.drain()
    assert report.applied.total() == 0
    assert report.lines == len(lines)
    assert world.settle() == before
