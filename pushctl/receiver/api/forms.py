"""
Forms of JSON: each is a check and the JSON Schema that says the same.

The API refuses by the one and publishes the other (OpenAPI), so they can't differ. A fault
names its place, and never repeats what was sent.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches

from pushctl.model import Json
from pushctl.receiver import shapes
from pushctl.receiver.shapes import ShapeError
from pushctl.rules import limits

Schema = Mapping[str, Json]

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ISO = re.compile(
    r"2\d{3}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
# 2000-01-01: what is before is seconds that were taken for milliseconds.
LEAST_MILLIS = 946_684_800_000


class FormError(ShapeError):
    """What a form takes, and where in the body something else stands."""

    def __init__(self, text: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(text)
        self.path = path


@dataclass(frozen=True)
class Form:
    check: Callable[[Json], None]  # raises ShapeError
    schema: Schema


def label(most: int, about: str = "", example: str = "") -> Form:
    """A name on one line, of 1 to *most* characters."""

    def check(value: Json) -> None:
        if (
            not isinstance(value, str)
            or not 0 < len(value) <= most
            or _CONTROLS.search(value)
            or not value.strip()
        ):
            raise FormError(f"text of 1 to {most} printable characters")

    schema: dict[str, Json] = {"type": "string", "minLength": 1, "maxLength": most}
    schema["pattern"] = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f]"
    schema["pattern"] += r"[^\u0000-\u001f\u007f-\u009f]*$"
    return _describe(Form(check, schema), about, example)


def text(most: int, about: str = "", least: int = 0) -> Form:
    """Any text of *least* to *most* characters, without NUL."""

    def check(value: Json) -> None:
        if not isinstance(value, str) or not least <= len(value) <= most or "\0" in value:
            raise FormError(f"text of {least} to {most} characters")

    schema = {"type": "string", "minLength": least, "maxLength": most}
    return _describe(Form(check, {**schema, "pattern": r"^[^\u0000]*$"}), about)


def matching(pattern: str, form: str, about: str = "", example: str = "") -> Form:
    """A text of that whole *pattern*; *form* says it in words."""
    schema = {"type": "string", "pattern": f"^(?:{pattern})$"}
    return _describe(Form(shapes.matching(pattern, form), schema), about, example)


def whole(low: int, high: int, about: str = "") -> Form:
    def check(value: Json) -> None:
        # 60.0 is a whole number in JSON Schema, and some languages write no other.
        if type(value) not in (int, float) or not low <= value <= high or value != int(value):
            raise FormError(f"a whole number from {low} to {high}")

    schema = {"type": "integer", "minimum": low, "maximum": high}
    return _describe(Form(check, schema), about)


def switch(about: str = "") -> Form:
    return _describe(Form(shapes.boolean, {"type": "boolean"}), about)


def one_of(*words: str, about: str = "") -> Form:
    def check(value: Json) -> None:
        if value not in words:
            raise FormError(f"one of {', '.join(words)}")

    return _describe(Form(check, {"enum": list(words)}), about)


def nullable(form: Form) -> Form:
    def check(value: Json) -> None:
        if value is not None:
            form.check(value)

    return Form(check, {"anyOf": [form.schema, {"type": "null"}]})


def either(words: str, *forms: Form) -> Form:
    """One of several forms; *words* say them all."""

    def check(value: Json) -> None:
        for form in forms:
            try:
                form.check(value)
            except ShapeError:
                continue
            return
        raise FormError(words)

    return Form(check, {"anyOf": [one.schema for one in forms]})


def many(form: Form, most: int, least: int = 0, about: str = "") -> Form:
    """A list of *least* to *most* values of that form."""

    def check(value: Json) -> None:
        if not isinstance(value, list) or not least <= len(value) <= most:
            raise FormError(f"a list of {least} to {most}")
        for number, one in enumerate(value):
            with _Place(number):
                form.check(one)

    schema = {"type": "array", "items": form.schema, "minItems": least, "maxItems": most}
    return _describe(Form(check, schema), about)


def table(
    fields: Mapping[str, Form],
    required: Sequence[str] = (),
    *,
    one_among: Sequence[str] = (),
    some_among: Sequence[str] = (),
    about: str = "",
) -> Form:
    """
    An object of *fields* only, with all that is *required*, exactly one field of
    *one_among*, and at least one of *some_among*.
    """

    def check(value: Json) -> None:
        if not isinstance(value, dict):
            raise FormError("an object")
        for name, one in value.items():
            inner = fields.get(name)
            if inner is None:
                near = get_close_matches(str(name)[:64], fields, n=1)
                hint = f" (did you mean {near[0]}?)" if near else ""
                raise FormError(f"an object of {', '.join(fields)} only{hint}")
            with _Place(name):
                inner.check(one)
        if missing := [name for name in required if name not in value]:
            raise FormError(f"an object with {', '.join(missing)}")
        if one_among and len(value.keys() & set(one_among)) != 1:
            raise FormError(f"an object with one of {', '.join(one_among)}, and only one")
        if some_among and not value.keys() & set(some_among):
            raise FormError(f"an object with {' or '.join(some_among)}")

    schema: dict[str, Json] = {
        "type": "object",
        "properties": {name: form.schema for name, form in fields.items()},
        "additionalProperties": False,
    }
    if required:
        schema["required"] = list(required)
    rules: list[Json] = []
    if one_among:
        rules.append({"oneOf": [{"required": [name]} for name in one_among]})
    if some_among:
        rules.append({"anyOf": [{"required": [name]} for name in some_among]})
    schema |= {"allOf": rules} if len(rules) > 1 else (rules[0] if rules else {})
    return _describe(Form(check, schema), about)


class _Place:
    """Adds a field's name or a number to the path of a fault within its block."""

    def __init__(self, part: str | int) -> None:
        self._part = part

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ShapeError):
            path = error.path if isinstance(error, FormError) else ()
            raise FormError(str(error), (self._part, *path)) from None


def _describe(form: Form, about: str, example: str = "") -> Form:
    more = ({"description": about} if about else {}) | (
        {"examples": [example]} if example else {}
    )
    return Form(form.check, {**form.schema, **more})


# --- values of the shop's choice -----------------------------------------------------------


def free(about: str = "") -> Form:
    """An object with fields of the shop's choice, as pages may send one."""
    schema = {"$ref": f"#/components/schemas/Free{limits.MAX_RECEIVED_LEVELS}"}
    return _describe(Form(_check_free, schema), about)


def _check_free(value: Json) -> None:
    if not isinstance(value, dict):
        raise FormError("an object")
    _check_tree(value, limits.MAX_RECEIVED_LEVELS)


def _check_tree(value: Json, levels: int) -> None:
    # Comparing types takes half the time of isinstance(), and orjson makes exactly these.
    kind = type(value)
    if kind is str:
        _FREE_TEXT.check(value)
    elif kind is int or kind is float:
        if not -limits.MAX_NUMBER < value < limits.MAX_NUMBER:
            raise FormError("numbers below 2^53")
    elif kind is dict or kind is list:
        if levels == 0:
            raise FormError(f"at most {limits.MAX_RECEIVED_LEVELS} levels")
        if len(value) > limits.MAX_LEVEL_ENTRIES:
            raise FormError(f"at most {limits.MAX_LEVEL_ENTRIES} entries")
        if kind is dict:
            for name in value:
                _FREE_NAME.check(name)
        for one in value.values() if kind is dict else value:
            _check_tree(one, levels - 1)


_FREE_TEXT = text(limits.MAX_TEXT_CHARACTERS)
_FREE_NAME = label(limits.MAX_LABEL_CHARACTERS)


def list_free_schemas() -> Iterator[tuple[str, Schema]]:
    """Yield the schemas that ``free`` refers to: objects and lists within each other."""
    scalars: list[Json] = [
        _FREE_TEXT.schema,
        {
            "type": "number",
            "exclusiveMinimum": -limits.MAX_NUMBER,
            "exclusiveMaximum": limits.MAX_NUMBER,
        },
        {"type": "boolean"},
        {"type": "null"},
    ]
    yield "Scalar", {"anyOf": scalars}
    for level in range(1, limits.MAX_RECEIVED_LEVELS + 1):
        below: list[Json] = [{"$ref": "#/components/schemas/Scalar"}]
        if level > 1:
            below += [
                {"$ref": f"#/components/schemas/Free{level - 1}"},
                {"$ref": f"#/components/schemas/List{level - 1}"},
            ]
        inner = {"anyOf": below} if level > 1 else below[0]
        most = limits.MAX_LEVEL_ENTRIES
        yield (
            f"Free{level}",
            {
                "type": "object",
                "maxProperties": most,
                "propertyNames": _FREE_NAME.schema,
                "additionalProperties": inner,
            },
        )
        yield f"List{level}", {"type": "array", "maxItems": most, "items": inner}


def _check_iso(value: Json) -> None:
    if isinstance(value, str) and _ISO.fullmatch(value):
        with suppress(ValueError, OverflowError):
            datetime.fromisoformat(_shorten(value))
            return
    raise FormError("")


def _shorten(moment: str) -> str:
    """Return a time of RFC 3339 as Python reads it: capitals, a second of six digits."""
    return re.sub(r"(\.\d{6})\d+", r"\1", moment.upper())


MOMENT = either(
    "a time since 2000: milliseconds since 1970, or 2026-04-28T08:00:00+02:00",
    whole(LEAST_MILLIS, limits.MAX_NUMBER - 1),
    Form(_check_iso, {"type": "string", "format": "date-time", "pattern": "^2"}),
)
