"""Tests and their arms, as `pushctl ab` shows them."""

from collections.abc import Sequence
from dataclasses import dataclass

from pushctl.model import Json
from pushctl.rules.figures.experiments.decision import Arm, Finding, Rule, describe
from pushctl.rules.figures.figure import Row
from pushctl.rules.figures.statistics.sample_ratio import check_sample_ratio
from pushctl.rules.figures.tables import experiments as figures
from pushctl.store import Store
from pushctl.store.experiments import Experiment, State

BANDIT = "bandit"


@dataclass(frozen=True, slots=True)
class Shown:
    """
    A test as it stands: *about* it, a row for each of its *arms*, and *remarks* for people.

    What was decided stays; figures are counted anew, so late reports change them.
    """

    about: dict[str, Json]
    arms: list[Row]
    remarks: list[str]


def list_tests(store: Store) -> list[dict[str, Json]]:
    """Return all tests, the newest first, without their figures."""
    return [_describe(one) for one in store.experiments.list_all()]


def load(store: Store, name: str) -> Shown:
    """Return one test with the figures of its arms; raises NotFoundError."""
    test = store.experiments.get(name)
    arms = store.experiments.list_counted(test)
    findings = describe(arms)
    others = store.experiments.count_others(test.id)
    rows = describe_arms(test, arms, findings)
    languages = store.experiments.count_outside(test.id) if others["outside"] else {}
    remarks = figures.list_remarks(arms, findings, others, languages)
    sample_p = None
    if test.rule == BANDIT:  # its shares change with its figures
        shares = _load_shares(store, test)
        remarks.append(figures.say_shares(shares))
    else:
        shares = {}
        sample_p = check_sample_ratio(
            [each.assigned for each in arms], [each.weight for each in arms]
        )
        remarks.append(figures.say_sample_ratio(sample_p))
        remarks += _list_cautions(test, arms)
    about = {
        **_describe(test),
        "sample_p": sample_p,
        "shares": shares,
        "outside": others["outside"],
        "outside_languages": languages,
        "waiting": others["waiting"],
        "winner_got": others["winner"],
    }
    return Shown(about, rows, remarks)


def describe_arms(
    test: Experiment, arms: Sequence[Arm], findings: Sequence[Finding]
) -> list[Row]:
    """Return a row of all figures for each arm, in their sequence."""
    return [
        figures.describe_arm(arm, finding, arms[0], planned.title)
        for arm, finding, planned in zip(arms, findings, test.arms, strict=True)
    ]


def _describe(test: Experiment) -> dict[str, Json]:
    return {
        "name": test.name,
        "state": test.state.value,
        "arms": ", ".join(arm.title for arm in test.arms),
        "differ": test.differ.value,
        "test_share": test.test_share,
        "rule": test.rule,
        "on_tie": test.on_tie,
        "decide_at": test.decide_at,
        "decided_at": test.decided_at,
        "winner": test.winner,
        "why": test.why,
        "cause": test.cause,
        "created_at": test.created_at,
    }


def _load_shares(store: Store, test: Experiment) -> dict[str, float]:
    """Return with which probability each arm of a bandit is sent now."""
    known = store.experiments.load_propensities(test.id)
    return known[1] if known else {arm.variant: arm.weight for arm in test.arms}


def _list_cautions(test: Experiment, arms: Sequence[Arm]) -> list[str]:
    """Return what to think of while a test is running."""
    if test.state is not State.TESTING:
        return []
    outlook = figures.say_outlook(arms)
    said = [outlook] if outlook else []
    if test.rule == Rule.FIXED:
        said.append(
            "A look before the decision decides nothing: a person who stops at the best of "
            "ten looks finds four times as many false winners."
        )
    return said
