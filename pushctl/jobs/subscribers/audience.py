"""
Audiences of a project: what a command line asks for, with the saved segments put in.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pushctl.config import Config
from pushctl.errors import PushctlError
from pushctl.model import Millis
from pushctl.rules.audience import parse
from pushctl.rules.audience.parse import Expression
from pushctl.store import Store


@dataclass(frozen=True, slots=True)
class Segment:
    """A saved audience and how many active subscribers it means now."""

    name: str
    expression: str  # as pushctl.toml has it
    meaning: str  # in plain words, segments inside put in
    subscribers: int | None  # None: it can't be read
    share: float | None  # of all active subscribers
    problem: str | None = None


def asked(
    config: Config,
    *,
    tags: Sequence[str] = (),
    segments: Sequence[str] = (),
    where: Sequence[str] = (),
) -> tuple[str, Expression]:
    """
    Return the audience of --tag, --segment and --where: as typed, and ready to be asked.

    All of them must hold; none given is everyone. Raises InputError for what can't be
    read, NotFoundError for a segment that isn't in pushctl.toml.
    """
    typed = parse.join(tags=tags, segments=segments, where=where)
    return parse.text(typed), parse.expand(typed, config.segments)


def saved(config: Config, name: str) -> Expression:
    """Return the saved segment *name*, ready to be asked."""
    return parse.expand(parse.join(segments=[name]), config.segments)


def listed(config: Config, store: Store, now: Millis) -> list[Segment]:
    """Return all saved segments with live counts; one that can't be read says why."""
    everybody = store.audience.count(parse.parse("everyone"), now)
    return [_counted(config, store, name, everybody, now) for name in config.segments]


def shown(config: Config, store: Store, name: str, now: Millis) -> Segment:
    """Return one saved segment; raises NotFoundError, or InputError when it can't be read."""
    saved(config, name)
    everybody = store.audience.count(parse.parse("everyone"), now)
    return _counted(config, store, name, everybody, now)


def _counted(config: Config, store: Store, name: str, everybody: int, now: Millis) -> Segment:
    text = config.segments[name]
    try:
        expression = saved(config, name)
        count = store.audience.count(expression, now)
    except PushctlError as error:
        return Segment(name, text, "", None, None, str(error))
    share = count / everybody if everybody else None
    return Segment(name, text, parse.explain(expression), count, share)


def meant(
    store: Store, refs: Sequence[str], audience: Expression | None, now: Millis
) -> Sequence[int]:
    """Return the rows of those whom *refs* name, or of an *audience* in any state."""
    if audience is not None:
        return store.audience.list_ids(audience, now, any_state=True)
    return [one.id for ref in refs for one in store.subscriptions.find(ref)]
