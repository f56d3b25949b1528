"""The ledger itself: claims, outcomes, and that every row stands in one state."""

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pushctl.model import Campaign, CampaignStatus
from pushctl.rules.tokens import endpoint_hash
from pushctl.store import Store
from pushctl.store.ledger_rows import FinishedRow, ReleasedRow
from pushctl.store.subscriptions import Registration
from tests.support import (
    HOUR,
    MINUTE,
    NOON,
    auth,
    database,
    endpoint,
    p256dh,
    temporary_name,
)
from tests.support.rows import deliveries


def person(store: Store, number: int) -> int:
    site = store.sites.load_ids()["shop"]
    address = endpoint(number)
    made = Registration(site, address, endpoint_hash(address), p256dh(), auth(), "key")
    return store.subscriptions.add(made, {"language": "en"}, NOON)


def campaign(store: Store, name: str = "sale") -> Campaign:
    return store.campaigns.create(
        name=name,
        template="sale",
        audience="everyone",
        sources={"en.toml": "title = 'x'"},
        options={},
        now=NOON,
        expires_at=None,
    )


def planned(store: Store, count: int, **more: int) -> Campaign:
    made = campaign(store)
    people = [person(store, number) for number in range(count)]
    options = {"now": NOON, "expires_after": HOUR} | more
    assert store.deliveries.plan(made.id, people, **options) == count
    return made


def finished(row: int, status: str = "accepted", at: int | None = None) -> FinishedRow:
    return FinishedRow(row, status, http_status=201, next_attempt_at=at, language="en")


def test_a_claim_takes_rows_once_and_in_order(store: Store) -> None:
    made = planned(store, 5)
    first, after = store.deliveries.claim_fresh(made.id, 0, 3, NOON)
    rest, last = store.deliveries.claim_fresh(made.id, after or 0, 3, NOON)
    none, end = store.deliveries.claim_fresh(made.id, last or 0, 3, NOON)
    ids = [row.id for row in first + rest]
    assert ids == sorted(set(ids))
    assert (len(first), len(rest), none, end) == (3, 2, [], None)
    assert store.deliveries.claim_fresh(made.id, 0, 9, NOON) == ([], None)
    assert deliveries(store, made.id) == {"sending": 5}
    assert {row.tries for row in first} == {1}


def test_one_row_a_campaign_and_subscription(store: Store) -> None:
    made = campaign(store)
    one = person(store, 1)
    store.deliveries.plan(made.id, [one], now=NOON, expires_after=HOUR)
    with pytest.raises(Exception, match="UNIQUE"):
        store.deliveries.plan(made.id, [one], now=NOON, expires_after=HOUR)


def test_an_outcome_of_a_row_that_is_not_being_sent_changes_nothing(store: Store) -> None:
    made = planned(store, 1)
    rows, _ = store.deliveries.claim_fresh(made.id, 0, 1, NOON)
    store.deliveries.finish([finished(rows[0].id)], NOON)
    store.deliveries.finish([finished(rows[0].id, "rejected")], NOON)
    assert deliveries(store, made.id) == {"accepted": 1}


def test_a_released_row_has_lost_no_try(store: Store) -> None:
    made = planned(store, 1)
    rows, _ = store.deliveries.claim_fresh(made.id, 0, 1, NOON)
    store.deliveries.release([ReleasedRow(rows[0].id, None, "held")], NOON)
    again, _ = store.deliveries.claim_fresh(made.id, 0, 1, NOON)
    assert again[0].tries == 1


def test_rows_with_a_date_are_claimed_when_it_has_come(store: Store) -> None:
    made = planned(store, 4, over=4 * MINUTE)
    assert store.deliveries.claim_fresh(made.id, 0, 9, NOON) == ([], None)
    rows, taken = store.deliveries.claim_due(made.id, 9, NOON + MINUTE)
    assert (len(rows), taken) == (2, 2)
    assert store.deliveries.claim_due(made.id, 9, NOON + MINUTE) == ([], 0)
    assert store.deliveries.count_waiting(made.id, NOON + MINUTE) == (2, NOON + 2 * MINUTE)


def test_each_messages_life_begins_when_it_is_due(store: Store) -> None:
    made = planned(store, 2, over=10 * HOUR)
    rows, _ = store.deliveries.claim_due(made.id, 9, NOON)
    assert rows[0].expires_at == NOON + HOUR
    late, _ = store.deliveries.claim_due(made.id, 9, NOON + 5 * HOUR)
    assert late[0].expires_at == NOON + 6 * HOUR


def test_only_running_campaigns_are_due(store: Store) -> None:
    made = planned(store, 1)
    assert store.deliveries.list_due_campaigns(NOON) == [made.id]
    store.campaigns.change_status(made.id, CampaignStatus.PAUSED, NOON)
    assert store.deliveries.list_due_campaigns(NOON) == []
    store.campaigns.change_status(made.id, CampaignStatus.RUNNING, NOON)
    store.deliveries.claim_fresh(made.id, 0, 1, NOON)
    assert store.deliveries.list_due_campaigns(NOON) == [made.id], "left by a dead process"


def test_a_rows_date_makes_its_campaign_due(store: Store) -> None:
    made = planned(store, 1)
    rows, _ = store.deliveries.claim_fresh(made.id, 0, 1, NOON)
    store.deliveries.finish([finished(rows[0].id, "planned", NOON + HOUR)], NOON)
    assert store.deliveries.list_due_campaigns(NOON) == []
    assert store.deliveries.list_due_campaigns(NOON + HOUR) == [made.id]


def test_figures_by_state_are_served_by_the_index(store: Store) -> None:
    made = planned(store, 1)
    sql = "EXPLAIN QUERY PLAN SELECT status, count(*) FROM deliveries WHERE campaign_id = ? "
    plan = store.connection.execute(sql + "GROUP BY status", (made.id,)).fetchall()
    assert "COVERING INDEX deliveries_status" in plan[0][3]


def test_what_is_due_is_found_by_the_index(store: Store) -> None:
    made = planned(store, 1)
    seen: list[str] = []
    store.connection.set_trace_callback(seen.append)
    store.deliveries.list_due_campaigns(NOON)
    store.deliveries.claim_due(made.id, 1, NOON)
    store.connection.set_trace_callback(None)
    for sql in seen:
        plan = store.connection.execute("EXPLAIN QUERY PLAN " + sql).fetchall()
        text = " ".join(row[3] for row in plan)
        assert "deliveries_due (campaign_id=? AND next_attempt_at<?)" in text
        assert "SCAN d" not in text


def test_cancelling_skips_what_is_planned_and_nothing_else(store: Store) -> None:
    made = planned(store, 3)
    store.deliveries.claim_fresh(made.id, 0, 1, NOON)
    assert store.deliveries.cancel(made.id, NOON) == 2
    assert deliveries(store, made.id) == {"sending": 1, "skipped": 2}


class Ledger(RuleBasedStateMachine):
    """
    G1 and G2 over any order of claims, answers, crashes, retries and doubts.

    The model counts how often each row was given out; the wire may be reached once a
    claim, and a doubtful row never again by itself.
    """

    def __init__(self) -> None:
        super().__init__()
        import tempfile
        from pathlib import Path

        self._folder = tempfile.TemporaryDirectory()
        self.store = database.create(Path(self._folder.name) / f"{temporary_name()}.db")
        with self.store.write() as connection:
            connection.execute("INSERT INTO sites (name, origin) VALUES ('shop', 'https://x')")
        self.campaign = planned(self.store, 12).id
        self.now = NOON
        self.after = 0
        self.claimed: set[int] = set()
        self.sent: Counter[int] = Counter()
        self.doubtful: set[int] = set()

    @rule(limit=st.integers(1, 5))
    def claim(self, limit: int) -> None:
        fresh, last = self.store.deliveries.claim_fresh(
            self.campaign, self.after, limit, self.now
        )
        due, _ = self.store.deliveries.claim_due(self.campaign, limit, self.now)
        self.after = last or self.after
        for row in fresh + due:
            assert row.id not in self.claimed, "claimed twice"
            assert row.id not in self.doubtful, "a doubt was claimed again"
            self.claimed.add(row.id)

    @precondition(lambda self: self.claimed)
    @rule(data=st.data(), status=st.sampled_from(["accepted", "gone", "rejected", "in_doubt"]))
    def answer(self, data: st.DataObject, status: str) -> None:
        row = data.draw(st.sampled_from(sorted(self.claimed)))
        self.claimed.discard(row)
        self.sent[row] += 1
        if status == "in_doubt":
            self.doubtful.add(row)
        self.store.deliveries.finish([finished(row, status)], NOON)

    @precondition(lambda self: self.claimed)
    @rule(data=st.data())
    def refuse_for_now(self, data: st.DataObject) -> None:
        row = data.draw(st.sampled_from(sorted(self.claimed)))
        self.claimed.discard(row)
        self.store.deliveries.finish([finished(row, "planned", self.now + MINUTE)], NOON)

    @rule()
    def crash(self) -> None:
        """A process dies: what it began is in doubt, the rest waits again."""
        left = self.store.deliveries.load_claimed(self.campaign)
        assert left.keys() == self.claimed
        begun = {row for row in left if row % 2}
        self.sent.update(begun)
        self.doubtful |= begun
        self.store.deliveries.finish([finished(row, "in_doubt") for row in begun], NOON)
        never = (ReleasedRow(row) for row in left.keys() - begun)
        self.store.deliveries.release(never, self.now)
        self.claimed.clear()
        self.after = 0

    @rule(step=st.sampled_from([MINUTE, 10 * MINUTE]))
    def wait(self, step: int) -> None:
        self.now += step

    @invariant()
    def nobody_is_sent_to_twice(self) -> None:
        assert all(count == 1 for count in self.sent.values())

    @invariant()
    def every_row_stands_in_one_state(self) -> None:
        assert sum(deliveries(self.store, self.campaign).values()) == 12

    def teardown(self) -> None:
        self.store.close()
        self._folder.cleanup()


TestLedger = Ledger.TestCase
TestLedger.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


def test_a_triggers_messages_are_written_many_by_a_statement(store: Store) -> None:
    """In a savepoint each statement that SQL's triggers follow walks through all its pages."""
    made, people = campaign(store), [person(store, number) for number in range(170)]
    rows = [
        (made.id, one, place, NOON + HOUR, "b", 1 / 3, None, ended)
        for place, one in enumerate(people, 1)
        for ended in ([None] if place % 2 else [("late", "too_late")])
    ]
    seen: list[str] = []
    store.connection.set_trace_callback(seen.append)
    with store.write():
        store.enrolments.plan([*rows, rows[3]], NOON)
    store.connection.set_trace_callback(None)
    assert len({text for text in seen if "INSERT INTO deliveries" in text}) == 3
    sql = """
        SELECT campaign_id, subscription_id, enrolment_id, expires_at, variant,
               variant_probability, holdout_probability, status, reason, cause, changed_at
          FROM deliveries ORDER BY id
    """
    assert store.connection.execute(sql).fetchall() == [
        (*row, *(("skipped", *ended) if ended else ("planned", None, None)), NOON)
        for *row, ended in rows
    ]
    store.enrolments.plan([], NOON)


def test_of_a_claim_of_thousands_each_row_that_can_not_go_out_is_found(store: Store) -> None:
    """One that has expired, one whose subscription left; those beside them go out."""
    made = planned(store, 6)
    ids = [row for (row,) in store.connection.execute("SELECT id FROM deliveries ORDER BY id")]
    change = "UPDATE deliveries SET expires_at = ? WHERE id = ?"
    with store.write() as connection:
        connection.execute(change, (NOON, ids[1]))
        connection.execute(change, (None, ids[2]))
        connection.execute(
            "UPDATE subscriptions SET state = 'unsubscribed' WHERE id ="
            " (SELECT subscription_id FROM deliveries WHERE id = ?)",
            (ids[4],),
        )
    rows, _ = store.deliveries.claim_fresh(made.id, 0, 6, NOON, brief=True)
    assert [row.id for row in rows] == [ids[0], ids[2], ids[3], ids[5]]
    assert deliveries(store, made.id) == {"sending": 4, "expired": 1, "skipped": 1}
