"""Tests of triggers' steps: who gets which arm, for how long, and what the row says of it."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl.jobs.campaigns import experiments
from pushctl.jobs.sweep import sweep
from pushctl.jobs.triggers import explain, lint
from pushctl.model import InteractionKind, Millis
from pushctl.rules.lots import lot
from pushctl.rules.triggers import declaration
from pushctl.rules.triggers.arms import Fall, Standing, find_fall, list_arms
from pushctl.rules.triggers.trigger import Trigger, held_out, template_for
from pushctl.store import Store
from pushctl.store.experiments import State
from pushctl.store.interactions import Interaction
from tests.support import DAY, HOUR, MINUTE, NOON
from tests.support.shop import Shop, decide_all


def declare(step: str, *, more: str = "") -> str:
    return f"""
[triggers.welcome]
on = "signed_up"
{more}
steps = [{{ after = "1m", {step} }}]
"""


def parse(step: str) -> Trigger:
    table = {"on": "signed_up", "steps": [step]}
    trigger, faults = declaration.parse("welcome", table)
    assert trigger is not None, faults
    return trigger


VARIANTS = 'template = "one", variants = ["a", "b"]'
TEMPLATES = 'templates = ["one", "two"]'


@pytest.fixture
def shop(tmp_path: Path, store: Store) -> Iterator[Shop]:
    made = Shop(tmp_path, store, declare(VARIANTS))
    text = 'title = "one b"\nbody = "Hello"\n'
    (tmp_path / "templates/one/en.b.toml").write_text(text)
    return made


def welcome(shop: Shop, people: list[int], at: Millis = NOON) -> None:
    for person in people:
        shop.event(person, "signed_up", at)
    shop.sweep(at)
    shop.sweep(at + MINUTE)


def rows(shop: Shop, columns: str) -> list[tuple[object, ...]]:
    sql = f"SELECT {columns} FROM deliveries AS d JOIN campaigns AS c ON c.id = d.campaign_id"
    return shop.store.connection.execute(f"{sql} ORDER BY d.id").fetchall()


def arms_of(shop: Shop) -> dict[int, str]:
    """Return the newest arm of each person."""
    found = rows(shop, "d.subscription_id, d.variant")
    return {int(str(one)): str(variant) for one, variant in found}


def give_alias(shop: Shop, *people: int) -> None:
    with shop.store.write() as connection:
        for person in people:
            sql = "UPDATE subscriptions SET alias = 'mia', alias_trusted = 1 WHERE id = ?"
            connection.execute(sql, (person,))


def test_lots_never_change() -> None:
    """An upgrade must not move anybody to another arm or out of a control group."""
    assert lot("template", "basket", "1", "A" * 22) == 0.7626358888011
    assert lot("holdout", "basket", "B" * 22) == 0.3194221537854446
    assert lot("variant", "sale 2026-11-29", "C" * 22) == 0.6651422009327863


def test_several_templates_are_drawn_as_before_there_were_variants() -> None:
    trigger = parse({"templates": ["one", "two", "three"]})  # type: ignore[arg-type]
    for number in range(200):
        person = f"person {number}"
        known = int(lot("template", "welcome", "1", person) * 3)
        assert template_for(trigger, 1, person) == ("one", "two", "three")[known]
        expected = Fall(("one", "two", "three")[known], "abc"[known], 1 / 3)
        assert find_fall(trigger, 1, person) == expected
    assert not held_out(trigger, "anybody")


def test_weights_are_the_shares_of_arms() -> None:
    trigger = parse({"template": "one", "variants": ["a", "b"], "weights": [80, 20]})  # type: ignore[arg-type]
    falls = Counter(find_fall(trigger, 1, f"person {number}") for number in range(2000))
    assert set(falls) == {Fall("one", "a", 0.8), Fall("one", "b", 0.2)}
    assert abs(falls[Fall("one", "b", 0.2)] - 400) < 90  # five standard deviations


def test_a_bandit_draws_for_each_cause_and_by_its_shares() -> None:
    trigger = parse({"template": "one", "variants": ["a", "b"], "bandit": True})  # type: ignore[arg-type]
    standing = Standing(shares={"a": 0.1, "b": 0.9})
    falls = Counter(
        find_fall(trigger, 1, "mia", f"event:{number}", standing) for number in range(2000)
    )
    assert set(falls) == {Fall("one", "a", 0.1), Fall("one", "b", 0.9)}
    assert abs(falls[Fall("one", "a", 0.1)] - 200) < 70
    assert find_fall(trigger, 1, "mia", "event:1", Standing("b")) == Fall("one", "b", 1.0)


@pytest.mark.parametrize(
    ("step", "key", "said"),
    [
        ({"variants": ["a"]}, "variants", "is ['a']"),
        ({"variants": ["b", "c"]}, "variants", "is ['b', 'c']"),
        ({"weights": [1, 2]}, "weights", "one text"),
        ({"variants": ["a", "b"], "weights": [1, 2, 3]}, "weights", "are not 2 numbers"),
        ({"variants": ["a", "b"], "weights": [1, 0]}, "weights", "is [1, 0]"),
        ({"variants": ["a", "b"], "on_tie": "worst"}, "on_tie", "is 'worst'"),
        ({"variants": ["a", "b"], "bandit": True, "decide_after": "1d"}, "bandit", "beside"),
        ({"variants": ["a", "b"], "daily_look": True}, "daily_look", "has no end"),
        ({"templates": ["x", "y"], "variants": ["a", "b"]}, "variants", "of one template"),
        ({"exec": ["./sms"], "variants": ["a", "b"]}, "variants", "of one template"),
    ],
)
def test_what_makes_no_test_is_a_fault(step: dict[str, object], key: str, said: str) -> None:
    if not {"templates", "exec"} & step.keys():
        step = {"template": "one", **step}
    table = {"on": "signed_up", "steps": [step]}
    trigger, faults = declaration.parse("welcome", table)
    assert trigger is None
    assert [(fault.path[-1], said in fault.text) for fault in faults] == [(key, True)]


def test_each_row_says_which_variant_and_how_probable_it_was(shop: Shop) -> None:
    people = [shop.person() for _ in range(60)]
    welcome(shop, people)
    found = Counter(rows(shop, "c.name, d.variant, d.variant_probability"))
    assert set(found) == {("welcome/1", "a", 0.5), ("welcome/1", "b", 0.5)}
    one = shop.store.experiments.get("welcome/1")
    counts = shop.store.experiments.count_arms(one.id)
    assert sum(arm.accepted for arm in counts.values()) == 60
    # The same person gets the same arm each time.
    before = arms_of(shop)
    welcome(shop, people, NOON + DAY)
    assert arms_of(shop) == before
    assert len(rows(shop, "d.id")) == 120


def test_templates_keep_their_campaigns_and_rows_know_the_arm(shop: Shop) -> None:
    shop.declare(declare(TEMPLATES, more="holdout = 0.2"))
    welcome(shop, [shop.person() for _ in range(40)])
    found = set(rows(shop, "c.name, d.variant, d.variant_probability, d.holdout_probability"))
    assert found == {("welcome/1/one", "a", 0.5, 0.8), ("welcome/1/two", "b", 0.5, 0.8)}
    assert shop.store.experiments.get("welcome/1").differ == "template"


def test_who_identifies_later_keeps_the_arm_of_the_first_message(shop: Shop) -> None:
    trigger = shop.config.triggers["welcome"]
    people = [shop.person() for _ in range(40)]
    lots = {
        one: find_fall(trigger, 1, shop.store.subscriptions.get(str(one), NOON).public_id)
        for one in people
    }
    elder = next(one for one in people if lots[one].variant == "a")
    younger = next(one for one in people if lots[one].variant == "b" and one > elder)
    welcome(shop, [younger])
    give_alias(shop, elder, younger)  # their lot is the elder device's from now on
    welcome(shop, [elder, younger], NOON + DAY)
    assert set(arms_of(shop).values()) == {"b"}


def test_a_language_without_the_variant_gets_a_and_is_not_compared(shop: Shop) -> None:
    (shop.folder / "templates/one/de.toml").write_text('title = "eins"\nbody = "Hallo"\n')
    german = [shop.person() for _ in range(10)]
    with shop.store.write() as connection:
        connection.execute("UPDATE subscriptions SET language = 'de'")
    welcome(shop, [*german, *(shop.person() for _ in range(10))])
    found = rows(shop, "d.variant, d.variant_probability")
    assert found[:10] == [("a", None)] * 10
    assert {probability for _, probability in found[10:]} == {0.5}
    one = shop.store.experiments.get("welcome/1")
    assert shop.store.experiments.count_others(one.id)["outside"] == 10


@pytest.mark.parametrize(("winner", "arm"), [("b", "b"), (None, "a")])
def test_after_the_decision_everybody_gets_the_winner(
    shop: Shop, winner: str | None, arm: str
) -> None:
    welcome(shop, [shop.person() for _ in range(20)])
    if winner:
        experiments.pick(shop.store, "welcome/1", winner, NOON + HOUR)
    else:
        experiments.stop(shop.store, "welcome/1", NOON + HOUR)
    welcome(shop, [shop.person() for _ in range(20)], NOON + DAY)
    assert rows(shop, "d.variant, d.variant_probability")[20:] == [(arm, 1.0)] * 20
    one = shop.store.experiments.get("welcome/1")
    assert sum(one.assigned for one in shop.store.experiments.count_arms(one.id).values()) == 20


def test_a_step_is_decided_at_its_time(shop: Shop) -> None:
    shop.declare(declare(f'{VARIANTS}, decide_after = "30d", on_tie = "first"'))
    welcome(shop, [shop.person() for _ in range(5)])
    assert shop.store.experiments.get("welcome/1").look_at == NOON + 30 * DAY
    assert shop.store.experiments.list_due(NOON + 30 * DAY - 1) == []
    (due,) = shop.store.experiments.list_due(NOON + 30 * DAY)
    experiments.decide(shop.store, due, NOON + 30 * DAY)
    one = shop.store.experiments.get("welcome/1")
    assert (one.state, one.winner, one.cause) == (State.DECIDED, "a", "tie_first")


def test_other_weights_are_another_test_and_the_same_ones_are_not(shop: Shop) -> None:
    welcome(shop, [shop.person() for _ in range(5)])
    first = shop.store.experiments.get("welcome/1")
    shop.sweep(NOON + HOUR)
    assert shop.store.experiments.get("welcome/1").id == first.id
    shop.declare(declare(f"{VARIANTS}, weights = [1, 3]"))
    welcome(shop, [shop.person() for _ in range(5)], NOON + DAY)
    second = shop.store.experiments.get("welcome/1")
    assert second.id != first.id
    counts = [shop.store.experiments.count_arms(one.id).values() for one in (first, second)]
    assert [sum(each.assigned for each in arms) for arms in counts] == [10, 5]
    shop.declare(declare('template = "one"'))
    shop.sweep(NOON + 2 * DAY)
    assert shop.store.experiments.load_steps() == {}


def test_a_bandit_sends_the_better_arm_more_often(shop: Shop) -> None:
    shop.declare(declare(f"{VARIANTS}, bandit = true"))
    people = [shop.person() for _ in range(80)]
    welcome(shop, people)
    one = shop.store.experiments.get("welcome/1")
    assert (one.rule, one.look_at) == ("bandit", None)
    assert shop.store.experiments.load_propensities(one.id) == (NOON, {"a": 0.5, "b": 0.5})
    for row, variant in rows(shop, "d.id, d.variant"):
        if variant == "b":
            kind = InteractionKind.CLICKED
            number = int(str(row))
            shop.store.interactions.add(Interaction(number, kind, None, NOON, f"{row}"))
    welcome(shop, people, NOON + DAY)
    at, shares = shop.store.experiments.load_propensities(one.id) or (0, {})
    assert at == NOON + DAY
    assert shares["b"] == pytest.approx(0.95, abs=0.001)
    later = rows(shop, "d.variant, d.variant_probability")[80:]
    assert set(later) <= {("a", shares["a"]), ("b", shares["b"])}
    assert Counter(later)["b", shares["b"]] > 60
    # Versions are let go, but for the one that it draws by.
    for _ in range(2):
        shop.store.pruning.run(NOON + 500 * DAY)
        left = shop.store.connection.execute("SELECT at FROM propensities").fetchall()
        assert left == [(at,)]
    assert shop.store.experiments.load_propensities(one.id) == (at, shares)


def test_a_variant_without_its_file_is_a_problem(shop: Shop) -> None:
    shop.declare(declare('template = "one", variants = ["a", "c"]'))
    problems = [str(problem) for _, problem in lint.check_triggers(shop.config)]
    assert any("no variant c" in problem for problem in problems), problems


def test_explain_says_which_variant_somebody_got(shop: Shop) -> None:
    person = shop.person()
    welcome(shop, [person])
    who = shop.store.subscriptions.get(str(person), NOON)
    told = [one.text for one in explain.timeline(shop.config, shop.store, who, NOON + HOUR)]
    arm = arms_of(shop)[person]
    assert any(f"variant {arm}, 1 of 2, p 0.5" in text for text in told), told


def test_a_dry_run_begins_no_test(shop: Shop) -> None:
    shop.event(shop.person(), "signed_up", NOON)
    sweep.run(shop.config, shop.store, NOON, sweep.Options(dry_run=True))
    assert shop.store.experiments.load_steps() == {}
    decide_all(shop.config, shop.store, NOON)
    assert list_arms(shop.config.triggers["welcome"].steps[0])
    assert list(shop.store.experiments.load_steps()) == [("welcome", 1)]
