"""
Gravitec's REST API v3, the part of it that its callers are seen to use.

Source: docs.gravitec.net, and the requests and answers in published callers. What is not
documented there (segments, tags and aliases as an audience) is refused by name.
"""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus

from pushctl.errors import InputError
from pushctl.model import Json
from pushctl.rules import limits, units
from pushctl.rules.vendors.field_values import (
    Asked,
    FieldError,
    drop_nothing,
    read_label,
    read_link,
    read_list,
    read_subscriber,
    read_switch,
    read_text,
    read_ttl,
    read_whole,
    refuse_others,
)
from pushctl.rules.web import fields as forms

# Field -> what becomes of it; docs/vendors.md has the same ones.
PUSH = ("send_date", "ttl", "is_transactional", "payload", "audience")
PAYLOAD = ("message", "title", "icon", "image", "redirect_url", "buttons")
BUTTON = ("title", "url")
AUDIENCE = ("tokens",)

_MAX_BUTTONS = 2
_LATEST_SECONDS = 9_999_999_999
_WRONG = "Incomplete by wrong param(s)!"
NO_FOLLOWER = "There is no follower with this regId!"


def read_push(body: Json, title: str) -> Asked:
    """
    Return the message that ``POST /api/v3/push`` asks for; without a title it has *title*.

    Raises FieldError.
    """
    if not isinstance(body, dict):
        raise FieldError("The body", "is no object")
    fields = drop_nothing(body, "The body")
    refuse_others(fields, PUSH)
    if "payload" not in fields:
        raise FieldError("payload", "is missing")
    people = _read_tokens(body["audience"]) if body.get("audience") is not None else []
    message: dict[str, Json] = {
        "to": {"people": people} if people else {"audience": "everyone"},
        "message": _read_payload(fields["payload"], title),
    }
    if "send_date" in fields and fields["send_date"] != "now":
        message["at"] = _read_date(fields["send_date"])
    if "ttl" in fields:
        message["ttl"] = read_ttl(fields["ttl"])
    if read_switch(fields.get("is_transactional", False), "is_transactional"):
        if not people:
            raise FieldError("is_transactional", "takes audience.tokens beside it")
        message["transactional"] = True
    return Asked(message, len(people))


def _read_tokens(audience: Json) -> list[Json]:
    """
    Return who the *audience* names.

    One that is there and names nobody is refused, also an empty text: everybody is meant
    only by no audience at all.
    """
    fields = drop_nothing(audience, "audience")
    refuse_others(fields, AUDIENCE, "audience.")
    tokens = read_list(fields.get("tokens"), "audience.tokens", limits.MAX_VENDOR_NAMES)
    found: dict[str, Json] = {}
    for number, one in enumerate(tokens):
        if (person := read_subscriber(one)) is None:
            raise FieldError(f"audience.tokens[{number}]", "is no regID of a subscriber here")
        found[one] = person
    return list(found.values())


def _read_payload(payload: Json, title: str) -> dict[str, Json]:
    fields = drop_nothing(payload, "payload")
    refuse_others(fields, PAYLOAD, "payload.")
    if "message" not in fields:
        raise FieldError("payload.message", "is missing")
    message: dict[str, Json] = {
        "title": read_text(fields.get("title", title), "payload.title"),
        "body": read_text(fields["message"], "payload.message"),
    }
    for name, own in (("redirect_url", "url"), ("icon", "icon"), ("image", "image")):
        if name in fields:
            message[own] = read_link(fields[name], f"payload.{name}")
    if "buttons" in fields:
        buttons = read_list(fields["buttons"], "payload.buttons", _MAX_BUTTONS)
        found = [_read_button(one, number) for number, one in enumerate(buttons)]
        message["buttons"] = [one for one in found if one]
    return message


def _read_button(button: Json, number: int) -> dict[str, Json]:
    place = f"payload.buttons[{number}]"
    fields = drop_nothing(button, place)
    refuse_others(fields, BUTTON, f"{place}.")
    if not fields:
        return {}
    found: dict[str, Json] = {"title": read_label(fields.get("title"), f"{place}.title")}
    if "url" in fields:
        found["url"] = read_link(fields["url"], f"{place}.url")
    return found


def _read_date(value: Json) -> int:
    """Return a time in milliseconds; seconds since 1970 are the service's older form."""
    if isinstance(value, str) and not value.isdigit():
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise FieldError("send_date", "is no time with a zone: 2026-12-24T18:00:00+01:00")
        return round(moment.timestamp() * units.SECOND)
    return read_whole(value, "send_date", 1, _LATEST_SECONDS) * units.SECOND


def read_pair(fields: Mapping[str, str], what: str) -> tuple[Mapping[str, Json], str]:
    """
    Return whom a request for an alias or a tag (*what*) is about, and the name in it.

    Raises FieldError; one whose field is "" has the service's own words.
    """
    refuse_others(fields, ("regId", "name"))
    for name in ("regId", "name"):
        if not fields.get(name):
            raise FieldError("", f'Required String parameter "{name}" is not present')
    name = fields["name"]
    if len(name) > limits.MAX_LABEL_CHARACTERS:
        raise FieldError("", f"Max {what} length is {limits.MAX_LABEL_CHARACTERS}!")
    if (person := read_subscriber(fields["regId"])) is None:
        raise FieldError("", NO_FOLLOWER)
    try:
        return person, forms.alias(name) if what == "alias" else forms.tag(name)
    except InputError as error:
        raise FieldError("name", str(error)) from None


def render_message(request: str, state: Mapping[str, Json] | None) -> dict[str, Json]:
    """
    Return what ``GET /api/v3/messages/{id}`` answers about a *state* of ours.

    ``send`` is there once it is known: who was accepted by a push service.
    """
    found: dict[str, Json] = {"id": request, "status": "received"}
    if state is None:
        return found
    found["status"] = state["state"]
    if "reason" in state:
        found["reason"] = state["reason"]
    counts = state.get("counts")
    if counts:
        found |= {"send": counts.get("accepted", 0) + counts.get("in_doubt", 0)}
        found |= {name: counts[name] for name in ("shown", "clicked") if name in counts}
    elif state["state"] == "refused":
        found["send"] = 0
    return found


def render_error(status: int, text: str) -> dict[str, Json]:
    """Return the body of an error; callers read another key of it for each status."""
    return {
        "httpStatus": HTTPStatus(status).name,
        "error": _WRONG if status == 422 else HTTPStatus(status).phrase,
        "errorDescription": text,
        "error_message": text,
        "description": text,
    }
