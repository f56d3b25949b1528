"""Nobody gets the same message twice because somebody typed `send` twice."""

import threading
import tracemalloc
from pathlib import Path

import pytest

from pushctl.jobs.campaigns import broadcast, manage, recurring
from pushctl.jobs.campaigns.broadcast import Plan
from pushctl.jobs.campaigns.draft import Draft
from pushctl.jobs.campaigns.duplicates import LeftOut, NobodyLeftError, leave_out
from pushctl.model import Campaign, Cause
from pushctl.rules.messages.content import hash_content
from pushctl.store import Store
from pushctl.store.ledger_rows import FinishedRow
from tests.support import DAY, HOUR, MINUTE, NOON, sending
from tests.support.sending import Field


@pytest.fixture
def field(tmp_path: Path) -> Field:
    made = sending.field(tmp_path)
    made.people(6)
    return made


def planned(field: Field, now: int = NOON, **wish: object) -> Plan:
    wish = {"everyone": True, "template": "sale"} | wish
    return broadcast.plan(field.store, field.config, Draft(**wish), now)  # type: ignore[arg-type]


def end(field: Field, campaign: Campaign, *ends: tuple[str, Cause | None]) -> list[int]:
    """Give the first rows of *campaign* these ends; return their subscriptions."""
    rows, _ = field.store.deliveries.claim_fresh(campaign.id, 0, len(ends), NOON)
    field.store.deliveries.finish(
        (
            FinishedRow(row.id, status, "why", cause)
            for row, (status, cause) in zip(rows, ends, strict=True)
        ),
        NOON,
    )
    return [row.subscription for row in rows]


def test_who_has_the_message_is_left_out_and_who_has_not_is_not(field: Field) -> None:
    campaign = field.freeze(limit=5)
    accepted, doubtful, rejected, expired, recalled = end(
        field,
        campaign,
        ("accepted", None),
        ("in_doubt", Cause.TIMEOUT),
        ("rejected", Cause.NO_MESSAGE),
        ("expired", Cause.TIME_OVER),
        ("accepted", Cause.RECALLED),
    )
    made = planned(field, NOON + MINUTE)
    assert made.left_out == LeftOut(received=2, scheduled=0, campaign=campaign.name)
    assert {rejected, expired, recalled} < set(made.receivers)
    assert {accepted, doubtful}.isdisjoint(made.receivers)
    assert made.count == 4


def test_who_is_to_get_it_is_left_out_until_it_expires(field: Field) -> None:
    field.freeze(at="2026-04-30 09:00", limit=2)
    made = planned(field)
    assert (made.count, made.left_out.received, made.left_out.scheduled) == (4, 0, 2)
    assert planned(field, NOON + 5 * DAY).count == 6, "it has expired"


def test_cancelling_lets_the_next_one_reach_all(field: Field) -> None:
    campaign = field.freeze()
    assert planned(field).count == 0
    manage.cancel(field.store, field.config, campaign.name, NOON)
    assert planned(field).count == 6


@pytest.mark.parametrize("local", [False, True])
def test_a_later_time_counts_its_day_from_that_time(field: Field, local: bool) -> None:
    end(field, field.freeze(limit=1), ("accepted", None))
    soon = planned(field, NOON + MINUTE, at="in 3 hours")
    assert (soon.count, soon.left_out.received) == (5, 1)
    later = planned(field, NOON + MINUTE, at="2026-05-20 18:00", local=local)
    assert (later.count, later.left_out.count) == (6, 0)
    campaign = broadcast.freeze(field.store, later, NOON + 2 * MINUTE)
    assert field.counts(campaign) == {"planned": 6}


def test_a_day_later_it_is_sent_again(field: Field) -> None:
    end(field, field.freeze(limit=1), ("accepted", None))
    assert planned(field, NOON + DAY).count == 5
    assert planned(field, NOON + DAY + MINUTE).count == 6


def test_again_sends_to_all(field: Field) -> None:
    field.freeze()
    made = planned(field, again=True)
    assert (made.count, made.left_out) == (6, LeftOut())
    assert field.counts(broadcast.freeze(field.store, made, NOON)) == {"planned": 6}


def test_a_changed_text_is_another_message(field: Field) -> None:
    field.freeze()
    assert planned(field, template=None, message="Sale").count == 6
    sending.template(field.config.folder, "sale", title="Sale", body="Nearly everything")
    assert planned(field).count == 6


def test_equal_texts_are_one_message_whatever_the_rest_is(field: Field) -> None:
    sending.template(field.config.folder, "copy", title="Sale", body="Everything must go")
    field.freeze()
    for wish in (
        {"template": "copy"},
        {"name": "x", "ttl": "1h"},
        {"where": ["not seen within 1s"]},
    ):
        assert planned(field, **wish).count == 0, wish
    field.freeze(template=None, message="Hello")
    assert planned(field, template=None, message="Hello").count == 0
    assert planned(field, template=None, message="Hello!").count == 6


def test_the_limit_counts_before_people_are_left_out(field: Field) -> None:
    field.freeze(limit=2)
    assert planned(field, limit=2).count == 0, "the same command twice reaches nobody new"
    assert planned(field, limit=3).count == 1


def test_each_device_of_a_person_gets_a_broadcast(field: Field) -> None:
    laptop, phone = field.people(2, first=50, tag="Ann")
    with field.store.write() as connection:
        connection.execute(
            "UPDATE subscriptions SET alias = 'ann', alias_trusted = 1 WHERE id IN (?, ?)",
            (laptop, phone),
        )
    public_id = field.store.subscriptions.get_many([laptop])[0].public_id
    field.freeze(everyone=False, to=[public_id])
    assert list(planned(field, everyone=False, to=["alias:ann"]).receivers) == [phone]


def test_two_terminals_at_once_send_to_each_person_once(field: Field) -> None:
    """Both have planned, and both have been told yes: the second freezes what is left."""
    some = planned(field, limit=2, name="some")
    plans = [planned(field, name=name) for name in ("one", "two")]
    campaign = broadcast.freeze(field.store, some, NOON)
    go, left = threading.Barrier(2), []

    def answer_yes(made: Plan) -> None:
        with Store(field.config.database) as store:
            go.wait()
            try:
                broadcast.freeze(store, made, NOON + MINUTE)
            except NobodyLeftError as error:
                left.append(error.left_out)

    threads = [threading.Thread(target=answer_yes, args=(made,)) for made in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [it.scheduled for it in left] == [6]
    first, second = field.store.campaigns.list_newest()
    assert (second, sum(field.counts(first).values())) == (campaign, 4)
    assert (first.options["left_out"]["scheduled"], first.audience) == (2, "everyone")
    sql = "SELECT count(*), count(DISTINCT subscription_id) FROM deliveries"
    assert field.store.connection.execute(sql).fetchone() == (6, 6)


def test_a_local_schedule_keeps_receivers_and_times_together(field: Field) -> None:
    wish = {"at": "2026-04-29 09:00", "local": True}
    made = planned(field, **wish)
    field.freeze(limit=3)
    campaign = broadcast.freeze(field.store, made, NOON)
    assert field.counts(campaign) == {"planned": 3}
    assert campaign.options["left_out"]["scheduled"] == 3


def test_a_series_leaves_nobody_out(field: Field) -> None:
    field.freeze()
    wish = Draft(everyone=True, template="sale", every="monday 09:00")
    assert broadcast.plan(field.store, field.config, wish, NOON).count == 6
    series = recurring.add_series(field.store, field.config, wish, NOON)
    assert series.next_at is not None
    assert list(recurring.carry_out(field.store, field.config, series.next_at)) == []
    newest = field.store.campaigns.list_newest()[0]
    assert field.counts(newest) == {"planned": 6}
    assert planned(field, series.next_at + HOUR).count == 0, "but `send` knows of it"


def test_the_message_of_a_trigger_is_no_broadcast(field: Field) -> None:
    sources = field.freeze().sources
    field.store.connection.execute("UPDATE campaigns SET trigger = 'basket', step = 1")
    field.store.connection.execute("UPDATE campaigns SET content_hash = NULL")
    assert planned(field).count == 6
    made = field.store.campaigns.create(
        name="basket/1", template="sale", audience="", sources=sources, options={}, now=NOON,
        expires_at=None, trigger="basket", step=1,
    )  # fmt: skip
    sql = "SELECT content_hash FROM campaigns WHERE id = ?"
    assert field.store.connection.execute(sql, (made.id,)).fetchone() == (None,)


def test_values_make_a_message_another(field: Field) -> None:
    sources = {"en.toml": "title = 'Sale'"}
    one, two = (hash_content(sources, {"promo": code}) for code in ("A", "B"))
    assert one != two
    assert one == hash_content(dict(sources), {"promo": "A"})
    field.store.campaigns.create(
        name="x", template="sale", audience="", sources=sources,
        options={"extra": {"promo": "A"}}, now=NOON, expires_at=None,
    )  # fmt: skip
    sql = "SELECT content_hash FROM campaigns"
    assert field.store.connection.execute(sql).fetchone() == (one,)


def test_who_has_it_is_a_byte_for_each_receiver(field: Field) -> None:
    """Whatever their order: single people come as they were named."""
    field.people(2_000, first=100, tag=None)
    made = field.freeze()
    receivers = list(planned(field, again=True).receivers)
    for order in (receivers, receivers[::-1], [*receivers[5:], *receivers[:3]]):
        tracemalloc.start()
        having, counts = leave_out(field.store, hash_content(made.sources, {}), order, NOON)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (len(having), set(having), counts.scheduled) == (
            len(order), set(order), len(order),
        )  # fmt: skip
        assert receivers[4] in having or order[0] == receivers[5]
        assert 10**9 not in having and None not in having
        if order is receivers:
            assert peak < 30 * len(order), peak


def test_the_look_up_reads_the_rows_of_the_same_message_alone(field: Field) -> None:
    """However many other campaigns there are: bounded by steps of SQLite, not by time."""
    made = field.freeze(limit=1)
    for number in range(20):
        field.freeze(template=None, message=f"Other {number}")
    content = hash_content(made.sources, {})
    steps = []
    field.store.connection.set_progress_handler(lambda: steps.append(1), 1)
    leave_out(field.store, content, [1], NOON)
    field.store.connection.set_progress_handler(None, 0)
    assert len(steps) < 150
