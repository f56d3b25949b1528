"""
[[tag_rules]] of pushctl.toml: what people do on the site's pages sets or removes tags.

Pages get them as static JSON and follow them (sw/pushctl-rules.js).
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from pushctl.errors import InputError
from pushctl.model import Json
from pushctl.rules import limits, units
from pushctl.rules.config.checks import Verdict, between
from pushctl.rules.web import fields, reserved_tags

_ONE_OF = ("scroll", "dwell", "link", "click", "form", "event")


def _address(value: str) -> Verdict:
    if not (value.startswith(("/", "https://", "http://", "*")) and value.isprintable()):
        return (
            f"is {value!r}, neither a path nor an address",
            "Write it like '/lamps/*' or 'https://shop.example/lamps/*'; * is anything.",
        )
    # What the page compares (sw/pushctl-watch.js); the rest would never be met.
    if "#" in value:
        return (
            f"is {value!r}, but what follows a # is not looked at",
            f"Write {value.partition('#')[0]!r}.",
        )
    if value.startswith("/") and "?" in value:
        return (
            f"is {value!r}, but of a path what follows a ? is not looked at",
            f"Write {'*' + value!r} or a whole address, 'https://shop.example/search?q=*'.",
        )
    return None


def _selector(value: str) -> Verdict:
    if value.strip() and not set("{};").intersection(value):
        return None
    return f"is {value!r}, not a CSS selector", "Write it like '#payment' or 'a.brochure'."


def _lasting(least: int, most: int, example: str) -> Callable[[str], Verdict]:
    def check(value: str) -> Verdict:
        try:
            seconds = _seconds(value)
        except InputError:
            return f"is {value!r}, which is no duration", f"Write it like '{example}'."
        if least <= seconds <= most:
            return None
        remedy = f"Write a duration from {least} to {most:,} seconds, like '{example}'."
        return f"is {value!r}", remedy

    return check


_dwell = _lasting(1, 86_400, "45s")
_expiry = _lasting(limits.MIN_TAG_SECONDS, limits.MAX_TAG_SECONDS, "30d")


def _seconds(text: str) -> int:
    from pushctl.rules import timing  # zones cost every start, rules are for few

    return timing.duration(text) // units.SECOND


def _tag(value: str) -> Verdict:
    try:
        if not reserved_tags.is_reserved(value):
            return None
    except InputError as error:
        return str(error), "Write a short name, like 'Looked at lamps'."
    prefix = reserved_tags.RESERVED
    return f"begins with {prefix!r}", "Those are pushctl's own; choose another name."


@dataclass(frozen=True, slots=True)
class When:
    """What a visitor does: a page, one other thing, or both at once."""

    page: str | None = field(default=None, metadata={"check": _address})
    # share of the page that was on the screen, 0 to 1
    scroll: float | None = field(default=None, metadata={"check": between(0.01, 1)})
    dwell: str | None = field(default=None, metadata={"check": _dwell})  # "45s", in sight
    link: str | None = field(default=None, metadata={"check": _address})  # where it leads
    click: str | None = field(default=None, metadata={"check": _selector})
    form: str | None = field(default=None, metadata={"check": _selector})  # seen or entered
    event: str | None = None  # a name that the page tracks


def _when(value: When) -> Verdict:
    given = [name for name in _ONE_OF if getattr(value, name) is not None]
    if len(given) > 1:
        return (
            f"asks for {' and '.join(given)} at once",
            "Write a rule for each; they may set the same tag.",
        )
    if not given and value.page is None:
        return "is empty", f"Write page = '/lamps/*', or one of {', '.join(_ONE_OF)}."
    return None


@dataclass(frozen=True, slots=True)
class TagRule:
    tag: str = field(metadata={"check": _tag, "remedy": "Write tag = 'Looked at lamps'."})
    when: When = field(
        metadata={"check": _when, "remedy": "Write when = { page = '/lamps/*' }."}
    )
    expires: str | None = field(default=None, metadata={"check": _expiry})  # "30d"
    remove: bool = False  # takes the tag off instead
    sites: tuple[str, ...] = ()  # none named: all


def few(rules: Collection[TagRule]) -> Verdict:
    if len(rules) <= limits.MAX_TAG_RULES:
        return None
    return f"has {len(rules)} rules", f"Pages carry them all: at most {limits.MAX_TAG_RULES}."


def sensible(rule: TagRule) -> Verdict:
    if rule.remove and rule.expires is not None:
        return "removes a tag that expires", "Leave out expires, or remove."
    return None


def list_for_site(rules: Iterable[TagRule], site: str) -> list[Mapping[str, Json]]:
    """Return the rules of *site* as the page reads them: flat, times in seconds."""
    return [_flatten(rule) for rule in rules if not rule.sites or site in rule.sites]


def _flatten(rule: TagRule) -> Mapping[str, Json]:
    when = rule.when
    flat = {
        "tag": fields.tag(rule.tag),
        "page": when.page,
        **{name: getattr(when, name) for name in _ONE_OF},
        "dwell": when.dwell and _seconds(when.dwell),
        "expires": rule.expires and _seconds(rule.expires),
        "remove": rule.remove or None,
    }
    return {name: value for name, value in flat.items() if value is not None}
