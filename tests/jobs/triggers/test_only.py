"""`only` of a step: it depends on the reaction to the messages before it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl.errors import InputError, NotFoundError, PushctlError
from pushctl.jobs.triggers import describe, explain, lint, replay
from pushctl.model import InteractionKind, Millis
from pushctl.rules.audience import expression, parse
from pushctl.rules.triggers import declaration, only
from pushctl.rules.triggers.only import Reacted
from pushctl.rules.triggers.trigger import Trigger
from pushctl.store import Store
from pushctl.store.interactions import Interaction
from tests.support import DAY, HOUR, MINUTE, NOON
from tests.support.shop import Shop


def series(asked: str, *, first: str = 'template = "one"', third: str = "") -> str:
    return f"""
[triggers.series]
on    = "signed_up"
steps = [
  {{ {first} }},
  {{ after = "1h", template = "two", only = "{asked}" }},
  {third}
]
"""


@pytest.fixture
def shop(tmp_path: Path, store: Store) -> Iterator[Shop]:
    return Shop(tmp_path, store, series("not clicked('series/1')"))


def click(shop: Shop, person: int, at: Millis) -> None:
    last = [one for one in shop.sent if one.person == person][-1]
    key = f"{last.delivery}:clicked:{at}"
    shop.store.interactions.add(
        Interaction(last.delivery, InteractionKind.CLICKED, None, at, key)
    )


def run_series(shop: Shop, person: int, at: Millis, *, clicks: bool = False) -> list[str]:
    """Let *person* sign up at *at*; return the steps that they got in the next hours."""
    before = len(shop.got(person))
    shop.event(person, "signed_up", at)
    shop.sweep(at)
    if clicks:
        click(shop, person, at + MINUTE)
    for hours in (1, 2, 3):
        shop.sweep(at + hours * HOUR)
    return [name for name, _ in shop.got(person)[before:]]


@pytest.mark.parametrize("asked", ["series/1", "step 1", "step before"])
def test_a_second_message_goes_to_who_did_not_click_the_first(shop: Shop, asked: str) -> None:
    quoted = asked if asked.startswith("step") else f"'{asked}'"
    shop.declare(series(f"not clicked({quoted})"))
    ann, bob = shop.person(), shop.person()
    assert run_series(shop, ann, NOON) == ["series/1", "series/2"]
    assert run_series(shop, bob, NOON + DAY, clicks=True) == ["series/1"]
    which = "before" if asked == "step before" else "of step 1"
    assert (
        "deliver", f"step 2 was due, not clicked the message {which}"
    ) in shop.why(ann)  # fmt: skip
    assert ("skip", f"only: clicked the message {which}") in shop.why(bob)


def test_a_click_of_an_earlier_enrolment_says_nothing_of_this_one(shop: Shop) -> None:
    ann = shop.person()
    assert run_series(shop, ann, NOON, clicks=True) == ["series/1"]
    assert run_series(shop, ann, NOON + 30 * DAY) == ["series/1", "series/2"]


def test_with_a_time_all_messages_count(shop: Shop) -> None:
    shop.declare(series("not clicked('series/1') within 60d"))
    ann = shop.person()
    assert run_series(shop, ann, NOON, clicks=True) == ["series/1"]
    assert run_series(shop, ann, NOON + 30 * DAY) == ["series/1"]


def test_a_skipped_step_leads_to_the_next_and_before_is_the_last_that_went_out(
    shop: Shop,
) -> None:
    third = '{ after = "2h", template = "three", only = "clicked(step before)" },'
    shop.declare(series("not clicked(step before)", third=third))
    ann, bob = shop.person(), shop.person()
    assert run_series(shop, ann, NOON, clicks=True) == ["series/1", "series/3"]
    assert run_series(shop, bob, NOON + DAY) == ["series/1", "series/2"]


def test_a_tested_template_is_asked_about_alone_or_with_the_others(shop: Shop) -> None:
    tested = 'templates = ["one", "three"]'
    shop.declare(series("clicked('series/1')", first=tested))
    ann = shop.person()
    got = run_series(shop, ann, NOON, clicks=True)
    assert len(got) == 2
    other = "three" if got[0].endswith("/one") else "one"
    shop.declare(series(f"not clicked('series/1/{other}')", first=tested))
    assert run_series(shop, ann, NOON + DAY, clicks=True) == [got[0], "series/2"]


def test_the_rest_of_the_audience_language_holds_too(shop: Shop) -> None:
    shop.declare(series("tag('VIP') and shown(step 1) or event('asked')"))
    ann, bob, cid = (shop.person() for _ in range(3))
    shop.store.tags.add([ann], "VIP", NOON, None)
    shop.event(cid, "asked", NOON)
    assert [len(run_series(shop, one, NOON + HOUR)) for one in (ann, bob, cid)] == [2, 1, 2]


def test_a_batch_asks_once_for_all_reactions(shop: Shop) -> None:
    people = [shop.person() for _ in range(30)]
    for one in people:
        shop.event(one, "signed_up", NOON)
    shop.sweep(NOON)
    statements: list[str] = []
    shop.store.connection.set_trace_callback(statements.append)
    shop.sweep(NOON + HOUR)
    shop.store.connection.set_trace_callback(None)
    assert sum("WITH messages" in one for one in statements) == 1
    assert len([one for one in shop.sent if one.campaign == "series/2"]) == 30


def test_an_audience_that_cannot_be_read_rests_its_trigger_alone(shop: Shop) -> None:
    other = '[triggers.other]\non = "signed_up"\nsteps = [{ template = "three" }]\n'
    shop.declare(series("not clicked('serie')") + other)
    ann = shop.person()
    assert run_series(shop, ann, NOON) == ["other/1"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("not clicked('series/9')", "Did you mean 'series/"),
        ("not clicked(step 2)", "which comes later"),
        ("not clicked(step 0)", "counted from 1"),
        ("clicked(step 1) within 2d", "no time of its own"),
        ("clicked(step one)", "Write step 1, or step before."),
    ],
)
def test_check_names_what_cannot_be_asked(shop: Shop, asked: str, said: str) -> None:
    shop.declare(series(asked))
    found = [one for level, one in lint.check_triggers(shop.config) if level == "problem"]
    assert len(found) == 1
    assert "triggers.series.steps.2.only" in found[0].place
    assert "pushctl.toml:" in found[0].place
    assert said in f"{found[0].fault}"


def test_check_names_the_nearest_of_another_triggers_steps(shop: Shop) -> None:
    other = '[triggers.other]\non = "x"\nsteps = [{ templates = ["one", "two"] }]\n'
    shop.declare(series("not clicked('other/1')") + other)
    found = list(lint.find_unknown_campaigns(shop.config, shop.store))
    assert [one.fault for one in found] == [
        "no step's campaign is called 'other/1'. Did you mean 'other/1/two'?"
    ]
    shop.declare(series("not clicked('other/1/one')") + other)
    assert not list(lint.find_unknown_campaigns(shop.config, shop.store))


def test_only_a_step_may_ask_about_steps() -> None:
    with pytest.raises(InputError, match="only ="):
        parse.parse("clicked(step 1)")


def test_what_a_step_asks_is_written_as_it_is_read() -> None:
    text = "not clicked(step 1) and sent(step before) and shown(step 2) >= 2"
    assert expression.text(parse.parse(text, steps=True)) == text


@pytest.mark.parametrize("op", ["=", "!=", "<", "<=", ">", ">="])
def test_reactions_are_counted(op: str) -> None:
    asked = parse.parse(f"clicked(step 1) {op} 2", steps=True)
    assert isinstance(asked, expression.OfStep)
    for times in range(4):
        reactions = [Reacted(1, "a/1", "clicked", times), Reacted(2, "a/2", "clicked", 2)]
        assert only.holds(asked, 2, reactions) == eval(f"{times} {'==' if op == '=' else op} 2")


def test_a_call_is_never_shown() -> None:
    table = {
        "on": "x",
        "steps": [{"exec": ["./sms"]}, {"template": "one", "only": "shown(step 1)"}],
    }
    trigger, _ = declaration.parse("a", table)
    assert isinstance(trigger, Trigger)
    with pytest.raises(PushctlError, match="never shown"):
        only.read(trigger, 2, {})
    with pytest.raises(NotFoundError, match="no segment"):
        only.resolve(parse.expand(parse.parse("segment('x')"), {}), trigger, 2)


def test_show_explain_test_and_replay_know_it(shop: Shop) -> None:
    ann, bob = shop.person(), shop.person()
    trigger = shop.config.triggers["series"]
    lines = dict(describe.describe_trigger(shop.config, trigger, "on"))
    assert lines["Step 2"].endswith("; only: not clicked the message of step 1")
    shop.event(ann, "signed_up", NOON)
    shop.sweep(NOON)
    who = shop.store.subscriptions.get(str(ann), NOON)
    timeline = explain.timeline(shop.config, shop.store, who, NOON)
    assert timeline[-1].text.endswith("; only: not clicked the message of step 1")

    for clicked, kinds in (((), ["deliver"]), ((1,), ["skip"])):
        happened = describe.rehearse(shop.config, shop.store, "series", who, NOON, {}, clicked)
        assert [one.kind for one in happened if one.step == 2] == kinds

    run_series(shop, bob, NOON + DAY, clicks=True)
    shop.sweep(NOON + HOUR)
    rules = replay.load_rules(shop.config, shop.store, None)
    messages = replay.replay_events(shop.config, shop.store, rules, NOON, NOON + 2 * DAY)
    assert sorted(one.campaign for one in messages) == ["series/1", "series/1", "series/2"]
