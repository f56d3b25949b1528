"""
Orders at random of subscribe, events, moves, erasures, prunings, imports, sweeps and answers
and reports that come late. Every event of a living person begins what it should, and nobody's
row is touched for another's sake.

PUSHCTL_ORDERS=200 goes as far as docs/proofs.md says; CI takes fewer.
"""

import os
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest

from pushctl.jobs.delivery.push_services.throttle import Throttle
from pushctl.jobs.delivery.results.outcomes import OutcomeBatch
from pushctl.jobs.delivery.types import RenderedRow
from pushctl.jobs.ingest.drain import drain
from pushctl.jobs.subscribers import imports
from pushctl.jobs.subscribers.forget import forget
from pushctl.model import Answer, Cause, InboxRecord, Letter, Outcome
from pushctl.push import vapid
from pushctl.rules import tokens
from pushctl.store import Store
from pushctl.store.ledger_rows import ClaimedRow
from tests.support import DAY, HOUR, MINUTE, NOON, SECOND, database
from tests.support.files import person as line_of
from tests.support.posting import SECRET, Browser, Project
from tests.support.shop import Shop, decide_all

ORDERS = int(os.environ.get("PUSHCTL_ORDERS", "4"))
STEPS = 250
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None

NAMES = tuple(f"e{number}" for number in range(12))
TRIGGERS = "".join(
    f'[triggers.{name}]\non = "{name}"\n'
    'steps = [{ after = "1m", template = "one", max_late = "30d" },'
    ' { after = "1d", template = "two", max_late = "30d" }]\n'
    for name in (*NAMES, "subscribed")
)


@dataclass(eq=False)
class Life:
    """What must be true of one person, from their subscription to their erasure."""

    browser: Browser
    state: str = "active"
    small: bool = False
    verified: bool = False
    posted: set[str] = field(default_factory=set)  # events that no sweep has seen
    begun: set[str] = field(default_factory=set)  # triggers
    tried: set[str] = field(default_factory=set)  # events ever posted
    shown: set[str] = field(default_factory=set)  # triggers of messages that were shown
    deliveries: set[int] = field(default_factory=set)


@dataclass
class Flying:
    """A letter on its way, to *life* at the endpoint that it had then."""

    row: ClaimedRow
    life: Life
    endpoint: str


class World:
    def __init__(self, folder: Path, seed: int) -> None:
        self.random, self.folder = random.Random(seed), folder
        self.store = database.create(folder / "pushctl.db")
        self.key = vapid.write(folder / "keys").public
        self.shop = Shop(folder, self.store, TRIGGERS)
        self.now, self.number = NOON, 0
        self.living: list[Life] = []
        self.erased: list[Browser] = []
        self.flying: list[Flying] = []
        self.sent: dict[int, tuple[Life, str]] = {}  # delivery -> person, trigger
        decide_all(self.shop.config, self.store, self.now)

    @property
    def project(self) -> Project:
        return Project(self.shop.config, self.store, self.key)

    def step(self) -> None:
        weights = {
            self.subscribe: 6, self.post_event: 16, self.visit: 2, self.move: 2,
            self.forget_here: 3, self.forget_by_command: 2, self.attack: 1, self.come_back: 2,
            self.bring: 1, self.sweep: 8, self.sweep_and_prune: 2, self.claim: 5,
            self.answer: 8, self.report: 5, self.reopen: 1,
        }  # fmt: skip
        self.now += self.random.choice([SECOND, 20 * SECOND, 2 * MINUTE, HOUR])
        (do,) = self.random.choices(list(weights), list(weights.values()))
        do()

    # --- what browsers do ---

    def post(self, record: InboxRecord) -> None:
        self.project.post(record)

    def any_life(self) -> Life | None:
        # Whoever came last is erased and answers more often: their numbers are the newest.
        recent = self.living[-3:] if self.random.random() < 0.5 else self.living
        return self.random.choice(recent) if recent else None

    def fresh(self) -> Browser:
        self.number += 1
        return Browser(self.number, self.key)

    def subscribe(self) -> None:
        life = Life(self.fresh(), posted={"subscribed"}, tried={"subscribed"})
        self.post(life.browser.subscribe(self.now))
        self.living.append(life)

    def visit(self) -> None:
        if life := self.any_life():
            self.post(life.browser.subscribe(self.now))
            life.state = "active"

    def come_back(self) -> None:
        if self.erased:
            browser = self.erased.pop(self.random.randrange(len(self.erased)))
            self.post(browser.subscribe(self.now, chosen=True))
            self.living.append(Life(browser, posted={"subscribed"}, tried={"subscribed"}))

    def move(self) -> None:
        if life := self.any_life():
            old, life.browser = life.browser, self.fresh()
            self.post(life.browser.subscribe(self.now, previous=old))
            life.state, life.small = "active", False

    def post_event(self) -> None:
        life = self.any_life()
        left = [name for name in NAMES if life and name not in life.tried]
        if life and left:
            name = self.random.choice(left)
            life.tried.add(name)
            life.posted.add(name)
            event = {"id": name, "name": name}
            self.post(life.browser.post("/v1/events", self.now, events=[event]))

    def report(self) -> None:
        """A message is shown, perhaps long after its person was erased."""
        if self.sent:
            delivery = self.random.choice(sorted(self.sent)[-20:])
            life, trigger = self.sent[delivery]
            self.post(self.fresh().report(delivery, "shown", self.now))
            if life in self.living:
                life.verified = True
                life.shown.add(trigger)

    def forget_here(self) -> None:
        if life := self.any_life():
            self.post(life.browser.post("/v1/forget", self.now))
            self.lose(life)

    def attack(self) -> None:
        """A stranger posts many events, waits for a sweep, and is erased."""
        stranger = self.fresh()
        events = [{"id": f"{number}", "name": "page_view"} for number in range(30)]
        self.post(stranger.subscribe(self.now, events=events))
        self.decide()
        self.post(stranger.post("/v1/forget", self.now))
        self.drain()

    def lose(self, life: Life) -> None:
        self.living.remove(life)
        self.erased.append(life.browser)

    # --- what the shop does: on what has come by then ---

    def drain(self) -> None:
        report = drain(self.store, self.shop.config, SECRET, self.now)
        assert not report.quarantined, report
        assert not report.refused, report

    def row_of(self, life: Life) -> int:
        known = self.store.subscriptions.find_by_endpoint(
            tokens.endpoint_hash(life.browser.endpoint)
        )
        assert known is not None
        return known.id

    def forget_by_command(self) -> None:
        self.drain()
        if life := self.any_life():
            row = str(self.row_of(life))
            forget(self.store, self.shop.config, SECRET, row, self.now, dry_run=False)
            self.lose(life)

    def bring(self) -> None:
        """Import new people, and somebody erased, who must stay so."""
        self.drain()
        young = [Life(self.fresh()) for _ in range(3)]
        browsers = [life.browser for life in young] + self.erased[-1:]
        file = self.folder / "people.jsonl"
        lines = (line_of(one.number) for one in browsers)
        file.write_text("".join(f"{orjson.dumps(line).decode()}\n" for line in lines))
        report = imports.import_file(
            self.store, self.shop.config, file, self.now, secret=SECRET
        )
        assert (report.added, report.refused) == (3, len(self.erased[-1:]))
        self.living += young

    def decide(self) -> None:
        self.drain()
        decide_all(self.shop.config, self.store, self.now)
        for life in self.living:
            life.begun |= life.posted if life.state == "active" else set()
            life.posted.clear()

    def sweep(self) -> None:
        self.decide()
        self.judge()

    def sweep_and_prune(self) -> None:
        self.sweep()
        self.store.pruning.run(self.now + DAY, [*NAMES, "subscribed"])
        self.judge()

    def claim(self) -> None:
        self.drain()
        lives = {self.row_of(life): life for life in self.living}
        for campaign in self.store.deliveries.list_due_campaigns(self.now):
            trigger = self.store.triggers.get_trigger(campaign)
            assert trigger
            for row in self.shop.claim(campaign, self.now):
                life = lives[row.subscription]
                self.flying.append(Flying(row, life, row.endpoint))
                self.sent[row.id] = life, trigger
                life.deliveries.add(row.id)
                assert row.endpoint == life.browser.endpoint

    def answer(self) -> None:
        """Push services answer about letters that left some time ago."""
        self.drain()
        self.random.shuffle(self.flying)
        batch, rows = OutcomeBatch(self.now), {}
        outcomes = []
        for _ in range(min(len(self.flying), self.random.randint(1, 3))):
            flying = self.flying.pop()
            row = flying.row
            kind, cause = self.random.choice(
                [(Answer.ACCEPTED, None)] * 3
                + [(Answer.GONE, Cause.GONE), (Answer.TOO_LARGE, Cause.TOO_LARGE)]
            )
            letter = Letter(row.id, flying.endpoint, b"", b"", "k", b"", 60, "normal", None)
            lane = ("https://updates.push.services.mozilla.com", "k")
            rows[row.id] = RenderedRow(
                letter, lane, row.tries, row.expires_at, row.subscription, "en", row.failures
            )
            outcomes.append(Outcome(row.id, kind, kind.value, 201, cause=cause))
            life = flying.life
            if life in self.living and life.browser.endpoint == flying.endpoint:
                if kind is Answer.GONE:
                    life.state = "gone"
                life.small = life.small or kind is Answer.TOO_LARGE
        batch.add(outcomes, rows, Throttle({}))
        with self.store.write():
            batch.write_rows(self.store)
            batch.write_subscriptions(self.store)
        self.judge()

    def reopen(self) -> None:
        self.store.close()
        self.store = self.shop.store = Store(self.folder / "pushctl.db")

    # --- what must be true ---

    def judge(self) -> None:
        """Compare every row of every person with what was done in their name."""
        read = self.store.connection.execute
        rows = {self.row_of(life): life for life in self.living}
        assert len(rows) == len(self.living)
        sql = "SELECT id, state, small_payload, verified_at IS NOT NULL FROM subscriptions"
        found = {row: tuple(facts) for row, *facts in read(sql)}
        assert found == {
            row: (life.state, life.small, life.verified) for row, life in rows.items()
        }
        theirs: dict[int, set[int]] = {row: set() for row in rows}
        for row, delivery in read(
            "SELECT subscription_id, id FROM deliveries"
            " WHERE subscription_id IS NOT NULL AND attempts > 0"
        ):
            theirs[row].add(delivery)
        assert theirs == {row: life.deliveries for row, life in rows.items()}
        begun: dict[int, set[str]] = {row: set() for row in rows}
        for row, trigger, shown in read(
            "SELECT subscription_id, trigger, shown_at IS NOT NULL FROM enrolments"
        ):
            assert trigger not in begun[row]
            begun[row].add(trigger)
            assert not shown or trigger in rows[row].shown
        assert begun == {row: life.begun for row, life in rows.items()}


@pytest.fixture(params=range(ORDERS))
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        made = World(Path(folder), request.param)
        yield made
        made.store.close()


def test_every_event_begins_what_it_should_and_nobody_is_touched_for_another(
    world: World,
) -> None:
    for _ in range(STEPS):
        world.step()
    world.sweep()
    assert len(world.sent) > 5
