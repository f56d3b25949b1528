"""Audiences of a project: from command lines, and saved as segments."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pushctl.config import Config
from pushctl.errors import InputError, PushctlError
from pushctl.model import Millis
from pushctl.rules.audience import expression as tree
from pushctl.rules.audience import parse
from pushctl.rules.audience.parse import Expression
from pushctl.rules.web import fields
from pushctl.store import Store
from pushctl.store.faults import DATABASE_FAULTS


@dataclass(frozen=True, slots=True)
class Segment:
    name: str
    expression: str  # of pushctl.toml
    meaning: str  # in plain words, with the segments in it
    subscribers: int | None  # active; None: it can't be read
    share: float | None  # of all active subscribers
    problem: str | None = None


def build(
    config: Config,
    *,
    tags: Sequence[str] = (),
    segments: Sequence[str] = (),
    where: Sequence[str] = (),
) -> tuple[str, Expression]:
    """
    Return the audience of --tag, --segment and --where: as text, and as a full expression.

    All of them must hold; none is everyone. Raises InputError for a bad expression,
    NotFoundError for a segment that isn't in pushctl.toml.
    """
    typed = parse.join(tags=tags, segments=segments, where=where)
    return parse.text(typed), parse.expand(typed, config.segments)


def find_unknown_tags(
    config: Config, store: Store, *, tags: Sequence[str] = (), where: Sequence[str] = ()
) -> Iterator[tuple[str, bool]]:
    """
    Yield a sentence for each tag that nobody ever had, and whether the audience wants it.

    Tags that pushctl.toml sets are no slips of the pen. Saved segments are not looked into:
    one may be older than its first member.
    """
    typed = parse.join(tags=tags, where=where)
    declared = _list_declared(config)
    for name, wanted in tree.list_tags(typed):
        with suppress(InputError):  # no tag can have this name
            if store.tags.find(name) is None and fields.fold(name) not in declared:
                near = ", ".join(map(repr, store.tags.find_nearest(name)))
                remedy = f"Did you mean {near}?" if near else "See pushctl tags list."
                yield f"nobody ever had the tag {name!r}. {remedy}", wanted


def _list_declared(config: Config) -> set[str]:
    """Return the tags, folded, that triggers and tag rules of pushctl.toml set."""
    names = [trigger.tag for trigger in config.triggers.values() if trigger.tag]
    names += [rule.tag for rule in config.tag_rules]
    return set(map(fields.fold, names))


def load_segment(config: Config, name: str) -> Expression:
    return parse.expand(parse.join(segments=[name]), config.segments)


def list_segments(config: Config, store: Store, now: Millis) -> list[Segment]:
    """Return all saved segments with live counts, or with their problem."""
    everybody = store.audience.count(parse.parse("everyone"), now)
    return [_count(config, store, name, everybody, now) for name in config.segments]


def get_segment(config: Config, store: Store, name: str, now: Millis) -> Segment:
    """Return one saved segment; raises NotFoundError, InputError."""
    load_segment(config, name)
    everybody = store.audience.count(parse.parse("everyone"), now)
    return _count(config, store, name, everybody, now)


def _count(config: Config, store: Store, name: str, everybody: int, now: Millis) -> Segment:
    text = config.segments[name]
    try:
        expression = load_segment(config, name)
        count = store.audience.count(expression, now)
    except DATABASE_FAULTS:
        raise
    except PushctlError as error:
        return Segment(name, text, "", None, None, str(error))
    share = count / everybody if everybody else None
    return Segment(name, text, parse.explain(expression), count, share)


def find_rows(
    store: Store, refs: Sequence[str], audience: Expression | None, now: Millis
) -> Sequence[int]:
    """Return the row ids of *refs*, or of an *audience* in any state."""
    if audience is not None:
        return store.audience.list_ids(audience, now, any_state=True)
    return [one.id for ref in refs for one in store.subscriptions.find(ref)]
