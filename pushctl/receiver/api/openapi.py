"""The OpenAPI 3.1 document, made of the table that requests are checked by."""

from collections.abc import Iterable, Mapping

import orjson

from pushctl import __version__
from pushctl.model import Json
from pushctl.receiver.api.forms import list_free_schemas
from pushctl.receiver.api.problems import TYPE
from pushctl.receiver.api.routes import MESSAGE, OPENAPI, REQUEST, ROUTES, Route
from pushctl.rules.limits import MAX_IDEMPOTENCY_KEY_CHARACTERS

_ID = {"type": "string", "pattern": "^[A-Za-z0-9_-]{22}$"}
_COUNT = {"type": "integer", "minimum": 0}
STATES = (
    "received", "applied", "refused", "waiting", "scheduled", "sending", "done", "cancelled",
)  # fmt: skip

# What each refusal of a route means; all are problem details.
_REFUSALS = {
    "400": "No JSON, a key in the address, or an Idempotency-Key of another form.",
    "401": "No key, a wrong, revoked or expired one.",
    "403": "The key lacks the scope, or it came without TLS.",
    "404": "This key has sent no such request, or its result is kept no longer.",
    "405": "Another method.",
    "408": "The body took too long.",
    "413": "The body is too long.",
    "415": "The body is no application/json, or it is compressed.",
    "422": "The body has another form; each fault is named. Nothing was taken.",
    "429": "Too much of this key, or too many wrong keys. Send it again after Retry-After.",
    "503": "Overloaded, or the disk is full. Send it again after Retry-After.",
}
_TAKING = ("400", "401", "403", "405", "408", "413", "415", "422", "429", "503")
_READING = ("400", "401", "403", "404", "405", "429", "503")

_SCHEMAS: Mapping[str, Json] = {
    "Taken": {
        "type": "object",
        "required": ["id", "state"],
        "properties": {"id": _ID, "state": {"const": "received"}},
    },
    "Result": {
        "type": "object",
        "required": ["id", "state"],
        "properties": {
            "id": _ID,
            "state": {"enum": list(STATES)},
            "at": {"type": "integer", "description": "When it came, milliseconds since 1970."},
            "route": {"type": "string"},
            "items": _COUNT,
            "applied": {**_COUNT, "description": "Items that were applied."},
            "refused": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["index", "reason"],
                    "properties": {"index": _COUNT, "reason": {"type": "string"}},
                },
            },
            "reason": {"type": "string"},
            "counts": {"type": "object", "additionalProperties": _COUNT},
        },
    },
    "Problem": {
        "type": "object",
        "required": ["type", "title", "status"],
        "properties": {
            "type": {"type": "string", "pattern": f"^{TYPE}[a-z-]+$"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["pointer", "detail"],
                    "properties": {
                        "pointer": {"type": "string", "description": "A JSON Pointer."},
                        "detail": {"type": "string"},
                        "index": _COUNT,
                    },
                },
            },
        },
    },
}
_INTRODUCTION = """\
A shop's own server tells pushctl what people did, changes tags and attributes, and sends
messages. An answer 202 means that the request is on disk; `GET /v1/requests/{id}` tells what
became of it, once a minute at the latest. Keys: `pushctl apikeys create`. See docs/api.md.
"""


def build(url: str) -> dict[str, Json]:
    """Return the document; *url* is the receiver's."""
    paths: dict[str, Json] = {route.path: {"post": _describe_route(route)} for route in ROUTES}
    paths[f"{REQUEST}{{id}}"] = {"get": _describe_reading("readRequest", "a request")}
    paths[f"{MESSAGE}{{id}}"] = {
        "get": _describe_reading("readMessage", "a message"),
        "delete": _describe_cancelling(),
    }
    paths[OPENAPI] = {"get": _describe_document()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pushctl",
            "version": __version__,
            "summary": "The server API of a pushctl receiver",
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": url or "http://127.0.0.1:8750"}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of `pushctl apikeys create`; never in an address.",
                }
            },
            "schemas": {**_SCHEMAS, **dict(list_free_schemas())},
            "responses": dict(_list_refusals()),
        },
    }


def render(url: str) -> bytes:
    return orjson.dumps(build(url), option=orjson.OPT_INDENT_2) + b"\n"


def _describe_route(route: Route) -> dict[str, Json]:
    name = route.path.rpartition("/")[2]
    content = {"schema": route.form.schema, "example": route.example}
    parameter = {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A request that comes twice with the same one is applied once.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_IDEMPOTENCY_KEY_CHARACTERS,
            "pattern": "^[!-~]([ -~]*[!-~])?$",
        },
    }
    return {
        "operationId": f"send{name.capitalize()}",
        "summary": route.summary,
        "description": f"Scope: {' or '.join(route.scopes)}.",
        "parameters": [parameter],
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {"202": _answer_taken(), **_refuse(_TAKING)},
    }


def _describe_reading(operation: str, what: str) -> dict[str, Json]:
    result = {"application/json": {"schema": {"$ref": "#/components/schemas/Result"}}}
    return {
        "operationId": operation,
        "summary": f"Tell what became of {what}",
        "description": "Scope: read. A key reads only what it sent itself.",
        "parameters": [_ID_PARAMETER],
        "responses": {
            "200": {"description": "What became of it.", "content": result},
            **_refuse(_READING),
        },
    }


def _describe_cancelling() -> dict[str, Json]:
    return {
        "operationId": "cancelMessage",
        "summary": "Take a message back, as far as it was not sent",
        "description": "Scope: messages:person or messages:audience.",
        "parameters": [_ID_PARAMETER],
        "responses": {"202": _answer_taken(), **_refuse(_READING)},
    }


def _describe_document() -> dict[str, Json]:
    return {
        "operationId": "readDocument",
        "summary": "This document",
        "security": [],
        "responses": {
            "200": {
                "description": "OpenAPI 3.1.",
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            **_refuse(("405",)),
        },
    }


_ID_PARAMETER = {"name": "id", "in": "path", "required": True, "schema": _ID}


def _answer_taken() -> dict[str, Json]:
    taken = {"application/json": {"schema": {"$ref": "#/components/schemas/Taken"}}}
    where = {"description": "Where its result is told.", "schema": {"type": "string"}}
    return {"description": "It is on disk.", "headers": {"Location": where}, "content": taken}


def _refuse(statuses: Iterable[str]) -> dict[str, Json]:
    return {one: {"$ref": f"#/components/responses/{one}"} for one in statuses}


def _list_refusals() -> Iterable[tuple[str, Json]]:
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for one, text in _REFUSALS.items():
        yield one, {"description": text, "content": problem}
