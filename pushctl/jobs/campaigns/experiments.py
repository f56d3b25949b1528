"""
Experiments from their first message to their decision.

The sweep decides, once, at the fixed time or at one of the daily looks, in the transaction
that gives the winner to the others: after a kill it is decided or it is not. Reports that
come later change figures, not the winner.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import tzinfo

from pushctl import log
from pushctl.errors import UsageError
from pushctl.jobs.campaigns.assignment import HELD, LOOK_EVERY, OUTSIDE, Assignment
from pushctl.model import Campaign, Cause, Millis
from pushctl.rules.figures.experiments import decision as rules
from pushctl.rules.figures.experiments.decision import Decision, OnTie, Rule
from pushctl.rules.messages.arms import FIRST
from pushctl.rules.wording import moment
from pushctl.store import Store
from pushctl.store.experiment_rows import Place
from pushctl.store.experiments import Experiment, State

# Beside the causes of rules.figures.experiments: a person decided.
PICKED = "picked"
STOPPED = "stopped"
CANCELLED = "cancelled"


def begin(
    store: Store,
    campaign: Campaign,
    assignment: Assignment,
    receivers: Sequence[int],
    due: Sequence[Millis],
    *,
    now: Millis,
    expires_after: Millis,
) -> None:
    """
    Write the experiment and the messages of a broadcast; *due* is empty for those of now.

    What is held is due at the decision, and its life begins then.
    """
    design = assignment.design
    store.experiments.add(
        name=campaign.name,
        campaign=campaign.id,
        arms=design.arms,
        differ=design.differ,
        rule=design.rule,
        on_tie=design.on_tie,
        test_share=design.share,
        seed=assignment.seed,
        decide_at=assignment.decide_at,
        look_at=assignment.look_at,
        now=now,
    )

    places = _list_places(assignment, now, expires_after)
    if not due:
        store.experiments.plan(campaign.id, receivers, assignment.fell, places, now=now)
        return
    by_code = {place.code[0]: place for place in places}
    rows = (
        (one, max(at, assignment.decide_at) if fallen == HELD else at, by_code[fallen])
        for one, at, fallen in zip(receivers, due, assignment.fell, strict=True)
    )
    store.experiments.plan_each(campaign.id, rows, life=expires_after, now=now)


def _list_places(assignment: Assignment, now: Millis, life: Millis) -> list[Place]:
    """Return where people fall, with the times of messages that go out now."""
    at = assignment.decide_at
    waits = Cause.AWAITS_WINNER, "waits for the winner of the test"
    return [
        *(
            Place(bytes([number]), arm.variant, arm.weight, None, now + life)
            for number, arm in enumerate(assignment.design.arms)
        ),
        Place(bytes([OUTSIDE]), FIRST, None, None, now + life),
        Place(bytes([HELD]), None, None, at, at + life, *waits),
    ]


def decide(store: Store, one: Experiment, now: Millis) -> Decision | None:
    """
    Decide a test whose time has come, or set its next look; return the decision made.

    All in one transaction, also the release of the messages that wait.
    """
    last = one.decide_at is None or now >= one.decide_at
    with store.write():
        found = rules.decide(
            store.experiments.list_counted(one), Rule(one.rule), OnTie(one.on_tie), last
        )
        if found.winner is None and not last:
            at = now + LOOK_EVERY
            at = at if one.decide_at is None else min(at, one.decide_at)
            store.experiments.postpone(one.id, at)
            return None
        found = _complete(one, found)
        if not end(store, one, found.winner, found.cause, found.why, now):
            return None
    log.note("sweep", "test decided", name=one.name, winner=found.winner or "none")
    return found


def count_waiting(store: Store, campaign: Campaign) -> int:
    """Return how many of a broadcast's messages wait for the winner of its test."""
    one = store.experiments.find(campaign.id)
    return 0 if one is None else store.experiments.count_others(one.id)["waiting"]


def describe(one: Experiment, decision: Decision) -> str:
    """Return what was decided, as a sentence for people."""
    if decision.winner is None:
        return f"{one.name}: no arm won ({decision.why})"
    title = next(arm.title for arm in one.arms if arm.variant == decision.winner)
    return f"{one.name}: {title} goes out from now on ({decision.why})"


def describe_state(one: Experiment, zone: tzinfo | None = None) -> str:
    """Return how a test stands: "testing a, b; to be decided 2026-11-29 18:00"."""
    arms = ", ".join(arm.title for arm in one.arms)
    if one.state is State.TESTING:
        at = f"; to be decided {moment(one.decide_at, zone)}" if one.decide_at else ""
        return f"testing {arms}{at}"
    if one.winner is None:
        return f"{arms}: {one.state} without a winner ({one.why})"
    return f"{arms}: {one.winner} goes out ({one.why})"


def _complete(one: Experiment, decision: Decision) -> Decision:
    """
    Return the decision that is carried out.

    Where people did not fall to the arms as planned no arm wins; others who wait get the
    first text, which they would have got without a test, unless a tie is to stop them.
    """
    is_odd = decision.cause is rules.Cause.SAMPLE_RATIO
    if is_odd and one.test_share < 1 and one.on_tie != OnTie.STOP:
        return replace(decision, winner=FIRST, why=f"{decision.why}; the first arm goes out")
    return decision


def end(
    store: Store, one: Experiment, winner: str | None, cause: str, why: str, now: Millis
) -> bool:
    """
    End a test and release, or drop, the messages that wait for it, in one transaction.

    Return False where it had ended before.
    """
    with store.write():
        if not store.experiments.end(one.id, winner, cause, why, now):
            return False
        if one.campaign is not None and winner is not None:
            store.experiments.release(one.campaign, winner, now)
        elif one.campaign is not None:
            store.experiments.drop(one.campaign, f"the test ended without a winner: {why}", now)
            store.campaigns.finish_if_done(one.campaign, now)
    return True


def go_on(store: Store, campaign: Campaign, now: Millis) -> None:
    """
    Give the test of a campaign that was paused its whole time, counted from *now*.

    Where all its messages went out before the pause it is decided as planned.
    """
    one = store.experiments.find(campaign.id)
    if one is not None and one.decide_at is not None and one.state is State.TESTING:
        store.experiments.begin_anew(one.id, campaign.id, now + one.decide_at - one.created_at)


def end_cancelled(store: Store, campaign: int, now: Millis) -> None:
    """End the test that a cancelled broadcast is."""
    one = store.experiments.find(campaign)
    if one is not None:
        store.experiments.end(one.id, None, CANCELLED, "the campaign was cancelled", now)


def stop(store: Store, name: str, now: Millis) -> tuple[Experiment, int]:
    """
    Stop a test: nobody wins, and who waits for the winner gets nothing.

    From then on a step sends its first text. Return the test and how many waited. Raises
    UsageError where it has ended already.
    """
    return _end_by_hand(store, name, None, STOPPED, "stopped by hand", now)


def pick(store: Store, name: str, variant: str, now: Millis) -> tuple[Experiment, int]:
    """
    Make an arm the winner; return the test and how many messages it is released for.

    Raises UsageError for an unknown arm, and where the test has ended already.
    """
    one = store.experiments.get(name)
    known = [arm.variant for arm in one.arms]
    if variant not in known:
        raise UsageError(f"{name} has no arm {variant!r}: {', '.join(known)}")
    return _end_by_hand(store, name, variant, PICKED, "picked by hand", now)


def _end_by_hand(
    store: Store, name: str, winner: str | None, cause: str, why: str, now: Millis
) -> tuple[Experiment, int]:
    with store.write():
        one = store.experiments.get(name)
        waiting = store.experiments.count_others(one.id)["waiting"]
        if not end(store, one, winner, cause, why, now):
            how = f"{one.winner} won" if one.winner else "nobody won"
            if one.state is State.REPLACED:
                how = "its arms were changed"
            raise UsageError(f"{name} is over: {how} ({one.why or 'no reason is known'})")
        return store.experiments.get(name), waiting
