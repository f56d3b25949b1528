"""
The experiment that a `send` is: its arms, their shares, and when it is decided.

A template with files such as en.b.toml is one by itself; `--variants` says which arms, or
names whole templates or times. `--variants a` sends the plain texts alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_lowercase

from pushctl import templates
from pushctl.config import Config
from pushctl.errors import InputError, UsageError
from pushctl.jobs.campaigns.draft import Draft, find_arm_templates
from pushctl.model import Campaign, Millis
from pushctl.rules import moments, schedule, timing
from pushctl.rules.figures.experiments.decision import OnTie, Rule
from pushctl.rules.messages import arms
from pushctl.rules.messages.arms import Arm, Differ
from pushctl.templates import Template

_VARIANT = re.compile(r"\.[a-z]\.toml$")  # en.b.toml; en.bought.toml is none


@dataclass(frozen=True, slots=True)
class Design:
    """An experiment before anybody falls to an arm."""

    arms: tuple[Arm, ...]
    differ: Differ
    rule: Rule = Rule.FIXED
    on_tie: OnTie = OnTie.BEST
    share: float = 1.0  # of the people who are in the test; the others get the winner
    decide_after: Millis | None = None
    decide_at: Millis | None = None
    asked: bool = True  # False: it is one because the files are there

    @property
    def has_rest(self) -> bool:
        return self.share < 1


def make_design(config: Config, draft: Draft, template: Template, now: Millis) -> Design | None:
    """
    Return the experiment that *draft* is with *template*, None where it is none.

    Raises InputError or UsageError for options that make none, or don't go together.
    """
    differ, names = Differ.TEXT, template.variants
    if draft.variants is not None:
        differ, names = arms.read_names(draft.variants)
    if len(names) < 2 or draft.message is not None:
        _refuse_options(draft)
        return None
    if differ is Differ.TEXT:
        _check_files(template, names)
    if differ is Differ.TIME:
        _check_times(draft)
    share = arms.read_share(draft.test_share, "--test-share") if draft.test_share else 1.0
    if share < 1 and draft.over:
        raise UsageError("--test-share and --over don't go together")
    return Design(
        _make_arms(draft, differ, names),
        differ,
        Rule.ANYTIME if draft.daily_look else Rule.FIXED,
        _read_on_tie(draft.on_tie),
        share,
        *_read_decision(config, draft, now),
        asked=draft.variants is not None or any(_list_options(draft).values()),
    )


def complete_sources(
    config: Config, draft: Draft, design: Design, sources: Mapping[str, str]
) -> dict[str, str]:
    """
    Return the *sources* that are frozen: with the templates of all arms.

    Where the arms differ in something else, variants' files are no part of the message.
    """
    if design.differ is Differ.TEXT:
        return dict(sources)
    found = {file: text for file, text in sources.items() if not _is_variant(file)}
    for arm, name in list(zip(design.arms, find_arm_templates(draft), strict=False))[1:]:
        found |= arms.pack(arm.variant, name, templates.read(config.templates, name))
    return found


def read_sources(config: Config, campaign: Campaign) -> dict[str, str]:
    """Return a campaign's sources as the files are now, those of all its arms."""
    frozen, others = arms.unpack(campaign.sources)
    found = templates.read(config.templates, campaign.template)
    if not any(map(_is_variant, frozen)):  # arms that differ in something else, or none
        found = {file: text for file, text in found.items() if not _is_variant(file)}
    for variant, (name, _) in others.items():
        found |= arms.pack(variant, name, templates.read(config.templates, name))
    return found


def join_time(at: str | None, time: str) -> str:
    """Return when an arm goes out: "tomorrow" and "09:00" are "tomorrow 09:00"."""
    return f"{at} {time}" if at else time


def _list_options(draft: Draft) -> dict[str, str | bool | None]:
    return {
        "--weights": draft.weights,
        "--test-share": draft.test_share,
        "--decide-after": draft.decide_after,
        "--decide-at": draft.decide_at,
        "--on-tie": draft.on_tie,
        "--daily-look": draft.daily_look,
    }


def _refuse_options(draft: Draft) -> None:
    named = [option for option, value in _list_options(draft).items() if value]
    if draft.message is not None and draft.variants is not None:
        named = ["--variants", *named]
    if named:
        raise UsageError(
            f"{named[0]} belongs to a test, and this message has one text. Write a second one, "
            "such as en.b.toml beside en.toml, or name templates or times with --variants."
        )


def _check_files(template: Template, names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in template.variants]
    if missing:
        there = template.texts[0].language
        raise InputError(
            f"templates/{template.name} has no variant {missing[0]}: no file such as "
            f"{there}.{missing[0]}.toml"
        )


def _check_times(draft: Draft) -> None:
    if draft.every:
        raise UsageError("--every and times as --variants don't go together")
    if draft.test_share:
        raise UsageError(
            "times are compared on all people: --test-share is for texts and templates"
        )


def _make_arms(draft: Draft, differ: Differ, names: tuple[str, ...]) -> tuple[Arm, ...]:
    weights = [1 / len(names)] * len(names)
    if draft.weights is not None:
        weights = arms.read_weights(draft.weights, len(names))
    letters = names if differ is Differ.TEXT else tuple(ascii_lowercase)
    return tuple(
        Arm(
            letter,
            weight,
            name if differ is Differ.TEMPLATE else None,
            name if differ is Differ.TIME else None,
        )
        for letter, weight, name in zip(letters, weights, names, strict=False)
    )


def _read_on_tie(typed: str | None) -> OnTie:
    try:
        return OnTie(typed or OnTie.BEST)
    except ValueError:
        raise InputError(f"--on-tie is {', '.join(OnTie)}, not {typed!r}") from None


def _read_decision(
    config: Config, draft: Draft, now: Millis
) -> tuple[Millis | None, Millis | None]:
    """Return how long after the sending it is decided, or the time; None: the default."""
    if draft.decide_after and draft.decide_at:
        raise UsageError("--decide-after and --decide-at don't go together")
    if draft.decide_after:
        return timing.duration(draft.decide_after), None
    if not draft.decide_at:
        return None, None
    if draft.every:
        raise UsageError("with --every say --decide-after: each message has its own time")
    moment, zone = moments.parse(draft.decide_at, now, config.zone)
    at = schedule.due(moment, zone or config.zone, now, schedule.Passed.SKIP)
    if at is None:
        raise UsageError(f"--decide-at {draft.decide_at!r} has passed")
    return None, at


def _is_variant(file: str) -> bool:
    return _VARIANT.search(file) is not None
