"""
Whom a notification in OneSignal's form is for: ids, segments or filters.

What its filters say and our audiences can't (sessions counted, money spent, a location) is
refused by name.
"""

import re
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence

from pushctl.errors import InputError
from pushctl.model import Json
from pushctl.rules import limits, tokens, units
from pushctl.rules.audience import expression as tree
from pushctl.rules.audience.expression import Expression
from pushctl.rules.vendors.field_values import (
    FieldError,
    drop_nothing,
    read_label,
    read_list,
    read_subscriber,
    refuse_others,
)
from pushctl.rules.web import fields as forms

IDS = ("include_subscription_ids", "include_player_ids")
ALIASES = ("include_aliases", "include_external_user_ids")
TARGETS = (*IDS, *ALIASES, "included_segments", "filters")
# What OneSignal calls everybody who is subscribed.
EVERYBODY = ("All", "Subscribed Users", "Total Subscriptions")
# Field of a filter -> its relations.
FILTERS: Mapping[str, tuple[str, ...]] = {
    "tag": ("=", "!=", ">", "<", "exists", "not_exists", "in_array", "not_in_array"),
    "language": ("=", "!=", "in_array", "not_in_array"),
    "country": ("=", "!=", "in_array", "not_in_array"),
    "last_session": (">", "<"),
    "first_session": (">", "<"),
}

NO_TARGET = (
    "You must include which players, segments, or tags you wish to send this notification to."
)
_MAX_ARRAY = 20
_MAX_HOURS = 87_600
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,6})?", re.ASCII)
_AGES = {"last_session": "seen", "first_session": "subscribed"}


def read_target(
    given: Mapping[str, Json], segments: Collection[str]
) -> tuple[Mapping[str, Json], int]:
    """
    Return "to" of a message and the number of people it names, 0 for an audience.

    *segments* are those of pushctl.toml. Raises FieldError.
    """
    found = [name for name in TARGETS if name in given]
    if not found:
        raise FieldError("", NO_TARGET)
    if len(found) > 1:
        raise FieldError(found[1], f"can't stand beside {found[0]}")
    name, value = found[0], given[found[0]]
    if "excluded_segments" in given and name != "included_segments":
        raise FieldError("excluded_segments", f"can't stand beside {name}")
    if name in IDS or name in ALIASES:
        people = _read_people(name, value)
        return {"people": people}, len(people)
    if name == "filters":
        return {"audience": _write(_read_filters(value), name)}, 0
    wanted = _read_segments(value, name, segments)
    if "excluded_segments" in given:
        name = "excluded_segments"
        unwanted = _read_segments(given[name], name, segments)
        return {"audience": _write(tree.all_of([wanted, tree.Not(unwanted)]), name)}, 0
    return {"audience": _write(wanted, name)}, 0


def read_uuid(text: str) -> str | None:
    """Return an id of ours that is written as a UUID; None: it is none."""
    try:
        return tokens.encode(uuid.UUID(text).bytes) if len(text) == 36 else None
    except ValueError:
        return None


def write_uuid(own: str) -> str:
    """Return an id of ours, 16 bytes, as callers of OneSignal know ids."""
    return str(uuid.UUID(bytes=tokens.decode(own)))


def _read_people(name: str, value: Json) -> list[Mapping[str, Json]]:
    if name == "include_aliases":
        labels = drop_nothing(value, name)
        refuse_others(labels, ["external_id"], f"{name}.")
        name, value = f"{name}.external_id", labels.get("external_id")
    entries = read_list(value, name, limits.MAX_VENDOR_NAMES)
    if name not in IDS:
        return [{"alias": one} for one in dict.fromkeys(_read_aliases(entries, name))]
    found: dict[str, Mapping[str, Json]] = {}
    for number, one in enumerate(entries):
        own = read_uuid(one) if isinstance(one, str) else None
        if (person := read_subscriber(own or one)) is None:
            raise FieldError(f"{name}[{number}]", "is no subscriber's id and no UUID")
        found[own or one] = person
    return list(found.values())


def _read_aliases(entries: Sequence[Json], name: str) -> list[str]:
    found: list[str] = []
    for number, one in enumerate(entries):
        try:
            found.append(forms.alias(str(one) if type(one) is int else one))
        except InputError as error:
            raise FieldError(f"{name}[{number}]", str(error)) from None
    return found


def _read_segments(value: Json, name: str, known: Collection[str]) -> Expression:
    entries = read_list(value, name, limits.MAX_VENDOR_CONDITIONS)
    parts: list[Expression] = []
    for number, one in enumerate(entries):
        place = f"{name}[{number}]"
        segment = read_label(one, place)
        if segment in known:
            parts.append(tree.Segment(segment))
        elif segment in EVERYBODY:
            parts.append(tree.EVERYONE)
        else:
            raise FieldError(place, "is no segment of pushctl.toml")
    return tree.any_of(parts)


# --- filters ---------------------------------------------------------------------------------


def _read_filters(value: Json) -> Expression:
    """Return filters as an audience: those beside each other are AND, which binds closer."""
    groups: list[list[Expression]] = [[]]
    joined = True  # nothing, or an operator, stands before
    for number, one in enumerate(read_list(value, "filters", limits.MAX_VENDOR_CONDITIONS)):
        place = f"filters[{number}]"
        fields = drop_nothing(one, place)
        if "operator" not in fields:
            groups[-1].append(_read_filter(fields, place))
            joined = False
            continue
        refuse_others(fields, ["operator"], f"{place}.")
        if joined or fields["operator"] not in ("AND", "OR"):
            raise FieldError(f"{place}.operator", "is no AND or OR between two filters")
        joined = True
        if fields["operator"] == "OR":
            groups.append([])
    if joined:
        raise FieldError("filters", "ends in an operator")
    return tree.any_of([tree.all_of(group) for group in groups])


def _read_filter(fields: Mapping[str, Json], place: str) -> Expression:
    name, relation = fields.get("field"), fields.get("relation")
    if not isinstance(name, str) or name not in FILTERS:
        raise FieldError(f"{place}.field", f"is none of {', '.join(FILTERS)}")
    if not isinstance(relation, str) or relation not in FILTERS[name]:
        raise FieldError(f"{place}.relation", f"is none of {', '.join(FILTERS[name])}")
    if name in _AGES:
        refuse_others(fields, ["field", "relation", "hours_ago"], f"{place}.")
        age = tree.Age(_AGES[name], _read_hours(fields.get("hours_ago"), place))
        return age if relation == "<" else tree.Not(age)
    if name == "tag":
        return _read_tag(fields, relation, place)
    refuse_others(fields, ["field", "relation", "value"], f"{place}.")
    return _compare(
        relation, fields.get("value"), place, lambda text: tree.Field(name, "=", (text,))
    )


def _read_tag(fields: Mapping[str, Json], relation: str, place: str) -> Expression:
    """A tag of OneSignal has a value: it is an attribute here, or a tag where none is asked."""
    key = read_label(fields.get("key"), f"{place}.key")
    known = ["field", "relation", "key"]
    if relation in ("exists", "not_exists"):
        refuse_others(fields, known, f"{place}.")
        some = tree.any_of([tree.Attribute(key, "known", ()), tree.Tag(key)])
        return some if relation == "exists" else tree.Not(some)
    refuse_others(fields, [*known, "value"], f"{place}.")
    if relation in (">", "<"):
        number = _read_number(_read_value(fields.get("value"), place))
        if number is None:
            raise FieldError(f"{place}.value", "is no number")
        return tree.Attribute(key, relation, (number,))

    def is_equal(text: str) -> Expression:
        # Its values are texts; the same attribute may have come as a number from a page.
        number = _read_number(text)
        own: list[Expression] = [tree.Attribute(key, "=", (text,))]
        if number is not None:
            own.append(tree.Attribute(key, "=", (number,)))
        return tree.any_of(own)

    return _compare(relation, fields.get("value"), place, is_equal)


def _compare(
    relation: str, value: Json, place: str, is_equal: Callable[[str], Expression]
) -> Expression:
    """Return the audience of a relation that compares with a value, or with a list of them."""
    text = _read_value(value, place)
    if relation in ("=", "!="):
        found = is_equal(text)
    else:
        values = [one.strip() for one in text.split(",") if one.strip()]
        if not 0 < len(values) <= _MAX_ARRAY:
            raise FieldError(f"{place}.value", f"is no list of 1 to {_MAX_ARRAY} values")
        found = tree.any_of([is_equal(one) for one in values])
    return found if relation in ("=", "in_array") else tree.Not(found)


def _read_value(value: Json, place: str) -> str:
    if type(value) in (int, float):
        value = str(value)
    return read_label(value, f"{place}.value", limits.MAX_QUOTED_CHARACTERS)


def _read_number(text: str) -> int | float | None:
    if not _NUMBER.fullmatch(text):
        return None
    return float(text) if "." in text else int(text)


def _read_hours(value: Json, place: str) -> int:
    """Return a length in milliseconds of hours as a text, "1.1"."""
    number = _read_number(str(value)) if type(value) in (str, int, float) else None
    if number is None or not 0 < number <= _MAX_HOURS:
        raise FieldError(f"{place}.hours_ago", "is no number of hours, ten years at most")
    return max(round(number * units.HOUR / units.SECOND), 1) * units.SECOND


def _write(audience: Expression, name: str) -> str:
    text = tree.text(audience)
    if len(text) > limits.MAX_AUDIENCE_CHARACTERS:
        raise FieldError(name, f"is longer than {limits.MAX_AUDIENCE_CHARACTERS:,} characters")
    return text
