"""
A message that a program asks for: who gets it, its texts, its options.

Texts that a program gives are data. They stand beside a template that only names them
(``{{ given.title }}``), so nothing in them is a template, and messages of one shape share one
campaign.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pushctl.errors import InputError
from pushctl.model import Json, Millis
from pushctl.rules import limits, units
from pushctl.rules.messages import languages

GIVEN = "api"  # the template of a message whose texts came with the request

_MANY = ("tag", "segment", "audience")
_LINKS = ("icon", "image", "badge")
_SWITCHES = ("require_interaction", "silent")
_ACTION = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)
_URGENCIES = ("very-low", "low", "normal", "high")


class Wanted(NamedTuple):
    """One message as it was asked for."""

    people: Sequence[Mapping[str, Json]]  # items that name one person each; () for an audience
    tags: Sequence[str]
    segments: Sequence[str]
    where: Sequence[str]
    template: str | None  # None: the texts are given
    sources: Mapping[str, str]  # of given texts
    variables: Mapping[str, Json]  # of the template, as a campaign's extra values
    options: Mapping[str, Json]  # of the campaign: urgency, language, transactional
    ttl: int | None  # seconds
    topic: str | None
    at: Millis  # when it is due
    name: str | None

    @property
    def is_transactional(self) -> bool:
        return bool(self.options.get("transactional"))


def read(message: Mapping[str, Json], at: Millis, default_language: str) -> Wanted:
    """
    Return what *message* asks for; *at* is its time, read before.

    Raises InputError where something is missing or of another form.
    """
    to = _read_table(message, "to")
    people = to.get("people") or ([to] if not to.keys() & set(_MANY) else [])
    if not isinstance(people, list) or not all(isinstance(one, dict) for one in people):
        raise InputError("to has no people")
    options = _read_options(message)
    if options.get("transactional") and not people:
        raise InputError("a message to an audience is not transactional")
    template = message.get("template")
    sources: Mapping[str, str] = {}
    variables: Mapping[str, Json] = {"values": message.get("values") or {}}
    if template is None:
        given = _read_table(message, "message")
        sources, strings, spoken = _make_sources(given, message, default_language)
        options |= spoken
        variables = {"given": strings}
    elif language := message.get("language"):
        options["language"] = language
    return Wanted(
        people=people,
        tags=_list_texts(to, "tag"),
        segments=_list_texts(to, "segment"),
        where=_list_texts(to, "audience"),
        template=_read_text(template, "template") if template is not None else None,
        sources=sources,
        variables=variables,
        options=options,
        ttl=_read_ttl(message.get("ttl")),
        topic=message.get("topic"),
        at=at,
        name=message.get("name"),
    )


def _read_options(message: Mapping[str, Json]) -> dict[str, Json]:
    urgency = message.get("urgency")
    if urgency is not None and urgency not in _URGENCIES:
        raise InputError(f"urgency is none of {', '.join(_URGENCIES)}")
    options: dict[str, Json] = {"urgency": urgency} if urgency else {}
    return options | ({"transactional": True} if message.get("transactional") else {})


def _read_ttl(ttl: Json) -> int | None:
    if ttl is None:
        return None
    if not isinstance(ttl, int | float) or not 0 <= ttl <= limits.MAX_TTL_SECONDS:
        raise InputError("ttl is not between 0 and 4 weeks")
    return int(ttl)


def find_life(ttl: int) -> Millis:
    """Return how long a message is of use: a minute at least, so that it can be sent."""
    return max(ttl * units.SECOND, units.MINUTE)


# --- given texts -----------------------------------------------------------------------------


def _make_sources(
    given: Mapping[str, Json], message: Mapping[str, Json], default_language: str
) -> tuple[dict[str, str], dict[str, Json], dict[str, Json]]:
    """Return a template of the message's shape, its strings, and its languages."""
    language = given.get("language") or message.get("language") or default_language
    texts = given.get("texts") or {language: given}
    if not isinstance(texts, dict):
        raise InputError("message.texts is no object")
    buttons = _read_buttons(given.get("buttons"))
    strings = {name: given[name] for name in ("url", "tag", *_LINKS) if given.get(name)}
    strings["texts"] = {_read_language(tag): _read_strings(it) for tag, it in texts.items()}
    if buttons:
        strings["actions"] = buttons
    sources = {"message.toml": _write_common(given, buttons)}
    for tag in strings["texts"]:
        sources[f"{tag}.toml"] = _write_text(given.get("dir"), buttons)
    if "texts" not in given or message.get("language"):
        return sources, strings, {"language": language}
    order = (_read_language(default_language), "en", *strings["texts"])
    fallback = next(one for one in order if one in strings["texts"])
    return sources, strings, {"default_language": fallback}


def _read_language(tag: str) -> str:
    known = languages.canonical(tag)
    if known is None:
        raise InputError("the message has a language that is none")
    return known


def _read_strings(text: Json) -> Mapping[str, str]:
    if not isinstance(text, dict):
        raise InputError("message.texts has something that is no object")
    return {"title": _read_text(text.get("title"), "message.title"),
            "body": str(text.get("body") or "")}  # fmt: skip


def _write_common(given: Mapping[str, Json], buttons: Mapping[str, Mapping[str, Json]]) -> str:
    lines = [_name("url", "url") if given.get("url") else 'url = "/"']
    lines += [_name(name, name) for name in (*_LINKS, "tag") if given.get(name)]
    lines += [f"{name} = true" for name in _SWITCHES if given.get(name)]
    lines.append("topic = false")
    for action, button in buttons.items():
        lines += ["[[actions]]", f'action = "{action}"']
        lines += [_name(name, "action") for name in ("url", "icon") if button.get(name)]
    return "\n".join(lines) + "\n"


def _write_text(direction: Json, buttons: Mapping[str, Mapping[str, Json]]) -> str:
    lines = [_name("title", "title"), _name("body", "body")]
    if direction in ("ltr", "rtl"):
        lines.append(f'dir = "{direction}"')
    if buttons:
        lines.append("[actions]")
    lines += [_name(action, "action") for action in buttons]
    return "\n".join(lines) + "\n"


def _name(key: str, string: str) -> str:
    """Return a line of TOML that only names what was given."""
    return f'"{key}" = "{{{{ given.{string} }}}}"'


def _read_buttons(given: Json) -> dict[str, Mapping[str, Json]]:
    """Return the buttons by their actions."""
    if given is None:
        return {}
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise InputError("message.buttons is no list of objects")
    buttons: dict[str, Mapping[str, Json]] = {}
    for number, one in enumerate(given, 1):
        action = one.get("action") or f"button{number}"
        if not isinstance(action, str) or not _ACTION.fullmatch(action):
            raise InputError("a button's action is not 1 to 40 letters, digits, - or _")
        if action in buttons:
            raise InputError("two buttons have one action")
        found = {name: one[name] for name in ("url", "icon") if one.get(name)}
        buttons[action] = {**found, "title": _read_text(one.get("title"), "a button's title")}
    return buttons


# --- fields ----------------------------------------------------------------------------------


def _read_table(body: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    found = body.get(name)
    if not isinstance(found, dict):
        raise InputError(f"{name} is no object")
    return found


def _read_text(value: Json, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{name} is no text")
    return value


def _list_texts(to: Mapping[str, Json], name: str) -> Sequence[str]:
    return [_read_text(to[name], name)] if name in to else []
