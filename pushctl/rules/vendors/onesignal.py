"""
OneSignal's REST API, the part of it that web push needs: a notification made, seen, cancelled.

Source: the reference of its published Python client (5.18), and the older form that is still
in use (player ids, external user ids). All else is refused by the field's name.
"""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from pushctl.errors import InputError
from pushctl.model import Json
from pushctl.rules import limits, units
from pushctl.rules.messages import languages
from pushctl.rules.vendors import onesignal_targets
from pushctl.rules.vendors.field_values import (
    Asked,
    FieldError,
    drop_nothing,
    read_label,
    read_link,
    read_list,
    read_text,
    read_ttl,
    read_whole,
    refuse_others,
)
from pushctl.rules.web import fields as forms

# docs/vendors.md has the same ones.
CONTENT = (
    "contents", "headings", "template_id", "custom_data", "url", "web_url", "chrome_web_icon",
    "firefox_icon", "chrome_web_image", "chrome_web_badge", "web_buttons",
)  # fmt: skip
SENDING_OPTIONS = (
    "send_after", "ttl", "priority", "collapse_id", "web_push_topic", "name",
    "idempotency_key", "external_id",
)  # fmt: skip
# Said by every caller for the web; each other value of them is refused.
FIXED: Mapping[str, tuple[Json, ...]] = {
    "target_channel": ("push",),
    "channel_for_external_user_ids": ("push",),
    "isAnyWeb": (True,),
}
FIELDS = (
    "app_id", *onesignal_targets.TARGETS, "excluded_segments", *CONTENT,
    *SENDING_OPTIONS, *FIXED,
)  # fmt: skip
BUTTON = ("id", "text", "icon", "url")

DEFAULT_TTL = 259_200  # as the service has it
ACCESS_DENIED = (
    "Access denied.  Please include an 'Authorization: ...' header with a valid API key "
    "(https://documentation.onesignal.com/docs/en/keys-and-ids#api-keys)."
)
NOT_FOUND = "Notification not found"
ALREADY_SENT = "Notification has already been sent to all recipients"
NO_APP = "app_id not found. You may be missing a Content-Type: application/json header."
_MAX_BUTTONS = 2
_MAX_TOPIC = 64
_HIGH = 10
_LATEST_SECONDS = 9_999_999_999
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_ACTION = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)
# "2015-09-24 14:00:00 GMT-0700", and "Thu Sep 24 2015 14:00:00 GMT-0700 (PDT)" of JavaScript.
_WRITTEN = re.compile(
    r"(?:(?P<iso>\d{4}-\d\d-\d\d)|[A-Z][a-z]{2} (?P<day>[A-Z][a-z]{2} \d\d \d{4}))"
    r" (?P<time>\d\d:\d\d:\d\d) (?:GMT|UTC)?(?P<zone>[+-]\d\d:?\d\d)?(?: \([^()]{1,60}\))?",
    re.ASCII,
)


def read_notification(body: Json, title: str, segments: Collection[str]) -> Asked:
    """
    Return the message that a new notification asks for; without headings it has *title*.

    *segments* are those of pushctl.toml. Raises FieldError; one whose field is "" has the
    service's own words.
    """
    fields = drop_nothing(body, "The body")
    # "false" of a switch that is not ours says nothing.
    fields = {name: it for name, it in fields.items() if it is not False or name in FIELDS}
    fields = {name: it for name, it in fields.items() if (name, it) != ("isAnyWeb", False)}
    refuse_others(fields, FIELDS)
    for name, taken in FIXED.items():
        if name in fields and fields[name] not in taken:
            raise FieldError(name, f"takes {taken[0]} only".replace("True", "true"))
    to, people = onesignal_targets.read_target(fields, segments)
    message: dict[str, Json] = {"to": to, **_read_content(fields, title)}
    _read_manners(fields, message)
    message["ttl"] = read_ttl(fields.get("ttl", DEFAULT_TTL))
    return Asked(message, people, _read_key(fields))


def read_app(value: Json) -> str:
    """Return the app id of a request; raises FieldError without one."""
    if not isinstance(value, str) or not value:
        raise FieldError("", NO_APP)
    return value


def _read_key(fields: Mapping[str, Json]) -> str | None:
    """Return the name under which a request may come twice; external_id is its older name."""
    key = None
    for name in ("idempotency_key", "external_id"):
        value = fields.get(name, key)
        if value is not None and not (isinstance(value, str) and _KEY.fullmatch(value)):
            raise FieldError(name, "is no UUID")
        if key is not None and value != key:
            raise FieldError(name, "is another one than idempotency_key")
        key = value
    return key


# --- content ---------------------------------------------------------------------------------


def _read_content(fields: Mapping[str, Json], title: str) -> dict[str, Json]:
    if "template_id" in fields:
        others = [name for name in CONTENT if name in fields]
        for name in others:
            if name not in ("template_id", "custom_data"):
                raise FieldError(name, "can't stand beside template_id")
        found: dict[str, Json] = {"template": read_label(fields["template_id"], "template_id")}
        if "custom_data" in fields:
            found["values"] = _read_values(fields["custom_data"])
        return found
    if "custom_data" in fields:
        raise FieldError("custom_data", "takes template_id")
    message: dict[str, Json] = {"texts": _read_texts(fields, title)}
    for names, own in (
        (("web_url", "url"), "url"),
        (("chrome_web_icon", "firefox_icon"), "icon"),
        (("chrome_web_image",), "image"),
        (("chrome_web_badge",), "badge"),
    ):
        for name in names:
            if name not in fields:
                continue
            link = read_link(fields[name], name)
            if message.setdefault(own, link) != link:
                raise FieldError(name, f"is another one than {names[0]}")
    if "web_buttons" in fields:
        message["buttons"] = _read_buttons(fields["web_buttons"])
    return {"message": message}


def _read_values(value: Json) -> dict[str, Json]:
    try:
        return forms.free(drop_nothing(value, "custom_data"))
    except FieldError:
        raise
    except InputError as error:
        raise FieldError("custom_data", str(error)) from None


def _read_texts(fields: Mapping[str, Json], title: str) -> dict[str, Json]:
    """Return title and body of each language; a title that lacks is the English one."""
    if "contents" not in fields:
        raise FieldError("contents", "is missing")
    contents = _read_languages(fields["contents"], "contents")
    headings = _read_languages(fields.get("headings", {}), "headings")
    if strange := [one for one in headings if one not in contents]:
        raise FieldError(f"headings.{strange[0]}", "has no text in contents")
    fallback = headings.get("en", title)
    return {
        language: {"title": headings.get(language, fallback), "body": text}
        for language, text in contents.items()
    }


def _read_languages(value: Json, name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for tag, text in drop_nothing(value, name).items():
        known = languages.canonical(tag)
        if known is None or known in found:
            raise FieldError(name, "has a name that is no language, or one language twice")
        found[known] = read_text(text, f"{name}.{known}")
    if not found and name == "contents":
        raise FieldError(name, "has no text")
    return found


def _read_buttons(value: Json) -> list[Json]:
    found: list[Json] = []
    actions: set[str] = set()
    for number, one in enumerate(read_list(value, "web_buttons", _MAX_BUTTONS)):
        place = f"web_buttons[{number}]"
        fields = drop_nothing(one, place)
        refuse_others(fields, BUTTON, f"{place}.")
        action = fields.get("id")
        if not isinstance(action, str) or not _ACTION.fullmatch(action) or action in actions:
            form = "is not 1 to 40 letters, digits, - or _, or stands twice"
            raise FieldError(f"{place}.id", form)
        actions.add(action)
        button: dict[str, Json] = {
            "action": action,
            "title": read_label(fields.get("text"), f"{place}.text"),
        }
        for name in ("url", "icon"):
            if name in fields:
                button[name] = read_link(fields[name], f"{place}.{name}")
        found.append(button)
    return found


# --- sending options -------------------------------------------------------------------------


def _read_manners(fields: Mapping[str, Json], message: dict[str, Json]) -> None:
    """Add to *message* when and how it is sent."""
    if "send_after" in fields:
        message["at"] = _read_time(fields["send_after"])
    if "priority" in fields:
        priority = read_whole(fields["priority"], "priority", 0, limits.MAX_NUMBER)
        message["urgency"] = "high" if priority >= _HIGH else "normal"
    if "name" in fields:
        message["name"] = read_label(fields["name"], "name")
    collapse = fields.get("collapse_id")
    if collapse is not None:
        message["topic"] = read_label(collapse, "collapse_id", _MAX_TOPIC)
    shown = fields.get("web_push_topic", collapse)
    if shown is None:
        return
    tag = read_label(shown, "web_push_topic", _MAX_TOPIC)
    if "message" in message:
        message["message"]["tag"] = tag
    elif "web_push_topic" in fields:
        raise FieldError("web_push_topic", "can't stand beside template_id")


def _read_time(value: Json) -> int:
    """Return a time in milliseconds; it is UTC where no zone is named, as with the service."""
    if not isinstance(value, str) or (value.isascii() and value.isdigit()):
        return read_whole(value, "send_after", 1, _LATEST_SECONDS) * units.SECOND
    try:
        if (found := _WRITTEN.fullmatch(value)) is None:
            moment = datetime.fromisoformat(value)
        else:
            day, form = found["iso"] or found["day"], "%Y-%m-%d" if found["iso"] else "%b %d %Y"
            zone = (found["zone"] or "+0000").replace(":", "")
            moment = datetime.strptime(f"{day} {found['time']} {zone}", f"{form} %H:%M:%S %z")
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        seconds = 0
    if not 0 < seconds <= _LATEST_SECONDS:
        raise FieldError("send_after", "is no time such as 2026-12-24 18:00:00 GMT+0100")
    return round(seconds * units.SECOND)


# --- answers ---------------------------------------------------------------------------------


def render_created(request: str, named: str | None) -> dict[str, Json]:
    return {"id": onesignal_targets.write_uuid(request), "external_id": named}


def render_notification(
    request: str, app: str, state: Mapping[str, Json] | None
) -> dict[str, Json]:
    """
    Return what a notification of a *state* of ours is.

    Counts are there once they are known; those by browser are not kept.
    """
    found: dict[str, Json] = {"id": onesignal_targets.write_uuid(request), "app_id": app}
    if state is None:
        return {**found, "canceled": False}
    found |= {"canceled": state["state"] == "cancelled", "queued_at": _seconds(state["at"])}
    if "due" in state:
        found["send_after"] = _seconds(state["due"])
    if "reason" in state:
        found["errors"] = [state["reason"]]
    counts = state.get("counts")
    if not counts and state["state"] == "refused":
        counts = {name: 0 for names in COUNTS.values() for name in names}
    if counts:
        found |= {
            name: sum(counts.get(one, 0) for one in ours) for name, ours in COUNTS.items()
        }
    return found


# Their count -> ours, which it is the sum of.
COUNTS: Mapping[str, tuple[str, ...]] = {
    "successful": ("accepted",),
    "failed": ("gone",),
    "errored": ("rejected", "expired", "skipped", "in_doubt"),
    "remaining": ("waiting",),
    "received": ("shown",),
    "converted": ("clicked",),
}


def _seconds(millis: int) -> int:
    return millis // units.SECOND


def render_error(text: str) -> dict[str, Json]:
    return {"errors": [text]}
