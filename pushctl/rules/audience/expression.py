"""
An audience as a tree of frozen values.

``text`` writes it as ``parse`` reads it, ``explain`` in plain words.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from pushctl.model import Millis
from pushctl.rules import timing, units

Value = str | int | float | bool

FIELDS = (
    "site", "language", "country", "city", "browser", "os", "alias", "id", "source", "timezone",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Everyone:
    """Every active subscriber."""


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: "Expression"


@dataclass(frozen=True, slots=True)
class Tag:
    """Carries the tag, any case, not expired."""

    name: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A saved audience, by name; replaced by what it stands for before anything is asked."""

    name: str


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a subscription: *op* is =, !=, in, contains, like, known or unknown."""

    name: str  # one of FIELDS
    op: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attribute:
    """A typed value: *op* as for Field, or <, <=, >, >=."""

    name: str
    op: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Age:
    """Subscribed, or was last seen, within a time before now."""

    of: str  # "subscribed" or "seen"
    within: Millis


@dataclass(frozen=True, slots=True)
class Count:
    """How often: at least once unless said otherwise, ever or within a time before now."""

    op: str = ">="
    times: int = 1
    within: Millis | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Did something that the page or the shop reported."""

    name: str
    count: Count = Count()


@dataclass(frozen=True, slots=True)
class Reaction:
    """Was shown, clicked or closed messages, of one campaign or of any."""

    kind: str  # "shown", "clicked", "closed"
    campaign: str | None = None
    count: Count = Count()


@dataclass(frozen=True, slots=True)
class OfStep:
    """
    A reaction to, or the outcome of, an earlier message of a person's own enrolment.

    It is asked in ``only`` of a trigger's step alone, where one enrolment is looked at.
    """

    kind: str  # of a Reaction or an Outcome
    step: int  # from 1; BEFORE: the last one that went out
    campaign: str | None = None  # only that template's, of a step that tests several
    count: Count = Count()


BEFORE = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a campaign's message, ever or within a time before now."""

    kind: str  # "sent", "accepted", "rejected"
    campaign: str
    within: Millis | None = None


Expression = (
    Everyone
    | And
    | Or
    | Not
    | Tag
    | Segment
    | Field
    | Attribute
    | Age
    | Event
    | Reaction
    | OfStep
    | Outcome
)

EVERYONE = Everyone()


def all_of(parts: Iterable[Expression]) -> Expression:
    """Return what holds when all of *parts* hold; nothing given is everyone."""
    flat: list[Expression] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, And) else [part])
    if not flat:
        return EVERYONE
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def any_of(parts: Iterable[Expression]) -> Expression:
    """Return what holds when one of *parts* holds; at least one is given."""
    flat: list[Expression] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, Or) else [part])
    return flat[0] if len(flat) == 1 else Or(tuple(flat))


def depth(expression: Expression) -> int:
    """Return how many levels *expression* has; a single condition has one."""
    return 1 + max((depth(part) for part in parts(expression)), default=0)


def parts(expression: Expression) -> tuple[Expression, ...]:
    """Return the parts that *expression* joins."""
    if isinstance(expression, And | Or):
        return expression.parts
    return (expression.part,) if isinstance(expression, Not) else ()


def rebuild(expression: Expression, change: Callable[[Expression], Expression]) -> Expression:
    """Return *expression* with what *change* returns for each of its parts."""
    match expression:
        case And(parts):
            return all_of(map(change, parts))
        case Or(parts):
            return any_of(map(change, parts))
        case Not(part):
            return Not(change(part))
    return expression


def list_campaigns(expression: Expression) -> set[str]:
    """Return the campaigns that *expression* names; its segments are put in already."""
    return {
        part.campaign
        for part in walk(expression)
        if isinstance(part, Reaction | Outcome) and part.campaign is not None
    }


def list_steps(expression: Expression) -> list[OfStep]:
    """Return the parts of *expression* that only one enrolment can be asked about."""
    return [part for part in walk(expression) if isinstance(part, OfStep)]


def walk(expression: Expression) -> Iterator[Expression]:
    yield expression
    for part in parts(expression):
        yield from walk(part)


def list_tags(expression: Expression, wanted: bool = True) -> Iterator[tuple[str, bool]]:
    """Yield each tag of *expression*, and whether it is wanted (False: behind ``not``)."""
    if isinstance(expression, Tag):
        yield expression.name, wanted
    for part in parts(expression):
        yield from list_tags(part, wanted is not isinstance(expression, Not))


def text(expression: Expression) -> str:
    """Return *expression* as ``audience.parse`` reads it."""
    match expression:
        case Tag(name):
            return f"tag({quoted(name)})"
        case Segment(name):
            return f"segment({quoted(name)})"
        case Field(name, op, values):
            return name + _compare(op, values)
        case Attribute(name, op, values):
            return f"attribute({quoted(name)}){_compare(op, values)}"
        case Age(of, within):
            return f"{of} within {_span(within)}"
        case Event(name, count):
            return f"event({quoted(name)}){_count(count)}"
        case Reaction(kind, campaign, count):
            of = "" if campaign is None else f"({quoted(campaign)})"
            return f"{kind}{of}{_count(count)}"
        case OfStep(kind, step, campaign, count):
            of = quoted(campaign) if campaign else f"step {step or 'before'}"
            return f"{kind}({of}){_count(count)}"
        case Outcome(kind, campaign, within):
            return f"{kind}({quoted(campaign)}){_count(Count(within=within))}"
        case _:
            return _join(expression, text)


def quoted(value: Value) -> str:
    """Return *value* as it stands in an expression; quotes inside are doubled."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return format(Decimal(repr(value)), "f")  # never with an exponent


def explain(expression: Expression) -> str:
    """Return *expression* in plain words: "tagged 'VIP' and not seen in the last 30d"."""
    match expression:
        case Not(Age(of, within)):
            return f"{_AGES[of]} longer than {_span(within)} ago"
        case Tag(name):
            return f"tagged {name!r}"
        case Segment(name):
            return f"in the segment {name!r}"
        case Field(name, op, values):
            return f"{name} {_OPS[op]}{_list_values(values)}"
        case Attribute(name, op, values):
            return f"attribute {name!r} {_OPS[op]}{_list_values(values)}"
        case Age(of, within):
            return f"{_AGES[of]} in the last {_span(within)}"
        case Event(name, count):
            return f"did {name!r}{_often(count)}"
        case Reaction(kind, campaign, count):
            of = "any message" if campaign is None else f"a message of {campaign!r}"
            return f"{_REACTIONS[kind]} {of}{_often(count)}"
        case OfStep(kind, step, campaign, count):
            of = f"message {campaign!r}" if campaign else f"message of step {step}"
            said = {**_REACTIONS, **_OF_STEP}[kind]
            return f"{said} the {of if step else 'message before'}{_often(count)}"
        case Outcome(kind, campaign, within):
            often = _often(Count(within=within))
            return f"{_OUTCOMES[kind]} message of {campaign!r}{often}"
        case _:
            return _join(expression, explain)


_AGES = {"subscribed": "subscribed", "seen": "last seen"}
_REACTIONS = {"shown": "was shown", "clicked": "clicked", "closed": "closed"}
_OUTCOMES = {
    "sent": "was sent a",
    "accepted": "has an accepted",
    "rejected": "has a rejected",
}
_OF_STEP = {"sent": "was sent", "accepted": "has accepted", "rejected": "has rejected"}
_OPS = {
    "=": "is ", "!=": "is not ", "in": "is one of ", "contains": "contains ",
    "like": "is like ", "known": "is known", "unknown": "is not known", "<": "is less than ",
    "<=": "is at most ", ">": "is more than ", ">=": "is at least ",
}  # fmt: skip


def _join(expression: Everyone | And | Or | Not, write: Callable[[Expression], str]) -> str:
    def brace(part: Expression, *kinds: type) -> str:
        return f"({write(part)})" if isinstance(part, kinds) else write(part)

    match expression:
        case And(parts):
            return " and ".join(brace(part, Or) for part in parts)
        case Or(parts):
            return " or ".join(brace(part, And) for part in parts)
        case Not(part):
            return f"not {brace(part, And, Or)}"
    return "everyone"


def _compare(op: str, values: tuple[Value, ...]) -> str:
    if op in ("known", "unknown"):
        return f" is {op}"
    if op == "in":
        return f" in ({', '.join(map(quoted, values))})"
    return f" {op} {quoted(values[0])}"


def _count(count: Count) -> str:
    times = "" if (count.op, count.times) == (">=", 1) else f" {count.op} {count.times}"
    return times if count.within is None else f"{times} within {_span(count.within)}"


def _span(length: Millis) -> str:
    # People think of an audience in days: 14d rather than 2w.
    days, rest = divmod(length, units.DAY)
    return timing.say(length) if rest else f"{days}d"


def _list_values(values: tuple[Value, ...]) -> str:
    return ", ".join(map(quoted, values))


def _often(count: Count) -> str:
    often = _OPS[count.op].removeprefix("is ")
    times = "" if (count.op, count.times) == (">=", 1) else f" {often}{count.times} times"
    within = "" if count.within is None else f" in the last {_span(count.within)}"
    return times + within
