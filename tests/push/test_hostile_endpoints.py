"""
Endpoints that strangers send us to lead the sender elsewhere: none stored, none dialled.

Three ways in (a file, the receiver's inbox, the database itself changed by somebody) and
one way out, the address that a name leads to in the moment it is dialled.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pycurl
import pytest

from pushctl.demo.pushservice import PushService
from pushctl.jobs.delivery import deliver
from pushctl.push import Postbox, chunk, request, transport
from pushctl.rules.tokens import encode, endpoint_hash
from pushctl.store import Store
from tests.support import auth, hostile, p256dh, receiving, sending
from tests.support.files import as_csv, flat, load, person
from tests.support.posting import Browser, Project, make_project
from tests.support.sending import MOZILLA, Field, soon

# The narrow list, so that names are compared whole and not by their end.
ALLOWED = (hostile.ALLOWED, "fcm.googleapis.com")
ENDPOINTS = tuple(dict.fromkeys(hostile.ENDPOINTS))
BLANKS = [one for one in ENDPOINTS if one.strip() == f"https://{hostile.ALLOWED}/x" != one]


@pytest.fixture
def project(tmp_path: Path, store: Store) -> Project:
    made = make_project(tmp_path, store)
    push = replace(made.config.push, allowed_hosts=ALLOWED)
    return replace(made, config=replace(made.config, push=push))


@pytest.fixture(scope="module")
def running() -> Iterator[PushService]:
    with PushService(checks=False) as service:
        yield service


@pytest.fixture
def field(tmp_path: Path, running: PushService) -> Iterator[Field]:
    made = sending.field(tmp_path, running)
    push = replace(made.config.push, allowed_hosts=ALLOWED)
    made.config = replace(made.config, push=push)
    chunk.close_sender()
    yield made
    made.store.close()
    chunk.close_sender()


def stored(store: Store) -> int:
    (count,) = store.connection.execute("SELECT count(*) FROM subscriptions").fetchone()
    return int(count)


# --- in -----------------------------------------------------------------------------------


def test_there_are_as_many_as_promised() -> None:
    assert len(ENDPOINTS) >= 120


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_file_of_them_brings_nobody(project: Project, form: str) -> None:
    wanted = [one for one in ENDPOINTS if one not in BLANKS]
    if form == "jsonl":
        report = load(project, *(person(1, endpoint=one) for one in wanted), person(2))
    else:
        rows = [flat(1, endpoint=one) for one in wanted]
        report = load(project, as_csv(*rows, flat(2)), name="people.csv")
    assert (report.added, report.refused) == (1, len(wanted))
    assert stored(project.store) == 1, "the good one between them"


def test_blanks_around_an_endpoint_in_a_file_are_cut_off(project: Project) -> None:
    load(project, *(person(1, endpoint=one) for one in BLANKS))
    rows = project.store.connection.execute("SELECT endpoint FROM subscriptions").fetchall()
    assert rows == [(f"https://{hostile.ALLOWED}/x",)]


def test_the_inbox_brings_nobody_even_past_the_receiver(project: Project) -> None:
    good = Browser(2, project.key)
    keys = {"p256dh": encode(p256dh(1)), "auth": encode(auth(1))}
    records = [
        good.record(
            "/v1/subscribe",
            {"subscription": {"endpoint": endpoint, "keys": keys}, "key": project.key},
        )
        for endpoint in ENDPOINTS
    ]
    report = project.drain(*records, good.subscribe())
    assert report.applied.total() == stored(project.store) == 1
    assert report.lines == len(ENDPOINTS) + 1


def test_nobody_moves_to_one_of_them(project: Project) -> None:
    """A known browser, with its own signature, names a hostile endpoint as its new one."""
    known = Browser(2, project.key)
    project.drain(known.subscribe())
    keys = {"p256dh": encode(p256dh(2)), "auth": encode(auth(2))}
    project.drain(
        *(
            known.record(
                "/v1/subscribe",
                {
                    "subscription": {"endpoint": endpoint, "keys": keys},
                    "key": project.key,
                    "previous": known.endpoint,
                },
            )
            for endpoint in ENDPOINTS
        )
    )
    rows = project.store.connection.execute("SELECT endpoint FROM subscriptions").fetchall()
    assert rows == [(known.endpoint,)]


def test_the_receiver_lets_none_of_them_in(tmp_path: Path) -> None:
    """With its default list, where whole domains are allowed: two names are theirs."""
    theirs = ("//evilupdates.push.services", "//xn--updates-push.services")
    wanted = [one for one in ENDPOINTS if not any(name in one for name in theirs)]
    settings = {"rate_per_address": 0, "rate_per_site": 0}
    with receiving.running(tmp_path, **settings) as port:
        told = []
        for endpoint in wanted:
            body = receiving.subscription(1)
            body["subscription"]["endpoint"] = endpoint
            told.append(receiving.post(port, "/v1/subscribe", body).status)
        good = receiving.post(port, "/v1/subscribe", receiving.subscription(2)).status
    assert good == 204
    assert {status // 100 for status in told} == {4}
    assert len(receiving.records(tmp_path)) == 1


# --- out ----------------------------------------------------------------------------------


def force(field: Field, endpoints: tuple[str, ...]) -> None:
    """Write *endpoints* over those of people who are there, as nothing of ours would."""
    rows = field.people(len(endpoints))
    values = [
        (endpoint, endpoint_hash(endpoint), row)
        for endpoint, row in zip(endpoints, rows, strict=True)
    ]
    sql = "UPDATE subscriptions SET endpoint = ?, endpoint_hash = ? WHERE id = ?"
    with field.store.write() as connection:
        connection.executemany(sql, values)


def reasons(field: Field) -> dict[tuple[str, str | None], int]:
    sql = "SELECT status, reason, count(*) FROM deliveries GROUP BY status, reason"
    return {(status, why): count for status, why, count in field.store.connection.execute(sql)}


def test_none_that_stands_in_the_database_is_dialled(
    field: Field, running: PushService
) -> None:
    force(field, ENDPOINTS)
    field.people(3, first=1000)
    before = len(running.receipts())
    report = field.send(soon())
    assert reasons(field) == {
        ("accepted", None): 3,
        ("rejected", "address not allowed"): len(ENDPOINTS),
    }
    assert {one.host for one in running.receipts(before)} == {MOZILLA}
    assert len(running.receipts(before)) == 3
    # Nothing was even prepared for another origin.
    assert chunk._sender is not None
    assert set(chunk._sender.transport.lines) == {f"https://{MOZILLA}"}
    assert report.refused is None
    assert field.states() == {"active": len(ENDPOINTS) + 3}


def test_the_database_itself_takes_them_only_by_force(field: Field) -> None:
    """Twice the same, or none at all, and even SQL by hand is refused."""
    force(field, ENDPOINTS[:1])
    with pytest.raises(sqlite3.IntegrityError):
        force(field, ENDPOINTS[:1])


REBOUND = (
    "127.0.0.1",
    "10.0.0.1",
    "169.254.169.254",
    "192.168.1.1",
    "[::1]",
    "[::ffff:7f00:1]",
)


@pytest.mark.parametrize("address", [*REBOUND, "10.0.0.1,127.0.0.1,[::1]"])
def test_an_allowed_name_that_leads_inside_is_refused_at_dial(
    field: Field, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """A resolver that answers with *address*, as one does that is rebound meanwhile."""
    made = request.make_options

    def resolving(*given: object) -> object:
        lead = f"{MOZILLA}:443:{address}"
        return [*made(*given), (pycurl.RESOLVE, [lead])]  # type: ignore[arg-type]

    monkeypatch.setattr(request, "make_options", resolving)
    push = replace(field.config.push, loopback=replace(field.config.push.loopback, hosts={}))
    field.config = replace(field.config, push=push)
    field.people(2)
    report = field.send(soon(), options=deliver.Options(patience=0.0))
    assert reasons(field) == {("rejected", "address not allowed"): 2}
    assert field.counts(report.campaign) == {"rejected": 2}
    assert chunk._sender is not None
    assert not chunk._sender.transport.sockets


@pytest.mark.parametrize("address", hostile.NOT_DIALLED, ids=ascii)
def test_no_socket_is_made_for_such_an_address(address: str) -> None:
    moved = transport.Transport(Postbox("", {}, Path(), "7", (), window=1, timeout=1))
    try:
        line = moved.line(f"https://{MOZILLA}")
        assert not line.may_dial(address, 443)
        assert line.may_dial("34.107.0.1", 443)
        assert not line.may_dial("34.107.0.1", 22)
    finally:
        moved.close()
