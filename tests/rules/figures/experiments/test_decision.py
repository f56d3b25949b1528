"""rules.figures.experiments and forecasts: who wins, who can't, what a test can see."""

import math
import random

import pytest

from pushctl.rules.figures.experiments.decision import (
    SURE,
    Arm,
    Cause,
    OnTie,
    Rule,
    decide,
    describe,
)
from pushctl.rules.figures.experiments.power import TestForecast, choose_base, forecast_test
from pushctl.rules.figures.statistics.beta_binomial import Count, compute_greater
from pushctl.rules.figures.statistics.intervals import measure_share

FIXED, ANYTIME = Rule.FIXED, Rule.ANYTIME


def arm(variant: str, clickers: int, people: int = 1000, left: int = 0, gone: int = 0) -> Arm:
    return Arm(
        variant=variant,
        weight=1.0,
        assigned=people,
        accepted=people,
        clickers=clickers,
        unsubscribed=left,
        gone=gone,
    )


def choose(
    *arms: Arm, rule: Rule = FIXED, on_tie: OnTie = OnTie.BEST, final: bool = True
) -> tuple[str | None, Cause]:
    decision = decide(arms, rule, on_tie, final)
    return decision.winner, decision.cause


def test_a_winner_is_better_than_every_other_arm() -> None:
    assert choose(arm("a", 90), arm("b", 120)) == ("b", Cause.WON)
    assert choose(arm("a", 120), arm("b", 90)) == ("a", Cause.WON)
    assert choose(arm("a", 90), arm("b", 120), arm("c", 60)) == ("b", Cause.WON)
    # c is as good as b, so neither has won.
    assert choose(arm("a", 90), arm("b", 120), arm("c", 119))[1] is Cause.TIE_BEST


@pytest.mark.parametrize(
    ("on_tie", "winner", "cause"),
    [
        (OnTie.BEST, "b", Cause.TIE_BEST),
        (OnTie.FIRST, "a", Cause.TIE_FIRST),
        (OnTie.STOP, None, Cause.TIE_STOP),
    ],
)
def test_a_tie_is_broken_as_it_was_told(
    on_tie: OnTie, winner: str | None, cause: Cause
) -> None:
    assert choose(arm("a", 90), arm("b", 95), on_tie=on_tie) == (winner, cause)
    won = choose(arm("a", 90), arm("b", 120), on_tie=on_tie)
    assert won == ("b", Cause.WON)


def test_people_who_fell_to_the_wrong_arm_end_the_test() -> None:
    decision = decide([arm("a", 90), arm("b", 190, people=1200)])
    assert (decision.winner, decision.cause) == (None, Cause.SAMPLE_RATIO)
    assert "a 1,000 of 1,100, b 1,200 of 1,100" in decision.why
    assert decision.sample_p < 0.001


def test_weights_are_planned_shares() -> None:
    arms = [
        Arm(variant="a", weight=3, assigned=3030, accepted=3000, clickers=210),
        Arm(variant="b", weight=1, assigned=970, accepted=960, clickers=110),
    ]
    assert decide(arms).winner == "b"
    assert decide(arms, Rule.ANYTIME).winner == "b"


@pytest.mark.parametrize("harm", [{"left": 12}, {"gone": 12}])
def test_who_makes_people_leave_does_not_win(harm: dict[str, int]) -> None:
    loud = arm("b", 150, **harm)
    decision = decide([arm("a", 90), loud])
    assert (decision.winner, decision.cause) == ("a", Cause.LEFT)
    assert "12 of 1,000" in describe([arm("a", 90), loud])[1].barred
    assert choose(arm("a", 90), loud, on_tie=OnTie.STOP)[0] is None
    # The others are compared without it.
    assert choose(arm("a", 90), loud, arm("c", 130)) == ("c", Cause.WON)
    # First is the first that may go out.
    assert choose(loud, arm("a", 90), arm("c", 91), on_tie=OnTie.FIRST)[0] == "a"
    assert choose(arm("a", 90), arm("b", 150, left=2)) == ("b", Cause.WON)


def test_hardly_any_counts_are_a_tie() -> None:
    few = decide([arm("a", 0, people=25), arm("b", 9, people=20)])
    assert (few.winner, few.cause) == ("a", Cause.TIE_FIRST)
    assert "arm b has 20 accepted messages" in few.why
    clicks = decide([arm("a", 1), arm("b", 10)])
    assert (clicks.winner, clicks.cause) == ("a", Cause.TIE_FIRST)
    assert "11 people clicked" in clicks.why


def test_before_anything_came_nothing_is_known() -> None:
    arms = [arm("a", 0, people=0), arm("b", 0, people=0)]
    assert decide(arms, on_tie=OnTie.STOP).winner is None
    first, _ = describe(arms)
    assert (first.rate.value, first.best) == (None, None)


def test_who_looks_every_day_needs_more_evidence_and_may_wait() -> None:
    def look(clickers: int, final: bool) -> tuple[str | None, Cause]:
        arms = (arm("a", 90), arm("b", clickers))
        return choose(*arms, rule=ANYTIME, final=final)

    assert look(120, final=False) == (None, Cause.WAITING)
    assert look(120, final=True) == ("b", Cause.TIE_BEST)
    assert look(150, final=False) == ("b", Cause.WON)
    assert choose(arm("a", 150), arm("b", 90), rule=ANYTIME, final=False)[0] == "a"


def test_the_table_says_what_is_known_of_each_arm() -> None:
    first, second, third = describe([arm("a", 90), arm("b", 120), arm("c", 105)])
    assert [each.variant for each in (first, second, third)] == ["a", "b", "c"]
    assert second.best == pytest.approx(0.849184, abs=5e-7)
    assert second.loss == pytest.approx(0.00108798, abs=5e-9)
    assert first.rate == measure_share(90, 1000)


def test_before_a_test_one_reads_what_it_can_see() -> None:
    forecast: TestForecast = forecast_test(4_100, 1.0, 0.09, [1, 1])
    assert forecast.sentence == (
        "with 4,100 people you will see 9 % against 11.7 %, not 9 % against 9.9 %"
    )
    assert (forecast.smallest, forecast.advice) == (2_050, "")
    assert forecast.sizes[1].people == 4_318


def test_below_five_thousand_people_all_should_take_part() -> None:
    forecast = forecast_test(4_100, 0.2, 0.07, [1, 1])
    assert (forecast.tested, forecast.smallest) == (820, 410)
    assert forecast.sentence.startswith("with 820 people you will see 7 % against 12.8 %")
    assert "test on all of them: you will see 7 % against 9.4 %" in forecast.advice
    assert forecast_test(50_000, 0.2, 0.07, [1, 1]).advice == ""


def test_the_smallest_arms_bound_what_is_seen() -> None:
    even = forecast_test(10_000, 1.0, 0.07, [1, 1]).detectable
    uneven = forecast_test(10_000, 1.0, 0.07, [9, 1]).detectable
    assert even is not None
    assert uneven is not None
    assert uneven > even


def test_a_handful_of_people_sees_nothing() -> None:
    forecast = forecast_test(6, 1.0, 0.5, [1, 1])
    assert forecast.detectable is None
    assert "no difference from 50 % at all" in forecast.sentence
    assert forecast_test(6, 0.5, 0.5, [1, 1]).advice == "6 people are too few for a test"
    with pytest.raises(ValueError, match="base rate"):
        forecast_test(100, 1.0, 0.0, [1, 1])


def test_the_base_rate_is_the_own_one_where_there_is_one() -> None:
    histories = {"the last of 'sale'": Count(3, 50), "the last promotions": Count(90, 1000)}
    found = choose_base(histories, "promotion")
    assert (found.rate, found.count) == (0.09, Count(90, 1000))
    assert found.source == "the last promotions: 90 of 1,000 clicked (7.4 % to 10.9 %)"


def test_without_a_history_the_published_cases_stand_in_and_are_named() -> None:
    found = choose_base({"the last of 'sale'": Count(0, 5000)}, "information")
    assert (found.rate, found.count) == (0.09, None)
    assert "9 % in the published cases (information)" in found.source
    assert choose_base({}, "news").rate == 0.09
    assert choose_base({}, "something else").rate == 0.07


def find_false_winners(people: int, rate: float) -> float:
    """Return, exactly, how often two arms with the same *rate* have a winner."""
    log, gamma = math.log, math.lgamma
    chances = [
        math.exp(
            gamma(people + 1) - gamma(k + 1) - gamma(people - k + 1)
            + k * log(rate) + (people - k) * log(1 - rate)
        )
        for k in range(people + 1)
    ]  # fmt: skip
    total, needed = 0.0, 0
    for clickers, chance in enumerate(chances):
        if chance < 1e-12:
            continue
        one = Count(clickers, people)
        needed = max(needed, clickers)
        while needed <= people and compute_greater(Count(needed, people), one) <= SURE:
            needed += 1
        total += chance * math.fsum(chances[needed:])
    return 2 * total


@pytest.mark.parametrize(
    ("people", "rate", "size"), [(100, 0.03, ".028"), (500, 0.01, ".040"), (2050, 0.07, ".050")]
)
def test_equal_arms_have_a_winner_in_one_test_of_twenty(
    people: int, rate: float, size: str
) -> None:
    assert f"{find_false_winners(people, rate):.3f}".removeprefix("0") == size


def has_winner(clickers: list[int], people: int, rule: Rule) -> bool:
    arms = [arm(name, count, people) for name, count in zip("ab", clickers, strict=True)]
    return choose(*arms, rule=rule, on_tie=OnTie.FIRST, final=False)[1] is Cause.WON


def test_who_looks_every_day_finds_no_more_false_winners() -> None:
    """Ten looks at each of 200 tests of equal arms: 5 % at most, whenever one stops."""
    chance, found = random.Random(11), dict.fromkeys(Rule, 0)
    for _ in range(200):
        clickers, won = [0, 0], set[Rule]()
        for look in range(1, 11):
            clickers = [k + sum(chance.random() < 0.2 for _ in range(60)) for k in clickers]
            won |= {each for each in Rule if has_winner(clickers, 60 * look, each)}
        for each in won:
            found[each] += 1
    assert found[ANYTIME] <= 10
    assert found[FIXED] > 25  # 19 % are expected of a rule for one look
