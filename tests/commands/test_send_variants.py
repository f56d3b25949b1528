"""A test by its commands: send shows what it will see, ab picks and stops, others say it."""

import json
from pathlib import Path

import pytest

from tests.support import sending
from tests.support.program import Run, pushctl
from tests.support.sending import Field


@pytest.fixture
def field(tmp_path: Path) -> Field:
    made = sending.field(tmp_path)
    text = 'title = "Sale now"\nbody = "Everything must go"\n'
    (made.config.templates / "sale/en.b.toml").write_text(text, "utf-8")
    made.people(40, now=sending.soon())
    return made


def run(field: Field, *words: str) -> Run:
    done = pushctl(*words, cwd=field.config.folder)
    assert done.code == 0, done.err
    return done


def test_a_dry_run_shows_each_arm_and_what_can_be_seen(field: Field) -> None:
    words = "send", "--everyone", "--template", "sale", "--dry-run"
    shown = run(field, *words).out
    for said in (
        "test: a ", "--variants a sends a alone", "with 40 people you will see 7 % against",
        "7 % in the published cases", "sale/en.toml", "sale/en.b.toml",
    ):  # fmt: skip
        assert said in shown
    assert "test:" not in run(field, *words, "--variants", "a").out
    shared = run(field, *words, "--test-share", "50%", "--decide-after", "2h").out
    assert "others get the winner, else the best so far" in shared
    assert "below 5,000 people test on all of them" in shared


def test_options_without_a_test_are_refused_with_the_remedy(field: Field) -> None:
    words = "send", "--everyone", "--template", "sale", "--variants", "a", "--on-tie", "stop"
    done = pushctl(*words, cwd=field.config.folder)
    assert (done.code, done.out) == (2, "")
    assert "--on-tie belongs to a test" in done.err


def test_a_test_is_picked_and_stopped_by_hand(field: Field) -> None:
    now = sending.soon()
    field.freeze(now, name="one", test_share="50%")
    field.freeze(now, name="two", test_share="50%")
    assert "get it." in run(field, "ab", "pick", "one", "b", "--yes").err
    assert "get no message." in run(field, "ab", "stop", "two", "--yes").err
    again = pushctl("ab", "pick", "one", "a", "--yes", cwd=field.config.folder)
    assert (again.code, "b won (picked by hand)" in again.err) == (2, True)
    listed = json.loads(run(field, "campaigns", "list", "--json").out)
    assert {row["name"]: row["test"] for row in listed} == {"one": "decided", "two": "stopped"}
    shown = run(field, "campaigns", "show", "one").out
    assert "a, b: b goes out (picked by hand)" in shown
    told = run(field, "campaigns", "show", "two").out
    assert "the test ended without a winner" in told


def test_explain_names_the_arm(field: Field) -> None:
    field.freeze(sending.soon(), name="one")
    shown = run(field, "explain", "1").out
    assert "1 of 2, p 0.5" in shown


def test_who_waits_for_a_winner_is_not_promised_to_be_sent_by_resume(field: Field) -> None:
    field.freeze(sending.soon(), name="one", test_share="0.000001%")
    told = run(field, "campaigns", "resume", "one").err
    assert "wait for the winner of the test" in told
    assert "pushctl ab pick 'one' a" in told
    assert "To send them now" not in told
