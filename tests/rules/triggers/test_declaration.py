"""Triggers as a marketer writes them: what is read, what is refused and with which words."""

import re
import tomllib
from typing import Any

import pytest

from pushctl import shipped
from pushctl.rules import conditions
from pushctl.rules.triggers.declaration import parse, parse_all, parse_frequency
from pushctl.rules.triggers.trigger import (
    Frequency,
    From,
    Goal,
    Kind,
    Tier,
    Trigger,
    campaign_name,
    held_out,
    template_for,
)
from pushctl.rules.units import DAY, HOUR, MINUTE

BASKET = """
on        = "cart_updated"
cancel_on = ["purchase", "cart_emptied"]
tag       = "Abandoned basket 1"
audience  = "not tag('staff')"
goal      = { event = "purchase", within = "24h" }
quiet     = "21:00-08:00"
holdout   = 0.05
reentry   = "1d"
steps = [
  { after = "3m",  template = "abandoned_basket_1", ttl = "30m", max_late = "15m" },
  { after = "90m", template = "abandoned_basket_discount", promo = "BASKET15", from = "shown" },
]
"""
STEPS = 'steps = [{ after = "3m", template = "hello" }]\n'


def read(text: str) -> Trigger:
    trigger, faults = parse("basket", tomllib.loads(text))
    assert trigger is not None, faults
    return trigger


def faults(text: str) -> dict[str, str]:
    trigger, found = parse("basket", tomllib.loads(text))
    assert trigger is None
    return {".".join(fault.path[2:]): f"{fault.text} {fault.remedy}" for fault in found}


def test_the_basket_of_the_example_is_read() -> None:
    trigger = read(BASKET)
    assert trigger.on == ("cart_updated",)
    assert trigger.stops == {"purchase", "cart_emptied"}
    assert trigger.goal == Goal("purchase", DAY)
    assert str(trigger.quiet) == "21:00-08:00"
    assert trigger.reentry == DAY
    first, second = trigger.steps
    assert (first.after, first.ttl, first.max_late) == (
        (Tier(3 * MINUTE),),
        30 * MINUTE,
        15 * MINUTE,
    )
    assert (second.since, second.promo) == (From.SHOWN, "BASKET15")


def test_a_price_table_gives_the_delay() -> None:
    tiers = '[{ below = 50, after = "10m" }, { below = 200, after = "30m" }, { after = "1d" }]'
    (step,) = read(
        f'on = "cart_updated"\nsteps = [{{ after = {tiers}, template = "a" }}]'
    ).steps
    assert [step.delay(value) for value in (49.9, 50, 199, 200, None)] == [
        10 * MINUTE,
        30 * MINUTE,
        30 * MINUTE,
        DAY,
        DAY,
    ]


def test_and_not_waits_before_the_enrolment_begins() -> None:
    trigger = read(f'on = "trial_viewed"\nunless = "downloaded"\nwithin = "2h"\n{STEPS}')
    assert trigger.wait == 2 * HOUR
    assert "downloaded" in trigger.stops


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('date = { attribute = "birthday", days = -3, at = "09:00" }', Kind.DATE),
        ('inactive = "30d"', Kind.INACTIVE),
        ('feed = "https://shop.example/feed.xml"', Kind.FEED),
        ('on = "subscribed"', Kind.EVENT),
    ],
)
def test_what_can_start_a_trigger(text: str, kind: Kind) -> None:
    assert read(f"{text}\n{STEPS}").kind is kind


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (STEPS, "", "Give exactly one of"),
        (f'on = "a"\ninactive = "30d"\n{STEPS}', "", "on and inactive starts it"),
        ('on = "a"', "steps", "has no message"),
        (f'on = "a"\ncancel_onn = "b"\n{STEPS}', "cancel_onn", "cancel_on"),
        ('on = "a"\nsteps = [{ after = "soon", template = "b" }]', "steps.1.after", "3m, 24h"),
        ('on = "a"\nsteps = [{ after = "3m" }]', "steps.1.template", "Give one of: template"),
        ('on = "a"\nsteps = ["b"]', "steps.1", "is not a table"),
        (
            'on = "a"\nsteps = [{ after = "3m", from = "shown", template = "b" }]',
            "steps.1.from",
            "before the first",
        ),
        (
            'on = "a"\nsteps = [{ template = "b", max_late = "5s" }]',
            "steps.1.max_late",
            "under a minute",
        ),
        (
            'on = "a"\nsteps = [{ template = "b", ttl = "5w" }]',
            "steps.1.ttl",
            "Push services keep nothing longer",
        ),
        (
            'on = "a"\nsteps = [{ template = "b", after = [{ after = "1d", below = 5 }] }]',
            "steps.1.after",
            "Prices must rise",
        ),
        ('on = "a"\nsteps = [{ exec = "sms.py" }]', "steps.1.exec", "and its arguments"),
        ('on = "a"\nsteps = [{ exec = [] }]', "steps.1.exec", "and its arguments"),
        (
            'on = "a"\nsteps = [{ template = "b", webhook = "c" }]',
            "steps.1.template",
            "beside webhook",
        ),
        (
            'on = "a"\nsteps = [{ webhook = "c" }, { template = "b", from = "shown" }]',
            "steps",
            'from = "accepted"',
        ),
        (f'on = ["a", "b"]\n{STEPS}', "within", "A sequence needs a time"),
        (f'on = "a"\nunless = "b"\n{STEPS}', "within", "How long to watch"),
        (f'on = "a"\nwithin = "1h"\n{STEPS}', "within", "has no use here"),
        (f'on = "a"\ncancel_on = "a"\n{STEPS}', "cancel_on", "both starts and stops"),
        (f'on = "a"\nholdout = 5\n{STEPS}', "holdout", "0.05 holds back"),
        (f'on = "a"\nquiet = "21-8"\n{STEPS}', "quiet", "18:00"),
        (f'on = "a"\ngoal = {{ within = "1d" }}\n{STEPS}', "goal", "has no event"),
        (f'on = "a"\nwhere = {{ value = ">= much" }}\n{STEPS}', "where", "with no number"),
        (f'date = {{ attribute = "b", days = 900 }}\n{STEPS}', "date.days", "a year"),
        (f'feed = "shop.example/feed"\n{STEPS}', "feed", "https://"),
        (f'on = "a"\nrestart = "no"\n{STEPS}', "restart", "true or false"),
        (f'on = "a"\npriority = 1.5\n{STEPS}', "priority", "whole number"),
    ],
)
def test_what_cannot_be_meant_is_named_with_its_remedy(
    text: str, place: str, words: str
) -> None:
    found = faults(text)
    assert place in found
    assert words in found[place]


@pytest.mark.parametrize("name", ["basket/1", "", "Two words", "x" * 65])
def test_a_name_that_a_campaign_could_not_bear_is_refused(name: str) -> None:
    trigger, (fault,) = parse(name, tomllib.loads(f'on = "a"\n{STEPS}'))
    assert trigger is None
    assert (fault.path, fault.text) == (("triggers", name), "is not a usable name")


def test_every_fault_is_found_at_once() -> None:
    found = faults('on = "a"\nquiet = "x"\nholdout = 2\nsteps = [{ after = "y" }]')
    assert set(found) == {"quiet", "holdout", "steps.1.after", "steps.1.template"}


def test_a_faulty_trigger_does_not_hide_the_others() -> None:
    triggers, wrong = parse_all({"good": tomllib.loads(f'on = "a"\n{STEPS}'), "bad": 3})
    assert list(triggers) == ["good"]
    assert wrong[0].path == ("triggers", "bad")


def test_a_frequency_cap_is_read() -> None:
    found, wrong = parse_frequency({"messages": 3, "within": "12h", "spacing": "10m"})
    assert (found, wrong) == (Frequency(3, 12 * HOUR, 10 * MINUTE), [])
    assert parse_frequency({"messages": 0})[1]
    assert parse_frequency({"mesages": 2})[1][0].remedy == "Did you mean messages?"


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"value": ">= 50"}, True),
        ({"value": "< 50"}, False),
        ({"value": 59.9}, True),
        ({"text_value": "> 10"}, True),
        ({"page": "/trial/*"}, True),
        ({"page": "/TRIAL/start"}, True),
        ({"page": "/buy/*"}, False),
        ({"line": ["mac", "windows"]}, True),
        ({"line": ["mac", "linux"]}, False),
        ({"line": "!= mac"}, True),
        ({"cart.total": "== 59.9"}, True),
        ({"cart.nothing": "> 1"}, False),
        ({"nothing": "!= x"}, True),
        ({"nothing": "x"}, False),
        ({"new": True}, True),
        ({"new": False}, False),
        ({"value": ">= 50", "page": "/buy/*"}, False),
    ],
)
def test_conditions(condition: dict[str, Any], holds: bool) -> None:
    carried = {
        "value": 59.9,
        "text_value": "12",
        "page": "/trial/start",
        "line": "Windows",
        "cart": {"total": 59.9},
        "new": True,
    }
    unmet = conditions.unmet(conditions.parse(condition), carried)
    assert (unmet is None) is holds


def test_nobody_changes_group_and_the_share_is_right() -> None:
    trigger = read(BASKET)
    people = [f"person-{number}" for number in range(4000)]
    held = [person for person in people if held_out(trigger, person)]
    assert held == [person for person in people if held_out(trigger, person)]
    assert 150 < len(held) < 250


def test_a_test_of_templates_gives_each_person_the_same_one() -> None:
    trigger = read('on = "a"\nsteps = [{ templates = ["x", "y"] }]')
    given = [template_for(trigger, 1, f"person-{number}") for number in range(2000)]
    assert given == [template_for(trigger, 1, f"person-{number}") for number in range(2000)]
    assert 900 < given.count("x") < 1100


def test_each_template_of_a_test_is_counted_apart() -> None:
    alone = read('on = "a"\nsteps = [{ template = "a" }]').steps[0]
    tested = read('on = "a"\nsteps = [{ templates = ["a", "b"] }]').steps[0]
    assert campaign_name("basket", 1, alone, "a") == "basket/1"
    assert campaign_name("basket", 2, tested, "b") == "basket/2/b"


def test_a_step_on_another_channel_is_counted_apart() -> None:
    steps = read('on = "a"\nsteps = [{ exec = ["bin/sms", "-x"] }, { webhook = "crm" }]').steps
    assert [(one.channel, one.templates) for one in steps] == [
        ("exec", ("exec sms",)), ("webhook", ("webhook crm",)),
    ]  # fmt: skip
    names = [campaign_name("basket", 1, one, one.templates[0]) for one in steps]
    assert names == ["basket/1:exec", "basket/1:webhook"]


def test_the_examples_of_the_shipped_file_work_with_the_shipped_templates() -> None:
    text = shipped.find("pushctl.toml.example").read_text("utf-8")
    lines = text[text.index("# [frequency]") :].splitlines()
    code = re.compile(r"# (\[|[a-z_]+ *=|  \{|\])")
    tables = tomllib.loads("\n".join(line[2:] for line in lines if code.match(line)))
    triggers, wrong = parse_all(tables["triggers"])
    assert not wrong
    assert not parse_frequency(tables["frequency"])[1]
    assert len(triggers) == 16
    for trigger in triggers.values():
        for step in trigger.steps:
            for template in () if step.channel else step.templates:
                assert (shipped.find("templates") / template / "ar.toml").exists()
