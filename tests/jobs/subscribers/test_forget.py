"""jobs.forget: nothing of a forgotten person is left, the figures are."""

import itertools
import json
import shutil
import sqlite3
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pushctl import inbox
from pushctl.demo.pushservice import PushService
from pushctl.errors import NotFoundError
from pushctl.inbox import Writer, quarantine_files
from pushctl.jobs.ingest import erasures, traces
from pushctl.jobs.project.release import release
from pushctl.jobs.subscribers import forget as forgetting
from pushctl.model import InboxRecord
from pushctl.rules.shops.told import Clues, ToldErasure
from pushctl.rules.tokens import encode
from pushctl.store import Store
from tests import support
from tests.support import DAY, NOON, killed, sending, telling
from tests.support.files import all_of, load, person
from tests.support.posting import SECRET, Browser, Project, events_of, sign_alias
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


def test_a_backup_that_is_copied_over_the_project_brings_nobody_back(
    inbox_project: Project, tmp_path: Path
) -> None:
    """`cp -a` writes the older lines over the file beside the database, too."""
    config = inbox_project.config
    (config.keys / "secret").write_bytes(SECRET)
    ann, bob, cid = (Browser(number, inbox_project.key) for number in (1, 2, 3))
    inbox_project.drain(ann.subscribe(), bob.subscribe(), cid.subscribe())
    inbox_project.drain(cid.post("/v1/forget"))  # there is a file of lines by then
    inbox_project.store.close()
    backup = tmp_path / "backup"
    shutil.copytree(config.folder, backup, ignore=shutil.ignore_patterns("backup"))
    with Store(config.database) as store:
        later = Project(config, store, inbox_project.key)
        later.drain(ann.post("/v1/forget", at=NOON + 1))
        assert [one.endpoint for one in all_of(later)] == [bob.endpoint]
    subprocess.run(["cp", "-a", f"{backup}/.", config.folder], check=True)
    with Store(config.database) as store:
        back = Project(config, store, inbox_project.key)
        assert len(all_of(back)) == 2
        assert erasures.erase_returned(store, config, NOON + 2) == 1
        assert [one.endpoint for one in all_of(back)] == [bob.endpoint]
        assert len(erasures.find_path(config).read_text().splitlines()) == 4


def test_a_backup_brings_no_buyer_back_who_has_no_browser_here(
    inbox_project: Project, tmp_path: Path
) -> None:
    (inbox_project.config.keys / "secret").write_bytes(SECRET)
    told = {
        "by webhook": Clues(alias="guest-1"),
        "by number": Clues(cart_key=KEY),
        "by server": Clues(email_hash=HASH),
        "by command": Clues(alias="guest-3"),
        "stays": Clues(alias="guest-4"),
    }
    orders = [telling.tell_order(it, "paid", clues=one) for it, one in told.items()]
    elsewhere = telling.tell_order("of another site", "paid", clues=Clues(alias="guest-1"))
    inbox_project.drain(telling.record(*orders), telling.record(elsewhere, site="blog"))
    backup = copy_of(inbox_project, tmp_path / "backup.db")
    named = ToldErasure(told["by webhook"], ("by number",))
    body = {"request": "r" * 22, "key": "abcdefgh", "items": [{"email_hash": HASH}]}
    inbox_project.drain(
        telling.record(erasures=(named,), at=NOON + 1),
        InboxRecord("i" * 22, NOON + 1, "/v1/server/erase", "shop", json.dumps(body)),
    )
    forget(inbox_project, "alias:guest-3")
    noted = erasures.find_path(inbox_project.config).read_text()
    assert "guest" not in noted

    with Store(backup) as store:
        old = Project(inbox_project.config, store, inbox_project.key)
        later = telling.tell_order("later", "paid", clues=Clues(alias="guest-1"))
        old.post(telling.record(later, at=NOON + 2))
        release(store, inbox_project.config, NOON + DAY)
        old.drain(now=NOON + DAY)
        sql = "SELECT number FROM orders WHERE unmatched IS NOT 'erased' ORDER BY number"
        kept = [number for (number,) in store.connection.execute(sql)]
        assert kept == ["later", "of another site", "stays"]


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


HASH = "ab" * 32
KEY = "k" * 22


def server_lines(project: Project) -> tuple[list[InboxRecord], list[bytes]]:
    """Return what shops and servers say of ann, and the names that they have for her."""
    clues = [Clues(alias="ann-the-customer"), Clues(email_hash=HASH), Clues(cart_key=KEY)]
    lines = [
        telling.record(telling.tell_order(f"10{n}", "paid", clues=it))
        for n, it in enumerate(clues)
    ]
    refused = [replace(one, body=one.body.replace('"source"', '"sourse"')) for one in lines]
    items = [
        {"alias": "ann-the-customer", "name": "bonus"},
        {"alias": "bob-the-customer", "name": "bonus"},
    ]
    body = {"request": "r" * 22, "key": "abcdefgh", "items": items}
    api = InboxRecord("i" * 22, NOON, "/v1/server/events", "shop", json.dumps(body))
    broken = replace(api, body=json.dumps({**body, "items": {"alias": "ann-the-customer"}}))
    return [*lines, *refused, api, broken], [b"ann-the-customer", HASH.encode(), KEY.encode()]


def identified(project: Project, writer: Writer) -> None:
    settled(project, writer)
    ann = Browser(987_654_321, project.key)
    named = {"alias": "ann-the-customer", "signature": sign_alias("ann-the-customer")}
    project.drain(ann.post("/v1/identify", **named, email_hash=HASH, cart=KEY))


def test_nothing_that_shops_and_servers_said_of_a_person_is_left(
    inbox_project: Project,
) -> None:
    writer = Writer(inbox_project.config.inbox)
    identified(inbox_project, writer)
    lines, names = server_lines(inbox_project)
    writer.append(lines)
    inbox_project.drain()
    before = everything(inbox_project)
    assert all(name in before for name in names)
    forget(inbox_project, "alias:ann-the-customer")
    after = everything(inbox_project)
    assert [name for name in names if name in after] == []


@pytest.mark.parametrize("by", ["browser", "server", "hand"])
def test_the_next_drain_clears_what_a_killed_erasure_left(
    inbox_project: Project, by: str
) -> None:
    """It is killed as it begins to clear the files, when the database has forgotten ann."""
    writer = Writer(inbox_project.config.inbox)
    identified(inbox_project, writer)
    lines, names = server_lines(inbox_project)
    writer.append(lines)
    inbox_project.drain()
    item = {"alias": "ann-the-customer"}
    body = {"request": "e" * 22, "key": "abcdefgh", "items": [item]}
    asked = {
        "browser": Browser(987_654_321, inbox_project.key).post("/v1/forget"),
        "server": InboxRecord("j" * 22, NOON, "/v1/server/erase", "shop", json.dumps(body)),
    }
    if by in asked:
        writer.append([asked[by]])

    def erase() -> None:
        with Store(inbox_project.config.database) as store:
            project = replace(inbox_project, store=store)
            if by == "hand":
                forget(project, "alias:ann-the-customer")
            else:
                project.drain()

    store = inbox_project.store
    files = killed.files_of(quarantine_files if by == "hand" else traces)
    for line in itertools.count(1, 3):
        assert killed.run(erase, line, files)
        if len(everybody(store)) == 1:
            break
    left = everything(inbox_project)
    assert [name for name in names if name in left] == names
    assert traces.is_pending(store)
    inbox_project.drain()
    after = everything(inbox_project)
    assert [name for name in names if name in after] == []
    assert b"bob-the-customer" in after
    assert not traces.is_pending(store)


def test_a_name_that_a_server_wrote_otherwise_is_found(inbox_project: Project) -> None:
    """Its import takes spaces off and composes letters; the line has the server's own text."""
    writer = Writer(inbox_project.config.inbox)
    identified(inbox_project, writer)
    ann = Browser(987_654_321, inbox_project.key)
    signed = {"alias": "anné", "signature": sign_alias("anné")}
    inbox_project.drain(ann.post("/v1/identify", **signed))
    item = {"alias": " anne\u0301 ", "name": "bonus", "properties": {"secret": "of-ann"}}
    body = {"request": "r" * 22, "key": "abcdefgh", "items": [item]}
    writer.append([InboxRecord("i" * 22, NOON, "/v1/server/events", "shop", json.dumps(body))])
    inbox_project.drain()
    assert "bonus" in events_of(inbox_project, ann)
    assert b"of-ann" in everything(inbox_project)
    forget(inbox_project, "alias:anné")
    assert b"of-ann" not in everything(inbox_project)


def test_a_line_about_many_is_applied_before_it_is_blanked(inbox_project: Project) -> None:
    """It is newer than the erasure's own drain: bob's part of it must not be lost."""
    writer = Writer(inbox_project.config.inbox)
    identified(inbox_project, writer)
    lines, _ = server_lines(inbox_project)
    writer.append([replace(lines[-2], at=NOON + 125_000)])
    forget(inbox_project, "alias:ann-the-customer")
    bob = Browser(72, inbox_project.key)
    assert "bonus" not in events_of(inbox_project, bob)
    inbox_project.drain(now=NOON + 200_000)
    assert "bonus" in events_of(inbox_project, bob)


def test_a_shop_s_erasure_clears_lines_of_somebody_without_a_browser_here(
    inbox_project: Project,
) -> None:
    writer = Writer(inbox_project.config.inbox)
    clues = Clues(alias="stranger-9", email_hash="cd" * 32)
    order = telling.record(telling.tell_order("77", "paid", clues=clues))
    broken = replace(order, body=order.body.replace('"source"', '"sourse"'))
    writer.append([order, broken])
    inbox_project.drain()
    assert b"stranger-9" in everything(inbox_project)
    erasure = ToldErasure(Clues(alias="stranger-9", email_hash="cd" * 32), ("77",))
    inbox_project.drain(telling.record(erasures=(erasure,)))
    after = everything(inbox_project)
    assert b"stranger-9" not in after
    assert b"cd" * 32 not in after


def test_a_claimed_name_clears_no_line_of_another_person(inbox_project: Project) -> None:
    writer = Writer(inbox_project.config.inbox)
    identified(inbox_project, writer)
    thief = Browser(73, inbox_project.key)
    order = telling.record(
        telling.tell_order("1", "paid", clues=Clues(alias="ann-the-customer"))
    )
    broken = replace(order, body=order.body.replace('"source"', '"sourse"'))
    writer.append(
        [thief.subscribe(), thief.post("/v1/identify", alias="ann-the-customer"), broken]
    )
    inbox_project.drain()
    inbox_project.drain(thief.post("/v1/forget"))
    aside = b"".join(one.read_bytes() for one in inbox_project.config.inbox.rglob("*.jsonl"))
    assert b"ann-the-customer" in aside


def test_a_buyer_without_a_browser_here_can_be_erased(inbox_project: Project) -> None:
    writer = Writer(inbox_project.config.inbox)
    clues = Clues(alias="stranger-9")
    writer.append([telling.record(telling.tell_order("77", "paid", clues=clues))])
    inbox_project.drain()
    assert forgetting.describe(inbox_project.store, "alias:stranger-9") == (
        "No browser here; the buyer of 1 order will be erased for good"
    )
    assert forget(inbox_project, "alias:stranger-9").subscriptions == 0
    assert b"stranger-9" not in everything(inbox_project)
    with pytest.raises(NotFoundError):
        forget(inbox_project, "alias:stranger-9")


def test_who_claims_a_buyer_s_name_takes_none_of_the_orders_along(
    inbox_project: Project,
) -> None:
    identified(inbox_project, Writer(inbox_project.config.inbox))
    thief = Browser(73, inbox_project.key)
    clues = Clues(alias="ann-the-customer")
    inbox_project.drain(
        telling.record(telling.tell_order("1", "paid", clues=clues, codes=("SAVE5",))),
        thief.subscribe(),
        thief.post("/v1/identify", alias="ann-the-customer"),
    )
    found = inbox_project.get(thief)
    assert found is not None
    assert (found.alias, found.alias_trusted) == ("ann-the-customer", False)
    forget(inbox_project, found.public_id)
    sql = "SELECT alias, codes, unmatched FROM orders"
    rows = inbox_project.store.connection.execute(sql).fetchall()
    assert rows == [("ann-the-customer", '["SAVE5"]', None)]
