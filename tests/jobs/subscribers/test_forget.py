"""jobs.forget: nothing of a forgotten person is left, the figures are."""

import sqlite3
from pathlib import Path

import pytest

from pushctl import inbox
from pushctl.demo.pushservice import PushService
from pushctl.inbox import Writer
from pushctl.jobs.ingest import erasures
from pushctl.jobs.project.release import release
from pushctl.jobs.subscribers import forget as forgetting
from pushctl.rules.tokens import encode
from pushctl.store import Store
from tests import support
from tests.support import NOON, sending
from tests.support.files import all_of, load, person
from tests.support.posting import SECRET, Browser, Project, sign_alias
from tests.support.rows import counts_by_state, deliveries, everybody


def forget(inbox_project: Project, ref: str, *, dry_run: bool = False) -> forgetting.Forgotten:
    return forgetting.forget(
        inbox_project.store, inbox_project.config, SECRET, ref, NOON + 120_000, dry_run=dry_run
    )


def everything(inbox_project: Project) -> bytes:
    """All bytes that the inbox_project keeps of people: database, log, inbox, quarantine."""
    files = [*inbox_project.config.folder.glob("*.db*"), *inbox_project.config.inbox.rglob("*")]
    return b"".join(path.read_bytes() for path in files if path.is_file())


def settled(inbox_project: Project, writer: Writer) -> list[bytes]:
    """Two people with a history, one line of it in quarantine; return ann's secrets."""
    ann, bob = Browser(987_654_321, inbox_project.key), Browser(72, inbox_project.key)
    for one, name in ((ann, "ann-the-customer"), (bob, "bob-the-customer")):
        writer.append(
            [
                one.subscribe(attributes={"note": f"note of {name}"}, tags=["VIP"]),
                one.post("/v1/identify", alias=name, signature=sign_alias(name)),
                one.post(
                    "/v1/events", events=[{"name": "purchase", "properties": {"who": name}}]
                ),
                one.post("/v1/events", events=f"not a list, from {name}"),
            ]
        )
    inbox_project.drain()
    auth = support.auth(987_654_321)
    return [ann.endpoint.encode(), b"ann-the-customer", encode(auth).encode(), auth,
            support.p256dh(987_654_321)]  # fmt: skip


def test_nothing_of_a_forgotten_person_is_left_anywhere(inbox_project: Project) -> None:
    writer = Writer(inbox_project.config.inbox)  # lives on: its segment can't be removed
    secrets = settled(inbox_project, writer)
    before = everything(inbox_project)
    assert all(secret in before for secret in secrets)
    done = forget(inbox_project, "alias:ann-the-customer")
    assert (done.subscriptions, done.tags, done.events) == (1, 1, 2)
    assert (done.inbox_lines, done.quarantined_lines) == (4, 1)
    after = everything(inbox_project)
    assert [secret for secret in secrets if secret in after] == []
    assert b"bob-the-customer" in after
    assert Browser(72, inbox_project.key).endpoint.encode() in after


def test_what_a_killed_erasure_left_behind_goes_with_the_next_one(
    inbox_project: Project,
) -> None:
    writer = Writer(inbox_project.config.inbox)
    secrets = settled(inbox_project, writer)
    aside = inbox_project.config.inbox / inbox.QUARANTINE
    (kept,) = aside.glob("*.jsonl")
    for name in (f"{kept.name}.0a1b2c3d.new", kept.with_suffix(".new").name):
        (aside / name).write_bytes(kept.read_bytes())
    forget(inbox_project, "alias:ann-the-customer", dry_run=True)
    assert len(list(aside.iterdir())) == 3
    forget(inbox_project, "alias:ann-the-customer")
    after = everything(inbox_project)
    assert [secret for secret in secrets if secret in after] == []
    assert list(aside.iterdir()) == [kept]


def test_a_line_that_a_killed_erasure_left_goes_with_the_next_one(
    inbox_project: Project,
) -> None:
    """It was killed after the database had forgotten the person, before the quarantine."""
    writer = Writer(inbox_project.config.inbox)
    secrets = settled(inbox_project, writer)
    aside = inbox_project.config.inbox / inbox.QUARANTINE
    (kept,) = aside.glob("*.jsonl")
    before = kept.read_bytes()
    forget(inbox_project, "alias:ann-the-customer")
    kept.write_bytes(before)
    bob = inbox_project.store.subscriptions.find("alias:bob-the-customer")[0]
    forget(inbox_project, bob.public_id)
    assert [secret for secret in secrets if secret in everything(inbox_project)] == []


def test_a_rehearsal_of_forgetting_changes_nothing(inbox_project: Project) -> None:
    writer = Writer(inbox_project.config.inbox)
    settled(inbox_project, writer)
    people = all_of(inbox_project)
    done = forget(inbox_project, "alias:ann-the-customer", dry_run=True)
    assert (done.subscriptions, done.inbox_lines, done.quarantined_lines) == (1, 4, 1)
    assert all_of(inbox_project) == people


def test_the_inbox_goes_on_after_somebody_was_forgotten(inbox_project: Project) -> None:
    writer = Writer(inbox_project.config.inbox)
    settled(inbox_project, writer)
    forget(inbox_project, "alias:ann-the-customer")
    bob = Browser(72, inbox_project.key)
    writer.append([bob.post("/v1/tags", add=["later"])])
    assert dict(inbox_project.drain().applied) == {"tagged": 1}
    assert not any(
        isinstance(entry.item, inbox.BadLine)
        for entry in inbox.read(inbox_project.config.inbox, {})
    )


def test_campaigns_keep_their_figures_without_the_person(inbox_project: Project) -> None:
    load(inbox_project, person(1, alias="c7"), person(2))
    campaign = inbox_project.store.campaigns.create(
        name="spring", template="t", audience="alias = 'c7'", sources={}, options={}, now=NOON,
        expires_at=None,
    )  # fmt: skip
    inbox_project.store.deliveries.plan(campaign.id, [1, 2], now=NOON, expires_after=None)
    with inbox_project.store.write() as connection:
        connection.execute(
            "UPDATE deliveries SET status = 'accepted' WHERE subscription_id = 2"
        )
    browser = Browser(2, inbox_project.key)
    inbox_project.drain(
        browser.report(2, "shown", id="1"), browser.report(2, "clicked", id="2")
    )
    forget(inbox_project, "alias:c7")
    forget(inbox_project, "2")
    assert deliveries(inbox_project.store, campaign.id) == {"accepted": 1, "skipped": 1}
    sql = "SELECT count(*), count(subscription_id) FROM deliveries"
    assert inbox_project.store.connection.execute(sql).fetchone() == (2, 0)
    sql = "SELECT count(*) FROM interactions"
    assert inbox_project.store.connection.execute(sql).fetchone() == (2,)
    assert "c7" not in inbox_project.store.campaigns.get("spring").audience


def test_who_was_forgotten_is_not_imported_again(inbox_project: Project) -> None:
    load(inbox_project, person(1), person(2))
    forget(inbox_project, "1")
    report = load(inbox_project, person(1), person(2))
    assert dict(report.rejected) == {"the person was forgotten": 1}
    assert len(all_of(inbox_project)) == 1


def copy_of(inbox_project: Project, path: Path) -> Path:
    with sqlite3.connect(path) as target:
        inbox_project.store.connection.backup(target)
    target.close()
    return path


def test_a_backup_brings_no_forgotten_person_back(
    inbox_project: Project, tmp_path: Path
) -> None:
    (inbox_project.config.keys / "secret").write_bytes(SECRET)
    ann, bob, cid = (Browser(number, inbox_project.key) for number in (1, 2, 3))
    moved = Browser(4, inbox_project.key)
    inbox_project.drain(ann.subscribe(), bob.subscribe(), cid.subscribe())
    backup = copy_of(inbox_project, tmp_path / "backup.db")
    inbox_project.drain(moved.subscribe(at=NOON + 1, previous=ann), cid.post("/v1/forget"))
    found = inbox_project.get(moved)
    assert found is not None
    forget(inbox_project, found.public_id)
    noted = erasures.find_path(inbox_project.config)
    # Of the moved one both endpoints and the id, of the other one and the id.
    assert (noted.stat().st_mode & 0o777, len(noted.read_text().splitlines())) == (0o600, 5)
    with noted.open("a") as file:
        file.write("torn")

    with Store(backup) as store:
        old = Project(inbox_project.config, store, inbox_project.key)
        assert release(store, inbox_project.config, NOON + 5)["forgotten people"] == 2
        assert [one.endpoint for one in all_of(old)] == [bob.endpoint]
        assert ann.endpoint.encode() not in backup.read_bytes()
        # Nor does what their browsers tell by themselves; they themselves may come back.
        assert old.drain(cid.subscribe(at=NOON + 6)).applied == {}
        again = cid.subscribe(at=NOON + 7, chosen=True)
        assert dict(old.drain(again).applied) == {"subscribed": 1}
        assert release(store, inbox_project.config, NOON + 8)["forgotten people"] == 0


# --- browsers whose endpoint has changed --------------------------------------------------


@pytest.mark.parametrize("by", ["the command", "the browser"])
def test_nothing_is_left_of_who_was_reached_elsewhere_before(
    inbox_project: Project, by: str
) -> None:
    writer = Writer(inbox_project.config.inbox)
    old, new = Browser(987_654_321, inbox_project.key), Browser(55, inbox_project.key)
    writer.append(
        [
            old.subscribe(tags=["ann@shop.example", "VIP"]),
            old.post("/v1/identify", alias="ann-1", signature=sign_alias("ann-1")),
            old.post("/v1/events", events="not a list, secret-of-ann"),
            new.subscribe(NOON + 1_000, previous=old),
            Browser(72, inbox_project.key).subscribe(tags=["VIP"]),
        ]
    )
    inbox_project.drain()
    if by == "the command":
        forget(inbox_project, "alias:ann-1")
    else:
        writer.append([new.post("/v1/forget", NOON + 2_000)])
        inbox_project.drain(now=NOON + 60_000)
    traces = [old.endpoint.encode(), new.endpoint.encode(), encode(old.auth).encode(), old.auth,
              b"ann-1", b"secret-of-ann", b"ann@shop.example"]  # fmt: skip
    after = everything(inbox_project)
    assert [trace for trace in traces if trace in after] == []
    assert b"VIP" in after, "somebody else has it"


@pytest.mark.parametrize("by", ["the command", "the browser"])
def test_no_line_of_a_former_endpoint_brings_somebody_back(
    inbox_project: Project, by: str
) -> None:
    (inbox_project.config.keys / "secret").write_bytes(SECRET)
    old, new = Browser(1, inbox_project.key), Browser(2, inbox_project.key)
    inbox_project.drain(
        old.subscribe(),
        old.post("/v1/identify", alias="ann-1", signature=sign_alias("ann-1")),
        new.subscribe(NOON + 1_000, previous=old),
    )
    if by == "the command":
        forget(inbox_project, "alias:ann-1")
    else:
        inbox_project.drain(new.post("/v1/forget", NOON + 2_000), now=NOON + 60_000)
    # Another receiver's folder, copied over late: written before the erasure.
    report = inbox_project.drain(old.subscribe(NOON + 500), now=NOON + 900_000)
    assert not report.applied
    assert not any(counts_by_state(inbox_project.store).values())
    assert (
        erasures.erase_again(inbox_project.store, inbox_project.config, SECRET, NOON + 900_000)
        == 0
    )


@pytest.mark.parametrize("by", ["the command", "the browser"])
def test_a_backup_brings_nobody_back_though_nothing_was_sent_since(
    inbox_project: Project, by: str
) -> None:
    store = inbox_project.store
    (inbox_project.config.keys / "secret").write_bytes(SECRET)
    ann, bob = Browser(71, inbox_project.key), Browser(72, inbox_project.key)
    inbox_project.drain(
        ann.subscribe(),
        ann.post("/v1/identify", alias="ann-1", signature=sign_alias("ann-1")),
        bob.subscribe(),
    )
    backup = sqlite3.connect(":memory:")
    store.connection.backup(backup)
    if by == "the command":
        forget(inbox_project, "alias:ann-1")
    else:
        inbox_project.drain(ann.post("/v1/forget", NOON + 2_000), now=NOON + 60_000)
    backup.backup(store.connection)  # restored
    assert len(everybody(store)) == 2
    inbox_project.drain(now=NOON + 900_000)
    (left,) = everybody(store)
    assert left.endpoint == bob.endpoint
    assert erasures.erase_returned(store, inbox_project.config, NOON + 900_000, SECRET) == 0


def test_a_campaign_reaches_nobody_whom_a_backup_brought_back(tmp_path: Path) -> None:
    with PushService(checks=False) as service:
        field = sending.field(tmp_path, service)
        field.people(2)
        backup = sqlite3.connect(":memory:")
        field.store.connection.backup(backup)
        ann, _ = everybody(field.store)
        secret = field.config.secret()
        forgetting.forget(field.store, field.config, secret, ann.public_id, NOON, dry_run=False)
        backup.backup(field.store.connection)
        report = field.send()
        assert field.counts(report.campaign) == {"accepted": 1, "skipped": 1}
        assert len(everybody(field.store)) == 1
        field.store.close()
