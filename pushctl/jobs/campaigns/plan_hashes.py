"""
The hash of a plan: what `apply --dry-run` prints, and `apply --plan` holds it to.

It has four parts: of files and texts, of the settings that bear on them, of the clock, and
how many people each campaign is for. So a refusal can say what is another now, and an
audience may grow by a little.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pushctl.config import Config
from pushctl.errors import InputError, UsageError
from pushctl.rules.campaign_files import hash_json

if TYPE_CHECKING:
    from pushctl.jobs.campaigns.plan_files import Item

MAX_DRIFT = 0.01  # of an audience, either way, between plan and apply

_FORM = re.compile(r"([0-9a-f]{16}-){3}[0-9]{1,12}(\.[0-9]{1,12})*")
# Settings that change who gets a message, when, or how it looks.
_SETTINGS = ("sites", "segments", "messages", "frequency", "quiet", "holdout", "sunset")


class Entry(NamedTuple):
    """What one file adds to the hash."""

    name: str
    did: str
    settings: str
    texts: str
    phase: str
    people: int


def make_entry(item: "Item") -> Entry:
    settings = item.file.settings_hash if item.file is not None else ""
    return Entry(
        item.name, item.state.value, settings, item.sources_hash, item.phase, item.people or 0
    )


def compute_hash(config: Config, items: Sequence["Item"], plan: str | None = None) -> str:
    """
    Return the hash of what *items* would do, "" where that is nothing.

    A file that was applied by *plan* counts as it was then: after a kill the rest goes on.
    """
    entries = []
    for item in items:
        if item.is_action:
            entries.append(make_entry(item))
        elif plan and item.applied is not None and item.applied.plan == plan and item.file:
            row = item.applied
            texts = "" if row.did == "renamed" else row.sources_hash
            entries.append(
                Entry(item.name, row.did, row.settings_hash, texts, row.phase, row.people)
            )
    if not entries:
        return ""
    parts = (
        hash_json([entry[:4] for entry in entries]),
        hash_json({key: _plain(getattr(config, key)) for key in _SETTINGS}),
        hash_json([(entry.name, entry.phase) for entry in entries]),
    )
    counts = ".".join(str(entry.people) for entry in entries)
    return "-".join([*(part[:16] for part in parts), counts])


def refuse_other(config: Config, items: Sequence["Item"], plan: str) -> str:
    """
    Return the hash of what *items* would do; raise UsageError where *plan* is of another.

    Audiences may differ by 1 % either way. Raises InputError for what is no hash.
    """
    if _FORM.fullmatch(plan) is None:
        raise InputError(f"{plan!r} is no plan. `pushctl apply --dry-run` prints its hash.")
    now = compute_hash(config, items, plan)
    if not now:
        raise UsageError(f"{_OTHER} there is nothing to apply any more.")
    *planned, then = plan.split("-")
    *found, counts = now.split("-")
    names = ("files or texts", "settings", "the time of a campaign")
    if wrong := [
        name for name, *two in zip(names, planned, found, strict=True) if _differ(two)
    ]:
        raise UsageError(f"{_OTHER} {' and '.join(wrong)} changed. {_AGAIN}")
    pairs = list(zip(map(int, then.split(".")), map(int, counts.split(".")), strict=False))
    if then.count(".") != counts.count(".") or any(_has_drifted(*pair) for pair in pairs):
        said = ", ".join(f"{one:,} -> {two:,}" for one, two in pairs if _has_drifted(one, two))
        raise UsageError(f"{_OTHER} an audience changed by more than 1 %: {said}. {_AGAIN}")
    return plan


_OTHER = "nothing was done, because this is not the plan that was shown:"
_AGAIN = "Look at the new one: pushctl apply --dry-run"


def _differ(two: Sequence[str]) -> bool:
    return two[0] != two[1]


def _has_drifted(planned: int, found: int) -> bool:
    return abs(found - planned) > MAX_DRIFT * planned


def _plain(value: Any) -> Any:
    """Return settings as JSON knows values, the same in each process."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if isinstance(value, str | int | float | None) else str(value)
