"""Strangers bring few new names; proved people and the shop are not bounded by them."""

from dataclasses import replace

import pytest

from pushctl import status
from pushctl.config import UnprovedConfig
from pushctl.jobs.ingest import shares
from pushctl.jobs.subscribers import forget
from pushctl.model import SubscriptionState
from pushctl.rules import limits
from tests.support import DAY, NOON
from tests.support.posting import SECRET, Browser, Project


@pytest.fixture
def project(inbox_project: Project) -> Project:
    bounds = UnprovedConfig(tag_names_per_address=20, tag_names=30)
    made = replace(inbox_project, config=replace(inbox_project.config, unproved=bounds))
    made.drain(*(Browser(number, made.key).subscribe(at=NOON - DAY) for number in range(5)))
    return made


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def held(project: Project, number: int) -> int:
    found = project.get(Browser(number, project.key))
    assert found is not None
    return len(found.tags)


def prove(project: Project, number: int) -> None:
    """Let a message to browser *number* be shown."""
    browser = Browser(number, project.key)
    row = project.plan(browser, f"to {number}")
    project.store.deliveries.accept([row], 201, "en", NOON)
    project.drain(browser.report(row, "shown"))


def test_one_address_brings_so_many_names_and_all_together_so_many(project: Project) -> None:
    ann, bob, eve, dan, kim = (Browser(number, project.key) for number in range(5))
    report = project.drain(ann.tag(names("a", 15), "one"), bob.tag(names("b", 15), "one"))
    assert (held(project, 0), held(project, 1)) == (15, 5)
    assert dict(report.applied) == {"tagged": 2}
    assert dict(report.left_out) == {"new tags beyond the share of one address": 1}
    assert report.lines == 2
    report = project.drain(eve.tag(names("c", 15), "two"))
    assert held(project, 2) == 10
    assert dict(report.left_out) == {"new tags beyond the share of unproved subscribers": 1}
    project.drain(dan.tag(["a1", "B2", "another"], "three"))
    assert held(project, 3) == 2, "names that are there may be used"
    assert "left out" in {row["result"] for row in report.rows()}
    assert sum(shares.load_left_out(project.store, NOON).values()) == 3
    assert shares.load_left_out(project.store, NOON + DAY) == {}
    prove(project, 4)
    project.drain(kim.tag(names("k", 25), "one"))
    assert held(project, 4) == 25, "a message was shown there"


def test_an_unknown_address_has_the_share_of_all(project: Project) -> None:
    project.drain(Browser(0, project.key).tag(names("a", 40)))
    assert held(project, 0) == 30


def test_a_shown_message_and_the_shop_take_names_over(project: Project) -> None:
    tags, ann = project.store.tags, Browser(0, project.key)
    project.drain(ann.tag(names("a", 20), "one"))
    assert tags.count_unproved_names() == 20
    tags.add([1], "A0", NOON)  # as `subscribers tag` does
    tags.ensure("a1")  # as an import of a file does
    assert tags.count_unproved_names() == 18
    prove(project, 0)
    assert tags.count_unproved_names() == 0
    project.drain(Browser(1, project.key).tag(names("b", 15), "one"))
    assert held(project, 1) == 15


def test_a_made_up_subscription_that_is_gone_frees_its_names(project: Project) -> None:
    project.drain(Browser(0, project.key).tag(names("a", 20), "one"))
    project.drain(Browser(1, project.key).tag(names("a", 2), "two"))
    found = project.get(Browser(0, project.key))
    assert found is not None
    project.store.subscriptions.mark([found.id], SubscriptionState.GONE, "410", NOON)
    project.store.pruning.run(NOON - 400 * DAY)
    assert project.store.tags.count_names() == 2
    assert held(project, 1) == 2


def test_beyond_the_most_names_of_all_it_is_counted_too(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_TAG_NAMES", 3)
    prove(project, 0)
    report = project.drain(Browser(0, project.key).tag(names("a", 5)))
    assert dict(report.left_out) == {"new tags beyond the most that there may be": 1}


def test_the_receiver_learns_who_is_proved(project: Project) -> None:
    ann, bob, moved = (Browser(number, project.key) for number in (0, 1, 7))

    def listed() -> list[bool]:
        proved = status.Proved(project.config.status)
        return [one.endpoint in proved for one in (ann, bob, moved)]

    assert listed() == [False, False, False]
    prove(project, 0)
    assert listed() == [True, False, False]
    project.drain(moved.subscribe(previous=ann))
    assert listed() == [True, False, True]
    project.drain(moved.post("/v1/forget", at=NOON + 1))
    assert listed() == [False, False, False], "an erased person stands in no list"
    prove(project, 1)
    found = project.get(bob)
    assert found is not None
    forget.forget(
        project.store, project.config, SECRET, found.public_id, NOON + DAY, dry_run=False
    )
    assert listed() == [False, False, False]


def test_one_address_does_not_use_up_the_rows_of_invitations(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_PROMPT_ROWS", 30)
    monkeypatch.setattr(limits, "MAX_ADDRESS_PROMPT_ROWS", 10)
    browser = Browser(0, project.key)

    def seen(variant: str, sender: str) -> object:
        body = {"variant": variant, "stage": "seen"}
        return browser.record("/v1/prompts", body, sign=b"", hints={"sender": sender})

    project.drain(*(seen(f"junk{number}", "one") for number in range(40)))
    project.drain(*(seen("spring", "two") for _ in range(3)))
    counts = {
        row["variant"]: row["seen"] for row in project.store.prompts.load_funnel("variant")
    }
    assert counts["spring"] == 3
    assert counts["other"] == 30
