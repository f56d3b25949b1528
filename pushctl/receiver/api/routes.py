"""
The routes of the server API: one table of paths, scopes and forms.

Requests are checked by it and the OpenAPI document is made of it (openapi.py). A route that
takes a request answers 202 with its id once it is on disk; what became of it is told by
``GET /v1/requests/{id}``, as imports and sweeps publish it.
"""

from collections.abc import Mapping
from typing import NamedTuple

from pushctl.model import Json
from pushctl.receiver.api.forms import (
    MOMENT,
    Form,
    either,
    free,
    label,
    many,
    matching,
    nullable,
    one_of,
    switch,
    table,
    text,
    whole,
)
from pushctl.rules import limits

MESSAGES = "/v1/messages"
# Prefixes of paths that end in a request's id.
REQUEST, MESSAGE = "/v1/requests/", "/v1/messages/"
OPENAPI = "/v1/openapi.json"

_KEY = r"[A-Za-z0-9_-]{22}"
_LABEL = limits.MAX_LABEL_CHARACTERS

# Who somebody is: exactly one of these.
PERSON: Mapping[str, Form] = {
    "alias": label(
        _LABEL, "Your own id of the person, as signed for `identify`.", "customer-7"
    ),
    "subscriber": matching(_KEY, "an id of 22 characters", "A subscriber's id."),
    "cart": matching(_KEY, "a key of 22 characters", "The key that `pushctl.cartKey()` gave."),
    "email_hash": matching(
        "[0-9a-f]{64}",
        "64 digits of hex",
        "HMAC-SHA256 of the normalised address with keys/email_secret, in hex.",
    ),
}
# Many people at once.
MANY: Mapping[str, Form] = {
    "tag": label(_LABEL, "All who have this tag.", "Newsletter"),
    "segment": label(_LABEL, "A segment of pushctl.toml."),
    "audience": text(
        limits.MAX_AUDIENCE_CHARACTERS, "An expression, as `send --to` takes it.", least=1
    ),
}

_NAME = label(_LABEL)
_TAG = either(
    'a tag: text of 1 to 255 characters, or {"name", "seconds"} for one that expires',
    _NAME,
    table(
        {"name": _NAME, "seconds": whole(limits.MIN_TAG_SECONDS, limits.MAX_TAG_SECONDS)},
        ["name", "seconds"],
    ),
)


class Route(NamedTuple):
    """One route that takes requests."""

    path: str
    scopes: tuple[str, ...]  # a key needs one of them
    form: Form  # of the whole body
    summary: str
    example: Mapping[str, Json]
    item: Form | None = None  # of each of the body's items

    @property
    def frame(self) -> Form:
        """The form of a body whose items are checked already."""
        return _FRAME


_FRAME = table({"items": many(Form(lambda _: None, {}), limits.MAX_API_ITEMS, 1)}, ["items"])


def _list_items(
    path: str, scope: str, item: Form, summary: str, example: Mapping[str, Json]
) -> Route:
    body = table({"items": many(item, limits.MAX_API_ITEMS, 1)}, ["items"])
    return Route(f"/v1/server/{path}", (scope,), body, summary, {"items": [example]}, item)


def _about(
    fields: Mapping[str, Form], *required: str, some_among: tuple[str, ...] = ()
) -> Form:
    """Return the form of an item about one person."""
    return table({**PERSON, **fields}, required, one_among=tuple(PERSON), some_among=some_among)


_EVENT = _about(
    {
        "id": matching(
            "[A-Za-z0-9_-]{1,64}",
            "1 to 64 letters, digits, - or _",
            "Your id of the event: a second one with it is the same event.",
        ),
        "name": label(limits.MAX_ID_CHARACTERS, "What happened.", "purchase"),
        "at": MOMENT,
        "properties": free("As `pushctl.track` takes them: order, total, currency, items."),
    },
    "name",
)
_TAGS = _about(
    {
        "add": many(_TAG, limits.MAX_RECEIVED_TAGS),
        "remove": many(_NAME, limits.MAX_RECEIVED_TAGS),
    },
    some_among=("add", "remove"),
)
_ATTRIBUTES = _about(
    {"attributes": free("Those named are set; null removes one.")}, "attributes"
)
_ALIAS = table(
    {
        "subscriber": PERSON["subscriber"],
        "cart": PERSON["cart"],
        "alias": nullable(PERSON["alias"]),
    },
    ["alias"],
    one_among=("subscriber", "cart"),
)
_LANGUAGE = matching(
    "[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,3}",
    "a language tag such as en or pt-BR",
    "In place of each person's own.",
    "en",
)
_TOPIC = 64
_BUTTON = table(
    {
        "title": label(_LABEL),
        "action": matching(
            "[A-Za-z0-9_-]{1,40}",
            "1 to 40 letters, digits, - or _",
            "What reports of clicks call it. Two buttons have two.",
        ),
        "url": text(limits.MAX_TEXT_CHARACTERS, "Without it, the message's."),
        "icon": text(limits.MAX_TEXT_CHARACTERS),
    },
    ["title"],
)
_MESSAGE = table(
    {
        "to": table(
            {**PERSON, **MANY},
            one_among=(*PERSON, *MANY),
            about="Who gets it: exactly one of these.",
        ),
        "template": label(_LABEL, "The name of a template.", "order-shipped"),
        "message": table(
            {
                "title": text(limits.MAX_VALUE_CHARACTERS, least=1),
                "body": text(limits.MAX_VALUE_CHARACTERS),
                "url": text(limits.MAX_TEXT_CHARACTERS, "Where a click leads: / is the site."),
                "icon": text(limits.MAX_TEXT_CHARACTERS),
                "image": text(limits.MAX_TEXT_CHARACTERS),
                "tag": label(_TOPIC, "A newer message with it replaces this one on screen."),
                "language": _LANGUAGE,
                "dir": one_of("ltr", "rtl", about="Without it, that of the language."),
                "buttons": many(_BUTTON, 2),
            },
            ["title"],
            about="The message itself, in place of a template. Nothing in it is a template.",
        ),
        "values": free("What a template's `{{ values.NAME }}` stands for."),
        "language": _LANGUAGE,
        "transactional": switch("To a person who asked for a pause or for fewer, too."),
        "at": MOMENT,
        "ttl": whole(0, limits.MAX_TTL_SECONDS, "Seconds that a push service keeps it."),
        "urgency": one_of("very-low", "low", "normal", "high"),
        "topic": label(_TOPIC, "A newer message with it replaces this one while it waits."),
        "name": label(_LABEL, "What lists call it: a kind of messages, not each one."),
    },
    ["to"],
    one_among=("template", "message"),
)

ROUTES: tuple[Route, ...] = (
    _list_items(
        "events",
        "events",
        _EVENT,
        "Tell what people did: events begin and end triggers, purchases become orders",
        {
            "alias": "customer-7",
            "name": "purchase",
            "id": "order-1007",
            "at": "2026-04-28T10:00:00+02:00",
            "properties": {"order": "1007", "total": 49.9, "currency": "EUR"},
        },
    ),
    _list_items(
        "tags",
        "tags",
        _TAGS,
        "Add and remove tags",
        {"alias": "customer-7", "add": ["VIP"], "remove": ["Newsletter"]},
    ),
    _list_items(
        "attributes",
        "attributes",
        _ATTRIBUTES,
        "Set attributes",
        {"alias": "customer-7", "attributes": {"first_name": "Ann", "points": 120}},
    ),
    _list_items(
        "aliases",
        "aliases",
        _ALIAS,
        "Say whose a subscription is",
        {"subscriber": "Yx3vB1mZq0aKc8dWnT5R2g", "alias": "customer-7"},
    ),
    _list_items(
        "unsubscribe", "unsubscribe", _about({}), "Unsubscribe people", {"alias": "customer-7"}
    ),
    _list_items("erase", "erase", _about({}), "Erase people for good", {"alias": "customer-7"}),
    Route(
        MESSAGES,
        ("messages:person", "messages:audience"),
        _MESSAGE,
        "Send a message to a person, a tag, a segment or an audience",
        {
            "to": {"alias": "customer-7"},
            "template": "order-shipped",
            "values": {"order": "1007"},
        },
    ),
)


def find_scope(route: Route, body: Mapping[str, Json]) -> str:
    """Return the scope that a request with this *body*, checked, needs."""
    if route.path != MESSAGES:
        return route.scopes[0]
    return "messages:person" if body["to"].keys() & PERSON.keys() else "messages:audience"
