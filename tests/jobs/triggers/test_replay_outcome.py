"""`replay --outcome`: what other shares of arms, fewer steps or another hour would bring."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pushctl.errors import InputError
from pushctl.jobs.triggers import replay_outcome
from pushctl.jobs.triggers.replay import Rules
from pushctl.rules import timing
from pushctl.rules.figures.figure import Row
from pushctl.rules.triggers.trigger import Frequency, Step, StepTest, Tier, Trigger
from tests.support import DAY, HOUR, NOON, sending
from tests.support.sending import Field

PEOPLE = 600
TEST = StepTest(("a", "b"), (0.5, 0.5))
BASKET = Trigger(
    "basket",
    tuple(Step((Tier(hours * HOUR),), ("sale",), test=TEST) for hours in (1, 20)),
    on=("cart_updated",),
)
BANDIT = replace(BASKET.steps[0], test=StepTest(("a", "b"), bandit=True))


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    made = sending.field(tmp_path)
    made.people(PEOPLE)
    made.config = replace(made.config, triggers={"basket": BASKET})
    yield made
    made.store.close()


def write(field: Field, probability: float = 0.5) -> list[dict[str, object]]:
    """Send both steps to all, arms at 50:50; return a line a person: arms and clicks."""
    draw = random.Random(1)
    people = [row for (row,) in field.store.connection.execute("SELECT id FROM subscriptions")]
    found: list[dict[str, object]] = [{"row": one, "weight": 1.0, "click": 0} for one in people]
    with field.store.write() as connection:
        for step in (1, 2):
            campaign = field.store.campaigns.create(
                name=f"basket/{step}", template="sale", audience="", sources={}, options={},
                now=NOON, expires_at=None, trigger="basket", step=step,
            )  # fmt: skip
            field.store.deliveries.plan(campaign.id, people, now=NOON, expires_after=DAY)
            for one in found:
                arm = draw.choice("ab")
                clicked = draw.random() < (0.3 if arm == "b" else 0.1)
                sql = """
                    UPDATE deliveries SET status = 'accepted', sent_at = ?, variant = ?,
                                          variant_probability = ?
                     WHERE campaign_id = ? AND subscription_id = ?
                """
                values = (NOON, arm, probability, campaign.id, one["row"])
                connection.execute(sql, values)
                one[f"arm{step}"] = arm
                one[f"click{step}"] = clicked
                if clicked:
                    sql = """
                        INSERT INTO interactions (delivery_id, kind, at, dedupe_key)
                        SELECT id, 'clicked', ?, 'c' || id FROM deliveries
                         WHERE campaign_id = ? AND subscription_id = ?
                    """
                    connection.execute(sql, (NOON, campaign.id, one["row"]))
    return found


def ask(
    field: Field, new: Trigger = BASKET, arms: dict[tuple[str, int], str] | None = None
) -> Row:
    rules = Rules({new.name: new}, Frequency(), {}, held=False)
    rows = list(
        replay_outcome.estimate_triggers(
            field.store, field.config, rules, NOON - DAY, NOON + DAY, arms or {}
        )
    )
    return rows[0] if rows else {}


def with_weights(*weights: float) -> Trigger:
    first = replace(BASKET.steps[0], test=replace(TEST, weights=weights))
    return replace(BASKET, steps=(first, BASKET.steps[1]))


def test_the_same_rules_bring_what_came(field: Field) -> None:
    people = write(field)
    found = ask(field)
    came = sum(bool(one["click1"] or one["click2"]) for one in people)
    assert found["clicked_did"] == found["clicked"] == came
    assert found["people"] == found["effective"] == PEOPLE
    assert found["orders_did"] == found["orders"] == found["orders_low"] == 0
    assert found["orders_high"] == round(0.006359 * PEOPLE)  # Wilson, 0 of 600


def test_other_shares_weigh_each_person_by_their_draws(field: Field) -> None:
    people = write(field)
    found = ask(field, with_weights(0.2, 0.8))
    gain = weight = 0.0
    for one in people:
        mine = (0.2 if one["arm1"] == "a" else 0.8) / 0.5
        weight += mine
        gain += mine * bool(one["click1"] or one["click2"])
    assert found["clicked"] == round(gain / weight * PEOPLE)
    assert isinstance(found["clicked_low"], int)
    assert isinstance(found["clicked_high"], int)
    assert found["clicked_low"] < found["clicked"] < found["clicked_high"]


def test_one_arm_alone_in_both_steps_multiplies(field: Field) -> None:
    people = write(field)
    found = ask(field, arms={("basket", 1): "b", ("basket", 2): "b"})
    both = [one for one in people if one["arm1"] == one["arm2"] == "b"]
    share = sum(bool(one["click1"] or one["click2"]) for one in both) / len(both)
    assert found["effective"] == len(both)
    assert found["clicked"] == round(share * PEOPLE)


def test_without_the_last_step_only_the_first_counts(field: Field) -> None:
    people = write(field)
    found = ask(field, replace(BASKET, steps=BASKET.steps[:1]))
    assert found["clicked"] == sum(bool(one["click1"]) for one in people)


@pytest.mark.parametrize(
    ("new", "arms", "why"),
    [
        (replace(BASKET, on=("viewed",)), {}, "no lot ever decided on"),
        (replace(BASKET, steps=(*BASKET.steps, BASKET.steps[0])), {}, "nobody ever got step 3"),
        (
            replace(BASKET, steps=(replace(BASKET.steps[0], after=(Tier(HOUR * 2),)),)),
            {},
            "what step 1 changes",
        ),
        (BASKET, {("basket", 1): "c"}, "never could get it"),
        (
            replace(BASKET, steps=(BANDIT,)),
            {},
            "a bandit finds",
        ),
    ],
)  # fmt: skip
def test_what_the_log_cannot_answer_has_no_number(
    field: Field, new: Trigger, arms: dict[tuple[str, int], str], why: str
) -> None:
    write(field)
    found = ask(field, new, arms)
    assert why in str(found["why"])
    assert "clicked" not in found


def test_too_few_and_a_broken_log_are_told(field: Field) -> None:
    write(field, probability=0.8)  # half of them drew each arm, and 80 % is written down
    assert "not those of the draws" in str(ask(field, arms={("basket", 1): "b"})["why"])
    run = field.store.connection.execute
    run("UPDATE deliveries SET variant_probability = 0.5")
    run("UPDATE deliveries SET status = 'skipped' WHERE subscription_id > 150")
    assert "effective of the 100" in str(ask(field, arms={("basket", 1): "b"})["why"])


def test_a_step_that_is_not_there_is_a_mistake(field: Field) -> None:
    with pytest.raises(InputError, match="basket/7"):
        ask(field, arms={("basket", 7): "b"})


def test_after_the_decision_nobody_could_get_the_other_arm(field: Field) -> None:
    write(field)
    run = field.store.connection.execute
    settled = "UPDATE deliveries SET variant = 'b', variant_probability = 1"
    run(f"{settled} WHERE subscription_id > 500")
    assert "--until" in str(ask(field, with_weights(0.9, 0.1))["why"])


def test_broadcasts_at_one_hour(field: Field) -> None:
    """Half of the people at each of two hours; twice as many click at the later one."""
    draw = random.Random(8)
    people = [row for (row,) in field.store.connection.execute("SELECT id FROM subscriptions")]
    campaign = field.store.campaigns.create(
        name="sale", template="sale", audience="", sources={}, options={"explore": "50%"},
        now=NOON, expires_at=None,
    )  # fmt: skip
    field.store.deliveries.plan(campaign.id, people, now=NOON, expires_after=DAY)
    later, clicks = 0, 0
    with field.store.write() as connection:
        for one in people:
            is_later = draw.random() < 0.5
            clicked = draw.random() < (0.4 if is_later else 0.2)
            later += is_later
            clicks += is_later and clicked
            sent = NOON + HOUR * is_later
            values = (sent, sent if clicked else None, campaign.id, one)
            connection.execute(
                """
                UPDATE deliveries SET status = 'accepted', sent_at = ?, clicked_at = ?,
                                      hour_probability = 0.5
                 WHERE campaign_id = ? AND subscription_id = ?
                """,
                values,
            )
    zone = field.config.zone
    hour = timing.local(NOON + HOUR, zone).hour
    found = replay_outcome.estimate_hour(
        field.store, field.config, hour, NOON - DAY, NOON + DAY
    )
    assert found["effective"] == later
    assert found["clicked"] == round(clicks / later * PEOPLE)
    never = replay_outcome.estimate_hour(
        field.store, field.config, (hour + 6) % 24, NOON - DAY, NOON + DAY
    )
    assert never["why"] == "nobody was drawn"
