"""
Any order of events, sweeps, crashes, restores, erasures, prunings and changes: nobody
twice, nobody for another, all explained.

PUSHCTL_STATE_RUNS=10000 goes as far as docs/triggers.md says; CI takes fewer.
"""

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pushctl.jobs.delivery.gates import restore_guard
from pushctl.jobs.ingest import erasures
from pushctl.jobs.project.release import release
from pushctl.jobs.subscribers.forget import forget
from pushctl.model import SubscriptionState
from pushctl.rules.tokens import endpoint_hash
from pushctl.store import Store
from pushctl.store.ledger_rows import FinishedRow
from tests.support import DAY, HOUR, MINUTE, NOON, database
from tests.support.posting import SECRET
from tests.support.rows import everybody
from tests.support.shop import BASKET, Sent, Shop, decide_all

RUNS = int(os.environ.get("PUSHCTL_STATE_RUNS", "25"))
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None

TWO = (
    BASKET.replace("[triggers.basket]", '[triggers.basket]\nreentry = "1h"\npriority = 1')
    + """
[triggers.thanks]
on    = "purchase"
quiet = "21:00-08:00"
steps = [{ after = "5m", template = "three" }, { after = "1d", template = "one" }]
"""
)
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kathmandu")
people = st.integers(0, 2)
steps = st.sampled_from([MINUTE, 3 * MINUTE, 20 * MINUTE, 90 * MINUTE, 5 * HOUR, 2 * DAY])


class Lives(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        self.store = database.create(self.folder / "pushctl.db")
        with self.store.write() as connection:
            connection.execute(
                "INSERT INTO sites (name, origin) VALUES ('shop', 'https://shop.example')"
            )
        self.now = NOON
        self.before: list[Sent] = []  # what went out before an older copy came back
        self.known = 0  # the last event that it knew of
        self.shop = Shop(self.folder, self.store, TWO)
        (self.folder / "keys").mkdir()
        (self.folder / "keys" / "secret").write_bytes(SECRET)
        self.people = [self.newcomer(who) for who in range(3)]
        self.late: list[Sent] = []  # messages of people who were erased
        self.erased: set[str] = set()  # their ids: nothing brings them back
        self.pruned = 0  # decisions before that are gone
        self.begun_before = 0  # the last enrolment that may lack some of its decisions

    def newcomer(self, who: int) -> int:
        person = self.shop.person(ZONES[who], self.now)
        if who < 2:  # two devices of one person
            self.store.subscriptions.set_alias(person, "ann", True)
        return person

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.folder)

    @rule(who=people, price=st.sampled_from([10, 500]))
    def fill(self, who: int, price: int) -> None:
        self.shop.fill(self.people[who], self.now, price=price)
        self.is_new_to_the_next_sweep()

    @rule(who=people, name=st.sampled_from(["purchase", "cart_emptied", "page_view"]))
    def act(self, who: int, name: str) -> None:
        self.shop.event(self.people[who], name, self.now)
        self.is_new_to_the_next_sweep()

    def is_new_to_the_next_sweep(self) -> None:
        assert self.last_of("events") > int(self.store.meta.get("sweep.events") or 0)

    @rule(who=people, late=steps)
    def arrives_late(self, who: int, late: int) -> None:
        self.shop.event(self.people[who], "purchase", self.now - late, received_at=self.now)

    @rule(ahead=steps)
    def wait(self, ahead: int) -> None:
        self.now += ahead

    @rule(show=st.booleans())
    def sweep(self, show: bool) -> None:
        self.shop.sweep(self.now, show=show)

    @rule()
    def crash_before_sending(self) -> None:
        decide_all(self.shop.config, self.store, self.now)
        self.reopen()

    @rule()
    def crash_while_sending(self) -> None:
        decide_all(self.shop.config, self.store, self.now)
        for campaign in self.store.deliveries.list_due_campaigns(self.now):
            name = self.store.campaigns.get_by_id(campaign).name
            rows = self.shop.claim(campaign, self.now)
            # They were on the wire: settled as in doubt, and never sent again.
            self.store.deliveries.finish(
                (
                    FinishedRow(row.id, "in_doubt", "the sender was stopped", language="en")
                    for row in rows
                ),
                self.now,
            )
            self.shop.sent += [
                Sent(row.subscription, name, self.now, row.id, row.enrolment) for row in rows
            ]
        self.reopen()

    def reopen(self) -> None:
        self.store.close()
        self.store = Store(self.folder / "pushctl.db")
        self.shop.store = self.store

    @rule(who=people)
    def unsubscribe(self, who: int) -> None:
        state = SubscriptionState.UNSUBSCRIBED
        self.store.subscriptions.mark([self.people[who]], state, "asked", self.now)

    @rule(who=people)
    def subscribe_again(self, who: int) -> None:
        state = SubscriptionState.ACTIVE
        self.store.subscriptions.mark([self.people[who]], state, "came back", self.now)

    @rule(who=people)
    def subscribe_with_a_new_endpoint(self, who: int) -> None:
        person = self.people[who]
        with self.store.write() as connection:
            fresh = self.shop.endpoint()
            connection.execute(
                "UPDATE subscriptions SET endpoint = ?, endpoint_hash = ? WHERE id = ?",
                (fresh, endpoint_hash(fresh), person),
            )

    @rule(who=people)
    def erase(self, who: int) -> None:
        """Somebody is erased, and a newcomer is there in their place."""
        person = self.people[who]
        self.erased.add(self.store.subscriptions.find(str(person))[0].public_id)
        forget(self.store, self.shop.config, SECRET, str(person), self.now, dry_run=False)
        self.late += [one for one in self.shop.sent if one.person == person]
        self.people[who] = self.newcomer(who)

    @precondition(lambda self: self.late)
    @rule()
    def report_of_the_erased(self) -> None:
        for one in self.late:
            if self.store.interactions.get_subject(one.delivery):
                self.shop.report(one.delivery, self.now)
        self.late.clear()

    @rule()
    def prune(self) -> None:
        """As a sweep does in the end: what is new was taken before."""
        self.shop.sweep(self.now)
        self.pruned = max(self.pruned, self.now - DAY)
        self.begun_before = self.last_of("enrolments")
        self.store.pruning.run(self.pruned, ["thanks"])

    @rule()
    def back_up(self) -> None:
        self.kept = list(self.people)
        with closing(sqlite3.connect(self.folder / "backup.db")) as target:
            self.store.connection.backup(target)

    @precondition(lambda self: (self.folder / "backup.db").exists())
    @rule()
    def restore(self) -> None:
        """An old copy comes back: nothing until it is released, and then nothing twice."""
        sent = restore_guard.load_generation(self.store)
        self.store.close()
        for tail in ("-wal", "-shm"):
            (self.folder / f"pushctl.db{tail}").unlink(missing_ok=True)
        shutil.copyfile(self.folder / "backup.db", self.folder / "pushctl.db")
        self.store = Store(self.folder / "pushctl.db")
        self.shop.store = self.store
        if restore_guard.load_generation(self.store) < sent:
            assert restore_guard.find_trouble(self.store, self.shop.config) is not None
            release(self.store, self.shop.config, self.now)
            self.before += self.shop.sent
            self.shop.sent = []
            self.known = self.last_of("events")
        # As the next import, sweep or `send` does first: who was erased since comes not back.
        erasures.erase_returned(self.store, self.shop.config, self.now)
        assert not self.erased & {one.public_id for one in everybody(self.store)}
        rows = {one.id for one in everybody(self.store)}
        self.people = [
            person if person in rows else self.newcomer(who)
            for who, person in enumerate(self.kept)
        ]
        assert restore_guard.find_trouble(self.store, self.shop.config) is None

    def last_of(self, table: str) -> int:
        (last,) = self.store.connection.execute(f"SELECT max(id) FROM {table}").fetchone()
        return int(last or 0)

    @rule(on=st.booleans())
    def pause(self, on: bool) -> None:
        self.store.triggers.set_paused("basket", self.now if on else None)

    @rule(short=st.booleans())
    def edit(self, short: bool) -> None:
        self.shop.declare(TWO.replace('"90m"', '"10m"') if short else TWO)

    @precondition(lambda self: self.shop.sent)
    @rule()
    def report_of_the_last(self) -> None:
        self.shop.report(self.shop.sent[-1].delivery, self.now)

    @invariant()
    def nobody_twice(self) -> None:
        if hasattr(self, "shop"):
            sent = [(one.person, one.campaign, one.enrolment) for one in self.shop.sent]
            assert len(sent) == len(set(sent))
            # What an older copy knew may have had its message: only what came since begins.
            found = self.store.enrolments.get_many(one.enrolment for one in self.shop.sent)
            for one in self.shop.sent:
                enrolment = found.get(one.enrolment)
                if enrolment is None:
                    assert one.person not in self.people or one.at < self.pruned
                    continue
                assert enrolment.subscription == one.person
                assert int(enrolment.occurrence.removeprefix("event:")) > self.known

    @invariant()
    def every_message_has_its_reason(self) -> None:
        if not hasattr(self, "shop"):
            return
        for person in self.people:
            decided = list(self.store.histories.list_decisions(person))
            told = {(one.enrolment, one.step) for one in decided if one.kind == "deliver"}
            for one in self.shop.sent:
                if one.person == person and one.at >= self.pruned:
                    assert (one.enrolment, int(one.campaign[-1])) in told
            for enrolment in self.store.enrolments.list_all(person):
                if enrolment.id <= self.begun_before:
                    continue
                kinds = [one.kind for one in decided if one.enrolment == enrolment.id]
                assert kinds[0] == "entered"
                if not enrolment.active and enrolment.state != "superseded":
                    assert kinds[-1] in ("deliver", "cancel", "finish", "expire", "shown")

    @invariant()
    def nothing_is_anothers(self) -> None:
        if not hasattr(self, "shop"):
            return
        read = self.store.connection.execute
        assert {one.id for one in everybody(self.store)} == set(self.people)
        mixed = """
            SELECT d.id FROM deliveries AS d JOIN enrolments AS e ON e.id = d.enrolment_id
             WHERE d.subscription_id IS NOT e.subscription_id
        """
        assert read(mixed).fetchall() == []
        not_theirs = """
            SELECT e.id FROM enrolments AS e WHERE e.shown_at IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM deliveries AS d JOIN interactions AS i ON i.delivery_id = d.id
                 WHERE d.enrolment_id = e.id AND d.subscription_id = e.subscription_id)
        """
        assert read(not_theirs).fetchall() == []

    @invariant()
    def the_tag_says_who_is_on_the_way(self) -> None:
        if not hasattr(self, "shop"):
            return
        for person in self.people:
            enrolments = self.store.enrolments.list_all(person, "basket")
            active = [enrolment for enrolment in enrolments if enrolment.active]
            assert len(active) <= 1
            tagged = "Abandoned basket 1" in self.shop.tags(person, self.now)
            assert tagged == bool(active)


TestLives = Lives.TestCase
TestLives.settings = settings(
    max_examples=RUNS,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
