"""Tests of broadcasts: who falls to which arm, who waits, and the one decision."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from pushctl.demo.pushservice import PushService
from pushctl.errors import InputError, UsageError
from pushctl.jobs.campaigns import (
    assignment,
    broadcast,
    experiment_power,
    experiments,
    manage,
    recurring,
    retry,
)
from pushctl.jobs.campaigns.broadcast import Plan
from pushctl.jobs.campaigns.draft import Draft
from pushctl.jobs.delivery import deliver
from pushctl.jobs.sweep import sweep
from pushctl.model import Campaign, CampaignStatus, Cause, InteractionKind
from pushctl.push import vapid
from pushctl.rules import timing
from pushctl.rules.messages.arms import Arm, Differ
from pushctl.store import Store, restoring
from pushctl.store import experiments as stored
from pushctl.store.experiments import Experiment, State
from pushctl.store.idle import EXPERIMENT_DUE
from pushctl.store.interactions import Interaction
from pushctl.store.ledger_rows import FinishedRow
from tests.support import DAY, HOUR, MINUTE, NOON, killed, sending
from tests.support.pushservice import decrypt
from tests.support.sending import Field


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    made = sending.field(tmp_path)
    write_text(made, "sale/en.b.toml", "Sale now")
    yield made
    made.store.close()


def write_text(field: Field, file: str, title: str) -> None:
    path = field.config.templates / file
    path.write_text(f'title = "{title}"\nbody = "Everything must go"\n', "utf-8")


def planned(field: Field, now: int = NOON, **wish: object) -> Plan:
    wish = {"everyone": True, "template": "sale"} | wish
    return broadcast.plan(field.store, field.config, Draft(**wish), now)  # type: ignore[arg-type]


def list_rows(field: Field, campaign: Campaign, columns: str) -> list[tuple[object, ...]]:
    sql = f"SELECT {columns} FROM deliveries WHERE campaign_id = ? ORDER BY id"
    return field.store.connection.execute(sql, (campaign.id,)).fetchall()


def count(field: Field, campaign: Campaign, columns: str) -> dict[tuple[object, ...], int]:
    return dict(Counter(list_rows(field, campaign, columns)))


def test_of(field: Field, campaign: Campaign) -> Experiment:
    found = field.store.experiments.find(campaign.id)
    assert found is not None
    return found


test_of.__test__ = False  # type: ignore[attr-defined]


def accept(field: Field, campaign: Campaign, clicks: dict[str, int], now: int = NOON) -> None:
    """Have all that can go out accepted, and the first of each arm clicked."""
    rows, _ = field.store.deliveries.claim_fresh(campaign.id, 0, 10_000, now)
    field.store.deliveries.finish((FinishedRow(row.id, "accepted") for row in rows), now)
    for variant, wanted in clicks.items():
        for row in [row for row in rows if row.variant == variant][:wanted]:
            click(field.store, row.id, now)


def click(store: Store, delivery: int, now: int = NOON) -> None:
    kind = InteractionKind.CLICKED
    store.interactions.add(Interaction(delivery, kind, None, now, f"click {delivery}"))


def test_a_template_with_variants_is_a_test_and_shares_are_as_planned(field: Field) -> None:
    field.people(800)
    campaign = field.freeze(weights="80,20")
    found = count(field, campaign, "variant, variant_probability, next_attempt_at")
    assert set(found) == {("a", 0.8, None), ("b", 0.2, None)}
    # Five standard deviations: once in two million runs.
    assert abs(found["b", 0.2, None] - 160) < 5 * (800 * 0.8 * 0.2) ** 0.5
    one = test_of(field, campaign)
    assert one.arms == (Arm("a", 0.8), Arm("b", 0.2))
    assert (one.differ, one.rule, one.test_share) == (Differ.TEXT, "fixed", 1.0)
    assert one.decide_at == NOON + DAY


def test_the_arm_does_not_change_along_the_ledger(field: Field) -> None:
    """Arms that go out one after the other would differ in their time, too."""
    field.people(200)
    variants = [one for (one,) in list_rows(field, field.freeze(), "variant")]
    changes = sum(one != other for one, other in pairwise(variants))
    assert 60 < changes < 140


def test_a_sends_the_plain_text_alone(field: Field) -> None:
    field.people(3)
    campaign = field.freeze(variants="a")
    assert count(field, campaign, "variant, variant_probability") == {(None, None): 3}
    assert field.store.experiments.find(campaign.id) is None


def test_all_devices_of_a_person_fall_to_the_same_arm(field: Field) -> None:
    rows = field.people(120)
    with field.store.write() as connection:
        for row in rows:  # three devices each: two signed, one known by the same address
            person = row % 40
            connection.execute(
                "UPDATE subscriptions SET alias = ?, alias_trusted = ?, email_hash = ?"
                " WHERE id = ?",
                (f"person {person}", row <= 80, bytes([person]) * 32, row),
            )
    campaign = field.freeze()
    plan = planned(field, again=True)
    assert plan.assignment is not None
    forecast, _ = experiment_power.forecast(field.store, plan, plan.assignment, NOON)
    assert (forecast.people, forecast.tested) == (40, 40)
    arms: dict[int, set[object]] = {}
    for row, variant in list_rows(field, campaign, "subscription_id, variant"):
        arms.setdefault(row % 40, set()).add(variant)  # type: ignore[operator]
    assert {len(one) for one in arms.values()} == {1}
    assert {next(iter(one)) for one in arms.values()} == {"a", "b"}


def test_a_language_without_the_variant_gets_a_and_is_not_compared(field: Field) -> None:
    write_text(field, "sale/de.toml", "Schluss")
    german, english = field.people(3, language="de"), field.people(40, first=3)
    campaign = field.freeze(test_share="50%", decide_after="2h")
    found = dict(list_rows(field, campaign, "subscription_id, variant"))
    assert [found[one] for one in german] == ["a", "a", "a"]
    others = field.store.experiments.count_others(test_of(field, campaign).id)
    assert others["outside"] == 3
    assert 0 < others["waiting"] < len(english)


def test_variants_that_nobody_reads_make_no_test_and_named_ones_are_an_error(
    field: Field,
) -> None:
    write_text(field, "sale/de.toml", "Schluss")
    field.people(3, language="de")
    assert planned(field).assignment is None
    with pytest.raises(UsageError, match="nobody can be compared"):
        planned(field, variants="a,b")


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"variants": "a,c"}, r"no file such as en\.c\.toml"),
        ({"variants": "b,c"}, "the plain file is always one"),
        ({"variants": "a,a"}, "name each once"),
        ({"variants": "sale"}, "two arms or more"),
        ({"weights": "1,2,3"}, "each of the 2 arms"),
        ({"weights": "1,0"}, "above 0"),
        ({"test_share": "120%"}, "a share of the people"),
        ({"on_tie": "worst"}, "best, first, stop"),
        ({"decide_after": "1h", "decide_at": "18:00"}, "don't go together"),
        ({"decide_at": "2026-04-27 09:00"}, "has passed"),
        ({"test_share": "20%", "over": "2h"}, "don't go together"),
        ({"variants": "09:00,18:00", "test_share": "20%", "at": "tomorrow"}, "compared on all"),
        ({"variants": "a", "on_tie": "stop"}, "belongs to a test"),
        ({"template": None, "message": "Hello", "variants": "a,b"}, "has one text"),
    ],
)
def test_options_that_make_no_test_are_refused(
    field: Field, wish: dict[str, object], said: str
) -> None:
    field.people(2)
    with pytest.raises((UsageError, InputError), match=said):
        planned(field, **wish)


def test_each_arm_gets_its_own_template(field: Field, tmp_path: Path) -> None:
    with PushService(tmp_path / "service") as service:
        check_templates(field, service)


def check_templates(field: Field, service: PushService) -> None:
    made = sending.led_to(field.config, service)
    public = vapid.load(made.keys)[field.key].public
    for _ in range(20):  # all with the keys of the first, so that each can be read
        field.subscribed(service, "fcm", public, count=1)
    sending.template(
        made.folder, "sale_short", title="{{ subscriber.language }}: short", body="-"
    )
    made_plan = broadcast.plan(
        field.store, made, Draft(everyone=True, variants="sale,sale_short"), NOON
    )
    campaign = broadcast.freeze(field.store, made_plan, NOON)
    assert campaign.template == "sale"
    arrived = service.deliveries()
    deliver.run(field.store, made, campaign, NOON, deliver.Options(patience=0.0))
    titles = Counter(
        json.loads(decrypt(arrived.get(timeout=10).body))["notification"]["title"]
        for _ in range(20)
    )
    variants = count(field, campaign, "variant")
    assert titles == {"Sale": variants["a",], "en: short": variants["b",]}


def test_each_arm_goes_out_at_its_own_time(field: Field) -> None:
    field.people(30)
    write_text(field, "sale/en.bought.toml", "Thank you")
    campaign = field.freeze(variants="09:00,18:00", at="tomorrow", again=True)
    nine = timing.moment("2026-04-29T09:00:00+00:00")
    found = count(field, campaign, "variant, variant_probability, next_attempt_at, expires_at")
    assert set(found) == {
        ("a", 0.5, nine, nine + DAY),
        ("b", 0.5, nine + 9 * HOUR, nine + 9 * HOUR + DAY),
    }
    # The variants' files are no part of it: both arms have one text.
    assert set(campaign.sources) == {"message.toml", "en.toml", "en.bought.toml"}
    assert test_of(field, campaign).decide_at == nine + 9 * HOUR + DAY


def find_planned(field: Field, now: int) -> bool:
    """Return whether an experiment keeps a sweep from being idle."""
    sql = f"SELECT EXISTS (SELECT 1 FROM experiments AS e WHERE {EXPERIMENT_DUE})"
    return bool(field.store.connection.execute(sql, {"now": now}).fetchone()[0])


def test_the_rest_waits_and_gets_the_winner_at_the_decision(
    field: Field, service: PushService
) -> None:
    config = sending.led_to(field.config, service)
    field.people(400)
    campaign = field.freeze(test_share="40%", decide_after="4h")
    waiting = count(field, campaign, "cause, next_attempt_at, expires_at")[
        "awaits_winner", NOON + 4 * HOUR, NOON + 28 * HOUR
    ]
    assert 190 < waiting < 290
    accept(field, campaign, {"a": 2, "b": 30})

    assert not find_planned(field, NOON + 4 * HOUR - 1)
    assert find_planned(field, NOON + 4 * HOUR)
    before = sweep.run(config, field.store, NOON + 4 * HOUR - MINUTE)
    assert (before.counts["accepted"], test_of(field, campaign).state) == (0, State.TESTING)
    done = sweep.run(config, field.store, NOON + 4 * HOUR)

    assert done.counts["accepted"] == waiting
    assert done.exit_code == 0
    assert "b goes out from now on" in done.remarks[0]
    one = test_of(field, campaign)
    assert (one.state, one.winner, one.cause) == (State.DECIDED, "b", "won")
    assert count(field, campaign, "variant, variant_probability")["b", 1.0] == waiting
    assert field.store.campaigns.get_status(campaign.id) is CampaignStatus.FINISHED
    # A report that comes late changes figures, not the winner.
    for row, _ in [it for it in list_rows(field, campaign, "id, variant") if it[1] == "a"]:
        click(field.store, row, NOON + 5 * HOUR)  # type: ignore[arg-type]
    sweep.run(config, field.store, NOON + 6 * HOUR)
    assert test_of(field, campaign) == one
    assert field.store.experiments.count_arms(one.id)["a"].clickers > 50


@pytest.mark.parametrize(
    ("on_tie", "winner", "cause"),
    [("first", "a", "tie_first"), ("stop", None, "tie_stop"), ("best", "a", "tie_first")],
)
def test_without_a_winner_the_rule_for_ties_decides(
    field: Field, on_tie: str, winner: str | None, cause: str
) -> None:
    field.people(60)  # too few to know anything: "best" falls back to the first
    campaign = field.freeze(test_share="50%", on_tie=on_tie)
    accept(field, campaign, {})
    assert experiments.decide(field.store, test_of(field, campaign), NOON + 4 * HOUR)
    one = test_of(field, campaign)
    assert (one.winner, one.cause) == (winner, cause)
    rest = count(field, campaign, "status, cause, variant")
    ended = ("skipped", "test_stopped", None)
    assert ended in rest if winner is None else ("planned", None, winner) in rest
    assert sum(rest.values()) == 60
    finished = field.store.campaigns.get_status(campaign.id) is CampaignStatus.FINISHED
    assert finished == (winner is None)


def test_a_daily_look_ends_a_test_early_or_waits_for_the_next(field: Field) -> None:
    field.people(800)
    campaign = field.freeze(test_share="50%", daily_look=True)
    accept(field, campaign, {"a": 12, "b": 14})
    one = test_of(field, campaign)
    assert (one.rule, one.look_at, one.decide_at) == ("anytime", NOON + DAY, NOON + 7 * DAY)
    assert experiments.decide(field.store, one, NOON + DAY) is None
    assert test_of(field, campaign).look_at == NOON + 2 * DAY
    rows = list_rows(field, campaign, "id, variant")
    for row in [row for row, variant in rows if variant == "b"][:100]:
        click(field.store, row, NOON + DAY)  # type: ignore[arg-type]
    assert experiments.decide(field.store, test_of(field, campaign), NOON + 2 * DAY)
    rest = count(field, campaign, "status, variant, next_attempt_at, expires_at")
    assert any(
        key == ("planned", "b", NOON + 2 * DAY, NOON + 3 * DAY) for key in rest
    )  # at once, and of use for a day from then on


def test_with_local_the_test_is_drawn_from_zones_that_are_over_by_then(field: Field) -> None:
    zones = {"Asia/Tokyo": 60, "Europe/Berlin": 60, "America/New_York": 60}
    rows: dict[int, str] = {}
    for zone, people in zones.items():
        added = field.people(people, first=len(rows))
        rows |= dict.fromkeys(added, zone)
    with field.store.write() as connection:
        sql = "UPDATE subscriptions SET timezone = ? WHERE id = ?"
        connection.executemany(sql, [(zone, row) for row, zone in rows.items()])
    wish = {"at": "tomorrow 18:00", "local": True, "test_share": "30%"}
    campaign = field.freeze(decide_after="9h", **wish)
    tokyo = timing.moment("2026-04-29T18:00:00+09:00")
    one = test_of(field, campaign)
    assert one.decide_at == tokyo + 9 * HOUR  # Berlin is at 20:00, New York at 14:00
    tested, late = Counter[str](), set()
    for row, variant, due in list_rows(
        field, campaign, "subscription_id, variant, next_attempt_at"
    ):
        zone = rows[row]  # type: ignore[index]
        tested[zone] += variant is not None
        if variant is None:
            late.add((zone, due))
    assert tested["America/New_York"] == 0
    assert 20 < tested["Asia/Tokyo"] + tested["Europe/Berlin"] < 90  # 54 of all 180 people
    new_york = timing.moment("2026-04-29T18:00:00-04:00")
    assert ("America/New_York", new_york) in late
    assert {due for zone, due in late if zone != "America/New_York"} == {one.decide_at}

    with pytest.raises(UsageError, match=r"Decide at 2026-04-29 10:00 .*or later"):
        planned(field, decide_after="30m", again=True, **wish)


def test_a_decision_at_once_is_refused(field: Field) -> None:
    field.people(4)
    with pytest.raises(UsageError, match="before the messages"):
        planned(field, test_share="50%", decide_after="0h")


def test_a_paused_campaign_is_decided_once_it_goes_on(field: Field) -> None:
    field.people(40)
    campaign = field.freeze(test_share="50%")
    manage.pause(field.store, campaign.name, NOON)
    sweep.run(field.config, field.store, NOON + 5 * HOUR)
    assert test_of(field, campaign).state is State.TESTING
    assert count(field, campaign, "status") == {("planned",): 40}


def test_a_pause_before_the_test_was_out_moves_the_decision(
    field: Field, service: PushService
) -> None:
    config = sending.led_to(field.config, service)
    field.people(40)
    campaign = field.freeze(test_share="50%", decide_after="4h")
    manage.pause(field.store, campaign.name, NOON)
    later = NOON + 6 * HOUR
    manage.resume(field.store, config, campaign.name, later, deliver.Options(patience=0.0))
    assert test_of(field, campaign).decide_at == later + 4 * HOUR
    waiting = count(field, campaign, "cause, next_attempt_at, expires_at")
    assert ("awaits_winner", later + 4 * HOUR, later + 28 * HOUR) in waiting
    # Once it is out, a pause moves nothing.
    manage.pause(field.store, campaign.name, later + HOUR)
    manage.resume(
        field.store, config, campaign.name, later + 2 * HOUR, deliver.Options(patience=0.0)
    )
    assert test_of(field, campaign).decide_at == later + 4 * HOUR


def test_a_cancelled_campaign_has_no_winner_to_send(field: Field) -> None:
    field.people(40)
    campaign = field.freeze(test_share="50%")
    manage.cancel(field.store, field.config, campaign.name, NOON)
    sweep.run(field.config, field.store, NOON + 5 * HOUR)
    assert count(field, campaign, "status, cause") == {("skipped", "cancelled"): 40}
    assert test_of(field, campaign).state is State.STOPPED


def test_a_person_picks_or_stops_and_that_is_the_end_of_it(field: Field) -> None:
    field.people(40)
    picked = field.freeze(test_share="50%", name="one")
    waiting = field.store.experiments.count_others(test_of(field, picked).id)["waiting"]
    one, released = experiments.pick(field.store, "one", "b", NOON + HOUR)
    assert (one.winner, one.cause, released) == ("b", "picked", waiting)
    assert count(field, picked, "variant, next_attempt_at")["b", NOON + HOUR] == waiting
    with pytest.raises(UsageError, match="b won"):
        experiments.pick(field.store, "one", "a", NOON + HOUR)

    stopped = field.freeze(test_share="50%", name="two")
    experiments.stop(field.store, "two", NOON + HOUR)
    assert ("skipped", "test_stopped") in count(field, stopped, "status, cause")
    with pytest.raises(UsageError, match="no arm 'x'"):
        experiments.pick(field.store, "two", "x", NOON)


def test_people_with_any_of_the_arms_have_the_message(field: Field) -> None:
    field.people(30)
    campaign = field.freeze(again=False)
    accept(field, campaign, {})
    assert planned(field, NOON + MINUTE).left_out.received == 30


def test_a_retry_keeps_the_arms(field: Field) -> None:
    field.people(30)
    write_text(field, "sale/en.b.toml", "{{ attributes.size }}")
    campaign = field.freeze()
    before = dict(list_rows(field, campaign, "subscription_id, variant"))
    write_text(field, "sale/en.b.toml", "{{ attributes.size or 'any' }}")
    rows, _ = field.store.deliveries.claim_fresh(campaign.id, 0, 100, NOON)
    ends = {"a": ("accepted", None), "b": ("rejected", Cause.NO_MESSAGE)}
    field.store.deliveries.finish(
        (
            FinishedRow(row.id, ends[row.variant or "a"][0], "x", ends[row.variant or "a"][1])
            for row in rows
        ),
        NOON,
    )
    made = retry.plan(field.store, field.config, campaign.name, NOON + MINUTE)
    assert set(made.receivers) == {one for one, variant in before.items() if variant == "b"}
    retry.start(field.store, field.config, made, NOON + MINUTE)
    assert dict(list_rows(field, campaign, "subscription_id, variant")) == before


@pytest.mark.parametrize("picks", [False, True])
def test_what_waited_at_a_restore_gets_the_winner_when_it_is_sent_again(
    field: Field, picks: bool
) -> None:
    field.people(30)
    campaign = field.freeze(test_share="50%", decide_after="4h")
    restoring.hold_back(field.store, NOON)
    assert count(field, campaign, "status") == {("in_doubt",): 30}
    if picks:
        experiments.pick(field.store, campaign.name, "b", NOON + MINUTE)
    manage.send_again(field.store, field.config, campaign.name, NOON + HOUR)
    rest = count(field, campaign, "variant, variant_probability, cause")
    assert (("b", 1.0, "by_hand") if picks else (None, None, "awaits_winner")) in rest
    assert sum(rest.values()) == 30
    assert {variant for variant, share, _ in rest if share == 0.5} == {"a", "b"}


def test_each_message_of_a_series_is_a_test_of_its_own(field: Field) -> None:
    field.people(40)
    draft = Draft(
        everyone=True, template="sale", every="day 18:00", test_share="50%", decide_after="2h"
    )
    recurring.add_series(field.store, field.config, draft, NOON)
    evening = timing.moment("2026-04-28T18:00:00+00:00")
    for day in range(2):
        now = evening + day * DAY
        assert list(recurring.carry_out(field.store, field.config, now)) == []
    first, second = reversed(field.store.experiments.list_all())
    assert (first.decide_at, second.decide_at) == (evening + 2 * HOUR, evening + DAY + 2 * HOUR)
    arms = [
        dict(list_rows(field, field.store.campaigns.get(one.name), "subscription_id, variant"))
        for one in (first, second)
    ]
    assert arms[0] != arms[1]  # the same people would always get b


def test_a_kill_at_any_line_of_the_decision_leaves_it_to_come_or_done(
    field: Field, tmp_path: Path
) -> None:
    """`tests/faults/kill_decision.py --kills 300` is the long form, with kills at any time."""
    field.people(200)
    campaign = field.freeze(test_share="50%", decide_after="4h")
    accept(field, campaign, {"a": 2, "b": 25})
    one, now = test_of(field, campaign), NOON + 4 * HOUR
    field.store.close()
    traced = killed.files_of(experiments, stored, assignment)

    def decide(path: Path) -> None:
        with Store(path) as store:
            experiments.decide(store, one, now)

    whole = killed.copy_database(field.store.path, tmp_path / "whole" / "a.db")
    points = killed.find_points(lambda: decide(whole), traced, [whole.parent])
    seen = Counter[str]()
    for at in points.first:
        path = killed.copy_database(field.store.path, tmp_path / f"{at}" / "a.db")
        assert killed.run(lambda path=path: decide(path), at, traced)  # type: ignore[misc]
        with Store(path) as store:
            found = store.experiments.get(one.name)
            waiting = store.experiments.count_others(one.id)["waiting"]
            assert (found.state is State.DECIDED) == (waiting == 0)
            seen[found.state] += 1
            # The next sweep decides what was not decided, and nothing twice.
            experiments.decide(store, one, now)
            assert store.experiments.get(one.name).winner == "b"
            assert store.experiments.count_others(one.id)["waiting"] == 0
    assert seen[State.TESTING]
