"""
The bodies that routes take: one table of sizes, fields and their forms.

Bodies come from strangers. Those that pass have the listed fields only, of the listed types
and lengths; signatures are verified when the inbox is drained.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import orjson

from pushctl.errors import InputError
from pushctl.model import Json
from pushctl.receiver.answers import Refusal
from pushctl.rules import limits, units
from pushctl.rules.delivery import endpoints
from pushctl.rules.web import fields, keys

Check = Callable[[Json], None]


class ShapeError(Exception):
    """A field is not of its form; the message names the field and the form, never the value."""


@dataclass(frozen=True)
class Shape:
    """One route's bodies."""

    limit: int  # bytes
    fields: Mapping[str, Check]
    required: frozenset[str]
    signed: bool = True  # refuse at once what carries no signature
    plain: bool = False  # text/plain too: sendBeacon, and no preflight
    cost: int = 1  # how many requests of its address's rate it counts for


def label(most: int) -> Check:
    """
    A name on one line: 1 to *most* characters, no control characters.

    By the import's own rule, or the import would refuse what got a 204 here.
    """

    def check(value: Json) -> None:
        usual = isinstance(value, str) and 0 < len(value) <= most and value.isascii()
        if usual and value.isprintable() and not value.isspace():
            return  # nearly all of them, in half the time
        try:
            fields.label(value, most)
        except InputError:
            raise ShapeError(f"text of 1 to {most} printable characters") from None

    return check


def text(most: int = limits.MAX_TEXT_CHARACTERS) -> Check:
    """Any text up to *most* characters; NUL is refused (SQLite's tools stop at it)."""

    def check(value: Json) -> None:
        if not (isinstance(value, str) and len(value) <= most and "\0" not in value):
            raise ShapeError(f"text of at most {most} characters")

    return check


def matching(pattern: str, form: str) -> Check:
    compiled = re.compile(pattern, re.ASCII)

    def check(value: Json) -> None:
        if not (isinstance(value, str) and compiled.fullmatch(value)):
            raise ShapeError(form)

    return check


def milliseconds(value: Json) -> None:
    if type(value) is not int or not 0 <= value < limits.MAX_NUMBER:
        raise ShapeError("a time in milliseconds since 1970")


def number_or_null(value: Json) -> None:
    if value is not None and type(value) not in (int, float):
        raise ShapeError("null or a number")


def optional(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def each(check: Check, most: int) -> Check:
    """A list of at most *most* values that pass *check*."""

    def check_all(value: Json) -> None:
        if not isinstance(value, list) or len(value) > most:
            raise ShapeError(f"a list of at most {most}")
        for one in value:
            check(one)

    return check_all


def record(fields: Mapping[str, Check], required: frozenset[str]) -> Check:
    """An object with no other fields than *fields*, and all of *required*."""

    def check(value: Json) -> None:
        if not isinstance(value, dict):
            raise ShapeError("an object")
        if missing := sorted(required - value.keys()):
            raise ShapeError(f"an object with {', '.join(missing)}")
        for name, one in value.items():
            inner = fields.get(name)
            if inner is None:
                raise ShapeError(f"an object of {', '.join(sorted(fields))} only")
            try:
                inner(one)
            except ShapeError as error:
                raise ShapeError(f"{error} in its field {name}") from None

    return check


_TEXT = text()
_WORD = text(limits.MAX_LABEL_CHARACTERS)
_NAME = label(limits.MAX_LABEL_CHARACTERS)
_EVENT_NAME = label(limits.MAX_ID_CHARACTERS)


def any_object(value: Json) -> None:
    """An object with fields of the shop's choice, within the limits of size and depth."""
    if not isinstance(value, dict):
        raise ShapeError("an object")
    _check_tree(value, limits.MAX_RECEIVED_LEVELS)


def _check_tree(value: Json, depth: int) -> None:
    # orjson makes exactly these types, and comparing them takes half the time of
    # isinstance(); most of a cart is texts and numbers.
    kind = type(value)
    if kind is str:
        _TEXT(value)
    elif kind is int or kind is float:
        if not -limits.MAX_NUMBER < cast(float, value) < limits.MAX_NUMBER:  # NaN isn't either
            raise ShapeError("numbers below 2^53")
    elif isinstance(value, (dict, list)):
        if depth == 0:
            raise ShapeError(f"at most {limits.MAX_RECEIVED_LEVELS} levels deep")
        if len(value) > limits.MAX_LEVEL_ENTRIES:
            raise ShapeError(f"at most {limits.MAX_LEVEL_ENTRIES} entries")
        if isinstance(value, dict):
            for key in value:
                _NAME(key)
            value = list(value.values())
        for one in value:
            _check_tree(one, depth - 1)


def _from_rule(rule: Callable[[str], object]) -> Check:
    def check(value: Json) -> None:
        if not isinstance(value, str):
            raise ShapeError("text")
        try:
            rule(value)
        except InputError as error:
            raise ShapeError(str(error)) from None

    return check


def integer(low: int, high: int) -> Check:
    def check(value: Json) -> None:
        if type(value) is not int or not low <= value <= high:
            raise ShapeError(f"a whole number from {low} to {high}")

    return check


def boolean(value: Json) -> None:
    if type(value) is not bool:
        raise ShapeError("true or false")


_LIFE = integer(limits.MIN_TAG_SECONDS, limits.MAX_TAG_SECONDS)
_TIMED = record({"name": _NAME, "seconds": _LIFE}, frozenset({"name", "seconds"}))


def timed_tag(value: Json) -> None:
    """A tag's name, or {"name", "seconds"} for one that expires."""
    (_TIMED if isinstance(value, dict) else _NAME)(value)


ID = matching(r"[A-Za-z0-9_-]{1,64}", "1 to 64 letters, digits, - or _")
SIGNATURE = r"[0-9]{1,11}\.[A-Za-z0-9_-]{43}"
# Whether it is the right one only the import can say: no secret is here. Of another form it
# is certainly wrong, and its page learns it at once.
ALIAS_SIGNATURE = matching(r"[A-Za-z0-9_-]{43}", "43 characters of base64url, without =")
EMAIL_HASH = optional(_from_rule(fields.email_hash))
EVENT = record(
    {"id": ID, "name": _EVENT_NAME, "at": milliseconds, "properties": any_object},
    frozenset({"id", "name", "at"}),
)
CONSENT = record({"text": _NAME, "at": milliseconds, "page": _TEXT}, frozenset({"text", "at"}))
CART = _from_rule(fields.cart_key)
KEYS = record(
    {"p256dh": _from_rule(keys.p256dh), "auth": _from_rule(keys.auth)},
    frozenset({"p256dh", "auth"}),
)


def make_table(allowed_hosts: Sequence[str]) -> Mapping[str, Shape]:
    """Return the shape of every route; *allowed_hosts* as in push.allowed_hosts."""
    endpoint = _from_rule(lambda value: _check_host(value, allowed_hosts))
    known = {"endpoint": endpoint}
    events = each(EVENT, limits.MAX_RECEIVED_EVENTS)
    timed, plain = (each(one, limits.MAX_RECEIVED_TAGS) for one in (timed_tag, _NAME))
    pause = integer(0, limits.MAX_PAUSE_SECONDS)
    preferences = {**known, "pause": pause, "fewer": boolean, "tracking": boolean}
    tags = {**known, "add": timed, "remove": plain}
    about = {"alias": optional(_NAME), "email_hash": EMAIL_HASH}
    identify = {**known, **about, "signature": ALIAS_SIGNATURE, "cart": CART}
    return {
        "/v1/subscribe": Shape(
            4 * units.KIB,
            _list_subscribe_fields(endpoint, timed, events),
            frozenset(("subscription", "key")),
            signed=False,
            # Each adds a subscription, perhaps a made-up one; a browser sends one a day.
            cost=10,
        ),
        "/v1/unsubscribe": Shape(4 * units.KIB, known, frozenset(known)),
        "/v1/tags": Shape(8 * units.KIB, tags, frozenset(known)),
        "/v1/identify": Shape(4 * units.KIB, identify, frozenset(known)),
        "/v1/events": Shape(
            8 * units.KIB,
            {**known, "events": events, "cart": CART},
            frozenset({"endpoint", "events"}),
        ),
        "/v1/preferences": Shape(4 * units.KIB, preferences, frozenset(known)),
        "/v1/forget": Shape(4 * units.KIB, known, frozenset(known)),
        **_make_beacons(),
    }


def _list_subscribe_fields(endpoint: Check, tags: Check, events: Check) -> Mapping[str, Check]:
    return {
        "subscription": record(
            {"endpoint": endpoint, "keys": KEYS, "expirationTime": number_or_null},
            frozenset({"endpoint", "keys"}),
        ),
        "key": matching(keys.SERVER_KEY_FORM, "an application server key"),
        "previous": endpoint,
        "previous_signature": matching(SIGNATURE, "a signature"),
        # Of any form: the import ignores a language of "tr_TR" or "", and no subscription
        # is refused for it.
        "language": _WORD,
        "timezone": _WORD,
        "page": _TEXT,
        "referrer": _TEXT,
        "source": _WORD,
        "tags": tags,
        "attributes": any_object,
        "events": events,
        "consent": CONSENT,
        "chosen": boolean,
        "adopted": boolean,
        "tracking": boolean,
        "cart": CART,
    }


def _make_beacons() -> Mapping[str, Shape]:
    """Return the shapes of routes without a signature, for sendBeacon too."""
    report: dict[str, Check] = {
        "message": matching(r"[0-9]{1,18}\.[A-Za-z0-9_-]{22}", "a message's token"),
        "kind": matching("shown|clicked|closed|bought", "shown, clicked, closed or bought"),
        "action": optional(lambda value: value == "" or _NAME(value)),
        "at": milliseconds,
        "id": ID,
    }
    known = "visit|seen|accepted|allowed|denied|dismissed|failed"
    stages = matching(known, "a stage of the invitation")
    prompt = {"variant": ID, "stage": stages, "language": _WORD}
    beacon = partial(Shape, signed=False, plain=True)
    return {
        "/v1/reports": beacon(units.KIB, report, frozenset({"message", "kind", "id"})),
        "/v1/prompts": beacon(units.KIB // 2, prompt, frozenset({"variant", "stage"})),
    }


def _check_host(endpoint: str, allowed_hosts: Sequence[str]) -> None:
    try:
        endpoints.origin(endpoint, allowed_hosts)
    except InputError:
        raise InputError("an https endpoint on an allowed push host") from None


def check(shape: Shape, body: bytes) -> Mapping[str, Json]:
    """Return the fields of *body*; raise Refusal (400) unless it is JSON of this shape."""
    try:
        # orjson refuses NaN, lone surrogates and 1,024 levels; json permits them.
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        remedy = "Send one JSON object in UTF-8."
        raise Refusal(400, "json", "The body is not JSON.", remedy) from None
    try:
        record(shape.fields, shape.required)(value)
    except ShapeError as error:
        remedy = f"It takes {error}. Use the pushctl.js that this receiver serves."
        message = "The body does not have the form of this address."
        raise Refusal(400, "shape", message, remedy) from None
    fields: Mapping[str, Json] = value
    return fields
