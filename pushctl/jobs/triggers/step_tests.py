"""
The tests of triggers' steps: begun as pushctl.toml declares them, and who gets which arm.

A step's test goes on until it is decided, by its rule or by hand. Other arms, weights or
rules are another test: it begins with the sweep that reads them.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pushctl.errors import PushctlError
from pushctl.jobs.triggers.types import Run
from pushctl.model import Millis
from pushctl.rules import units
from pushctl.rules.figures.experiments.decision import Rule
from pushctl.rules.figures.statistics.beta_binomial import Count
from pushctl.rules.figures.statistics.thompson import FLOOR, compute_propensities
from pushctl.rules.messages.arms import FIRST, Differ
from pushctl.rules.triggers.arms import (
    PLAIN,
    Fall,
    Standing,
    fall_outside,
    find_fall,
    list_arms,
)
from pushctl.rules.triggers.enrolment import Enrolment
from pushctl.rules.triggers.facts import People, Templates
from pushctl.rules.triggers.trigger import Step
from pushctl.store.experiments import Experiment, State

if TYPE_CHECKING:
    from pushctl.templates import Template

BANDIT = "bandit"

# A bandit's shares are computed anew so often, from messages that had so long to be clicked.
RENEW_AFTER: Millis = units.HOUR
SETTLE: Millis = units.HOUR

Key = tuple[str, int]  # trigger, step


def sync(run: Run) -> None:
    """Begin the tests that pushctl.toml declares, end others, renew the shares of bandits."""
    declared = dict(_list_declared(run))
    known = run.store.experiments.load_steps()
    if not (declared or known):
        return
    with run.store.write():
        for key, step in declared.items():
            if key not in known or not _is_same(known[key], step):
                _begin(run, key, step)
        for key in known.keys() - declared.keys():
            run.store.experiments.replace(*key)
    for one in run.store.experiments.load_steps().values():
        if one.rule == BANDIT and one.state is State.TESTING:
            _renew(run, one)


def _list_declared(run: Run) -> Iterator[tuple[Key, Step]]:
    for trigger in run.settings.triggers.values():
        for number, step in enumerate(trigger.steps, 1):
            if list_arms(step):
                yield (trigger.name, number), step


def _is_same(one: Experiment, step: Step) -> bool:
    after = None if one.decide_at is None else one.decide_at - one.created_at
    then = one.arms, one.rule, one.on_tie, after
    return then == (list_arms(step), _name_rule(step), step.test.on_tie, step.test.decide_after)


def _name_rule(step: Step) -> str:
    if step.test.bandit:
        return BANDIT
    return Rule.ANYTIME if step.test.daily_look else Rule.FIXED


def _begin(run: Run, key: Key, step: Step) -> None:
    trigger, number = key
    after = step.test.decide_after
    decide_at = None if after is None else run.now + after
    first_look = None
    if step.test.daily_look:
        first_look = run.now + units.DAY
    looks = [at for at in (decide_at, first_look) if at is not None]
    run.store.experiments.add(
        name=f"{trigger}/{number}",
        trigger=trigger,
        step=number,
        arms=list_arms(step),
        differ=Differ.TEMPLATE if len(step.templates) > 1 else Differ.TEXT,
        rule=_name_rule(step),
        on_tie=step.test.on_tie,
        seed=f"{trigger}/{number}",
        decide_at=decide_at,
        look_at=min(looks, default=None),
        now=run.now,
    )


def _renew(run: Run, one: Experiment) -> None:
    """Write the next version of a bandit's propensities, once an hour."""
    known = run.store.experiments.load_propensities(one.id)
    if known is not None and run.now - known[0] < RENEW_AFTER:
        return
    found = run.store.experiments.count_arms(one.id, run.now - SETTLE)
    counts = {
        arm.variant: (found[arm.variant].clickers, found[arm.variant].accepted)
        if arm.variant in found
        else (0, 0)
        for arm in one.arms
    }
    floor = min(FLOOR, 0.5 / len(counts))
    shares = compute_propensities([Count(*each) for each in counts.values()], floor)
    arms = dict(zip(counts, shares, strict=True))
    run.store.experiments.add_propensities(one.id, arms, counts, run.now)


def find_falls(
    run: Run, due: Sequence[Enrolment], people: People, sources: Templates
) -> dict[int, Fall]:
    """Return the arm of each of *due* whose step is a test, by enrolment."""
    tested = [one for one in due if _find_step(run, one) is not None]
    if not tested:
        return {}
    known = run.store.experiments.load_steps()
    devices = {each for one in tested for each in _list_devices(people, one)}
    firsts = run.store.experiments.list_first_arms(devices, {one.trigger for one in tested})
    is_outside = _judge_languages(run, tested, sources)
    standings: dict[Key, Standing] = {}
    found = {}
    for one in tested:
        step = _find_step(run, one)
        assert step is not None
        if is_outside(one):
            found[one.id] = fall_outside(step)
            continue
        key = one.trigger, one.step
        experiment = known.get(key)
        if experiment is None or not _is_same(experiment, step):
            experiment = None  # it begins with the next sweep
        if key not in standings:
            standings[key] = _build_standing(run, experiment)
        found[one.id] = find_fall(
            run.settings.triggers[one.trigger],
            one.step,
            people.devices[one.subscription].lot,
            one.occurrence,
            standings[key],
            _find_kept(experiment, step, firsts, one, _list_devices(people, one)),
        )
    return found


def _find_step(run: Run, one: Enrolment) -> Step | None:
    """Return the step of an enrolment if it is a test."""
    steps = run.settings.triggers[one.trigger].steps
    step = steps[one.step - 1] if one.step <= len(steps) else None
    return step if step is not None and list_arms(step) else None


def _list_devices(people: People, one: Enrolment) -> Collection[int]:
    return people.same(people.devices[one.subscription])


def _build_standing(run: Run, one: Experiment | None) -> Standing:
    if one is None:
        return PLAIN
    if one.state is not State.TESTING:
        return Standing(one.winner or FIRST)
    shares = run.store.experiments.load_propensities(one.id) if one.rule == BANDIT else None
    return Standing(shares=shares[1] if shares else None)


def _find_kept(
    experiment: Experiment | None,
    step: Step,
    firsts: Mapping[tuple[str, int, int], tuple[int, str | None, float | None, str]],
    one: Enrolment,
    devices: Collection[int],
) -> tuple[str, float | None] | None:
    """Return the arm of the first message of this step that a person's devices got."""
    after = experiment.after_delivery if experiment else 0
    letters = {arm.template: arm.variant for arm in list_arms(step) if arm.template}
    found: list[tuple[int, str, float | None]] = []
    for device in devices:
        row = firsts.get((one.trigger, one.step, device))
        if row is None:
            continue
        number, variant, probability, template = row
        if variant is None and template in letters:  # of before there were variants
            found.append((number, letters[template], None))
        elif variant is not None and number > after:
            found.append((number, variant, probability))
    return min(found)[1:] if found else None


def _judge_languages(
    run: Run, tested: Sequence[Enrolment], sources: Templates
) -> Callable[[Enrolment], bool]:
    """
    Return whether an enrolment's person reads a language without all variants.

    Where a segment's text lacks one, nobody of that language is compared: who is in the
    segment is known only when the message is made.
    """
    readers = run.store.schedules.load_languages(tuple({one.subscription for one in tested}))
    loaded: dict[str, Template | None] = {}
    known: dict[tuple[str, str, str | None], bool] = {}

    def is_outside(one: Enrolment) -> bool:
        step = _find_step(run, one)
        if step is None or len(step.templates) > 1 or one.subscription not in readers:
            return False
        name, (site, language) = step.templates[0], readers[one.subscription]
        if site not in run.settings.sites:
            return False
        if name not in loaded:
            loaded[name] = _load(name, sources.get(name))
        key = name, site, language
        if key not in known:
            default = run.settings.sites[site].language
            known[key] = not _has_all(step, loaded[name], language, default)
        return known[key]

    return is_outside


def _load(name: str, sources: Mapping[str, str] | PushctlError | None) -> "Template | None":
    """Return a step's template; None: it can't be used, so nothing is sent now."""
    from pushctl.templates import Template

    if sources is None or isinstance(sources, PushctlError):
        return None
    try:
        return Template.from_sources(name, sources)
    except PushctlError:
        return None


def _has_all(
    step: Step, template: "Template | None", language: str | None, default: str
) -> bool:
    if template is None:
        return True
    try:
        texts = [
            (template.choose(language, segments, default, arm.variant), arm)
            for segments in ((), *((one,) for one in template.segments))
            for arm in list_arms(step)
        ]
    except PushctlError:
        return True
    return all(text.variant == arm.variant for text, arm in texts)
