"""`pushctl ab list` and `show`: figures by person, with their intervals; what can't be said."""

import csv
import io
import json
from pathlib import Path

import pytest

from pushctl.model import InteractionKind
from pushctl.rules.messages.arms import Arm, Differ
from pushctl.store.interactions import Interaction
from tests.support import HOUR, NOON, sending
from tests.support.program import pushctl
from tests.support.sending import Field

ARMS = (Arm("a", 0.5), Arm("b", 0.5, template="sale_short"))


@pytest.fixture
def field(tmp_path: Path) -> Field:
    made = sending.field(tmp_path)
    made.people(90)
    return made


def begin(field: Field, clicks: tuple[int, int], *, name: str = "sale", lost: int = 0) -> int:
    """
    Write a test of 80 people, 40 an arm, with so many *clicks*; *lost* of b unsubscribed.

    Of ten more five had no choice, and five wait for the winner.
    """
    campaign = field.freeze(name=name)
    number = field.store.experiments.add(
        name=name, campaign=campaign.id, arms=ARMS, differ=Differ.TEMPLATE, rule="fixed",
        seed=name, decide_at=NOON + HOUR, look_at=NOON + HOUR, test_share=0.9, now=NOON,
    )  # fmt: skip
    rows = field.store.connection.execute(
        "SELECT id, subscription_id FROM deliveries WHERE campaign_id = ?", (campaign.id,)
    ).fetchall()
    tested = {"a": [row for row, _ in rows[:80:2]], "b": [row for row, _ in rows[1:80:2]]}
    settle = """
        UPDATE deliveries SET variant = ?, variant_probability = ?, status = ?, cause = ?,
               next_attempt_at = NULL
         WHERE id = ?
    """
    leave = "UPDATE subscriptions SET state = 'unsubscribed', state_at = ? WHERE id = ?"
    with field.store.write() as connection:
        for variant, each in tested.items():
            values = ((variant, 0.5, "accepted", None, row) for row in each)
            connection.executemany(settle, values)
        for row, _ in rows[80:85]:
            connection.execute(settle, ("a", None, "accepted", None, row))
        for row, _ in rows[85:]:
            connection.execute(settle, (None, None, "planned", "awaits_winner", row))
        for _, person in rows[1 : 2 * lost : 2]:
            connection.execute(leave, (NOON + HOUR, person))
    for variant, count in zip("ab", clicks, strict=True):
        for row in tested[variant][:count]:
            one = Interaction(row, InteractionKind.CLICKED, None, NOON, f"{row}")
            field.store.interactions.add(one)
    return number


def test_every_rate_has_its_people_and_its_interval(field: Field) -> None:
    begin(field, (6, 14))
    run = pushctl("ab", "show", "sale", "--json", cwd=field.config.folder)
    found = json.loads(run.out)
    first, second = found["figures"]
    assert (first["arm"], second["arm"]) == ("a", "b (sale_short)")
    assert (second["accepted"], second["clicked"], second["ctr"]) == (40, 14, 0.35)
    # Wilson's interval of 14 of 40, and Newcombe's of the difference, by statsmodels and scipy.
    assert second["ctr_low"] == pytest.approx(0.221345, abs=1e-6)
    assert second["ctr_high"] == pytest.approx(0.504941, abs=1e-6)
    assert second["difference_low"] == pytest.approx(0.009330, abs=1e-6)
    assert second["difference_high"] == pytest.approx(0.374096, abs=1e-6)
    assert second["best"] == pytest.approx(0.979260, abs=1e-6)
    assert (found["sample_p"], found["outside"], found["waiting"]) == (1.0, 5, 5)
    assert found["outside_languages"] == {"en": 5}


def test_a_table_says_what_it_leaves_out(field: Field) -> None:
    begin(field, (6, 14), lost=12)
    run = pushctl("ab", "show", "sale", cwd=field.config.folder)
    assert run.code == 0
    assert "b against a: +20.0 points (+0.9 to +37.4), 2.23 times" in run.err
    assert "b is better: the probability of that is 97.9 %." in run.err.replace("\u202f", " ")
    assert "b can't win: 12 of 40 unsubscribed, 0 of 40 with other arms." in run.err
    assert "5 messages are left out (en 5): there was no choice" in run.err
    assert "5 other messages wait for the winner." in run.err
    assert "People fell to the arms as planned (p = 1)." in run.err
    assert "With 80 people you will see 15 % against" in run.err
    assert "A look before the decision decides nothing" in run.err


def test_a_lead_that_may_be_chance_is_called_so(field: Field) -> None:
    begin(field, (6, 9))
    run = pushctl("ab", "show", "sale", cwd=field.config.folder)
    said = " ".join(run.err.replace("\u202f", " ").split())
    assert "b is ahead, and that may be chance: it is the better one with a" in said
    assert "Above 97.5 % it would be clear." in said


def test_an_unknown_test_is_answered_with_the_nearest(field: Field) -> None:
    begin(field, (6, 9))
    for typed, said in (("sael", "Did you mean 'sale'?"), ("wholly other", "The latest: sale")):
        run = pushctl("ab", "show", typed, cwd=field.config.folder)
        assert run.code == 4
        assert said in run.err


def test_late_reports_change_figures_and_not_the_winner(field: Field) -> None:
    number = begin(field, (14, 6))
    field.store.experiments.end(number, "b", "picked", "by hand", NOON + HOUR)
    run = pushctl("ab", "show", "sale", "--json", cwd=field.config.folder)
    found = json.loads(run.out)
    assert (found["state"], found["winner"], found["why"]) == ("decided", "b", "by hand")
    assert found["figures"][0]["best"] > 0.97


def test_an_arm_without_people_has_unknown_figures(field: Field) -> None:
    campaign = field.freeze(name="new")
    field.store.experiments.add(
        name="new", campaign=campaign.id, arms=ARMS, differ=Differ.TEMPLATE, rule="bandit",
        seed="new", now=NOON,
    )  # fmt: skip
    run = pushctl("ab", "show", "new", "--csv", cwd=field.config.folder)
    rows = list(csv.DictReader(io.StringIO(run.out)))
    assert [rows[1][name] for name in ("assigned", "ctr", "ctr_low", "best")] == [
        "0",
        "",
        "",
        "",
    ]


def test_a_test_that_never_ends_says_what_is_sent_now(field: Field) -> None:
    campaign = field.freeze(name="new")
    number = field.store.experiments.add(
        name="new", campaign=campaign.id, arms=ARMS, differ=Differ.TEMPLATE, rule="bandit",
        seed="new", now=NOON,
    )  # fmt: skip
    folder = field.config.folder
    run = pushctl("ab", "show", "new", cwd=folder)
    assert "a 50.0" in run.err
    assert "as planned" not in run.err  # its shares change
    field.store.experiments.add_propensities(number, {"a": 0.2, "b": 0.8}, {}, NOON)
    found = json.loads(pushctl("ab", "show", "new", "--json", cwd=folder).out)
    assert (found["shares"], found["sample_p"]) == ({"a": 0.2, "b": 0.8}, None)


def test_tests_are_listed_newest_first(field: Field) -> None:
    folder = field.config.folder
    assert "No test yet" in pushctl("ab", "list", cwd=folder).err
    begin(field, (1, 1), name="first")
    begin(field, (1, 1), name="second")
    rows = json.loads(pushctl("ab", "list", "--json", cwd=folder).out)
    assert [row["name"] for row in rows] == ["second", "first"]
    assert rows[0]["arms"] == "a, b (sale_short)"
    assert (rows[0]["state"], rows[0]["test_share"]) == ("testing", 0.9)


def test_an_unknown_test_and_the_help(field: Field) -> None:
    run = pushctl("ab", "show", "nothing", cwd=field.config.folder)
    assert run.code == 4
    assert "pushctl ab show basket/1 --json" in pushctl("ab", "show", "--help").out
