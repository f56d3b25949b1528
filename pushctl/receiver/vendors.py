"""
Addresses of other push services, for programs that call one of them already.

Such a program changes host and key. Its request becomes the same line of the inbox as a
request of the server API (``receiver/api``), and each answer, also a refusal, has the form
that the program knows.
"""

import base64
import binascii
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson

from pushctl.apikeys import ApiKey
from pushctl.config import Config, Site
from pushctl.model import Json
from pushctl.receiver import read_bodies
from pushctl.receiver.answers import Headers, Refusal
from pushctl.receiver.api.apps import (
    Answer,
    ApiApp,
    Parts,
    answer_json,
    check_method,
    digest,
    parse,
)
from pushctl.receiver.api.authentication import Call, refuse_scope
from pushctl.receiver.api.routes import MESSAGES
from pushctl.receiver.server.connection import App
from pushctl.rules.limits import MAX_API_BODY_BYTES, MAX_MESSAGE_AHEAD_SECONDS
from pushctl.rules.units import SECOND
from pushctl.rules.vendors import gravitec, onesignal
from pushctl.rules.vendors.field_values import Asked, FieldError
from pushctl.rules.vendors.onesignal_targets import read_uuid

PUSH, ALIAS, TAG = "/api/v3/push", "/api/v3/alias", "/api/v3/tag"
PUSHED = "/api/v3/messages/"
# OneSignal's address, and the older one that programs still call.
NOTIFICATIONS = ("/notifications", "/api/v1/notifications")

_SEND = ("messages:person", "messages:audience")
_KEY = re.compile(r"(?:key|basic) +([\x21-\x7e]+)", re.IGNORECASE)
_BASIC = re.compile(r"basic +([A-Za-z0-9+/]+={0,2})", re.IGNORECASE)
_OVER = ("done", "refused")


class _Vendor(ApiApp):
    """What the addresses of all services share."""

    def __init__(self, parts: Parts, name: str, config: Config) -> None:
        super().__init__(parts, name)
        self._config = config

    def _find_site(self, key: ApiKey) -> Site:
        return self._config.sites[key.site]

    def _find_title(self, key: ApiKey) -> str:
        """Return the title of a message that has none: the site's name."""
        site = self._find_site(key)
        return site.brand.name or site.origin.partition("://")[2]

    async def _send(self, key: ApiKey, asked: Asked, when: str) -> str:
        """Write a message to the inbox and return its id; *when* is the field of its time."""
        if (scope := _SEND[0] if asked.people else _SEND[1]) not in key.scopes:
            raise refuse_scope([scope])
        if asked.people > (most := self._config.api.max_audience or asked.people):
            remedy = "Send fewer at once, or name a segment: then a person may agree."
            raise Refusal(422, "people", f"There are more than {most:,} people.", remedy)
        latest = time.time_ns() // 1_000_000 + MAX_MESSAGE_AHEAD_SECONDS * SECOND
        if asked.message.get("at", 0) > latest:
            raise _refuse_field(FieldError(when, "is more than 30 days ahead"))
        raw = orjson.dumps(asked.message, option=orjson.OPT_SORT_KEYS)
        request, known = self._name_request(key, asked.named, MESSAGES, raw)
        if not known:
            self._parts.gate.count_items(key, asked.people or 1)
            scopes = orjson.dumps(sorted(key.scopes)).decode()
            start = f'{{"request":"{request}","key":"{key.id}","scopes":{scopes},"message":'
            await self._write(key, MESSAGES, f"{start}{raw.decode()}}}")
            if asked.named is not None:
                self._parts.memory.add(request, digest(MESSAGES, raw))
        return request

    async def _read_json(self, scope: Any, receive: Any) -> Json:
        read_bodies.check_json(dict(scope["headers"]), MAX_API_BODY_BYTES)
        return parse(await read_bodies.read(receive, MAX_API_BODY_BYTES, self._parts.room))


def _refuse_field(error: FieldError) -> Refusal:
    return Refusal(422, "form", str(error).strip(), "See docs/vendors.md.")


def _read_query(scope: Any) -> dict[str, str]:
    text = scope["query_string"].decode("latin-1")
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=100))
    except ValueError:
        raise Refusal(400, "query", "The address has too many fields.", "Send fewer.") from None


# --- Gravitec --------------------------------------------------------------------------------


class _Gravitec(_Vendor):
    def _admit(self, call: Call, scope: Any, scopes: tuple[str, ...]) -> ApiKey:
        """Return the key; the user is its id or label, the password its secret."""
        user, secret = _read_basic(scope["headers"])
        key = self._parts.gate.admit(call, scope, scopes, secret)
        if user not in (key.id, key.label):
            error = "The user is not this key's id or label."
            raise Refusal(401, "wrong user", error, "See `pushctl apikeys list`.")
        return key

    def _refuse(self, refusal: Refusal) -> Answer:
        status = 403 if refusal.status == 401 else refusal.status
        # The service's own words stand alone: programs compare them.
        is_ours = refusal.word != "form"
        text = f"{refusal.error} {refusal.remedy}" if is_ours else refusal.error
        return answer_json(status, gravitec.render_error(status, text), _keep_heads(refusal))


class GravitecPush(_Gravitec):
    """``POST /api/v3/push``."""

    async def _serve(self, call: Call, scope: Any, receive: Any) -> Answer:
        check_method(scope, "POST")
        key = self._admit(call, scope, _SEND)
        body = await self._read_json(scope, receive)
        try:
            asked = gravitec.read_push(body, self._find_title(key))
        except FieldError as error:
            raise _refuse_field(error) from None
        return answer_json(200, {"id": await self._send(key, asked, "send_date")})


class GravitecPair(_Gravitec):
    """``POST /api/v3/alias`` and ``/api/v3/tag``: two parameters in the address or a form."""

    def __init__(self, parts: Parts, name: str, config: Config, what: str) -> None:
        super().__init__(parts, name, config)
        self._what = what

    async def _serve(self, call: Call, scope: Any, receive: Any) -> Answer:
        check_method(scope, "POST")
        kind = "aliases" if self._what == "alias" else "tags"
        key = self._admit(call, scope, (kind,))
        fields = _read_query(scope) | await self._read_form(scope, receive)
        try:
            person, name = gravitec.read_pair(fields, self._what)
        except FieldError as error:
            status = 400 if "not present" in str(error) else 422
            raise Refusal(status, "form", str(error).strip(), "See docs/vendors.md.") from None
        told = {"alias": name} if self._what == "alias" else {"add": [name]}
        request = self._make_id(key, time.time_ns() // 1_000_000)
        self._parts.gate.count_items(key, 1)
        body = {
            "request": request,
            "key": key.id,
            "items": [{**person, **told}],
        }
        await self._write(key, f"/v1/server/{kind}", orjson.dumps(body).decode())
        return answer_json(200, {"id": request})

    async def _read_form(self, scope: Any, receive: Any) -> dict[str, str]:
        """Return the fields of a form; other bodies have to say nothing."""
        raw = await read_bodies.read(receive, MAX_API_BODY_BYTES, self._parts.room)
        kind = dict(scope["headers"]).get(b"content-type", b"").split(b";")[0].strip().lower()
        if raw and kind == b"application/x-www-form-urlencoded":
            return _read_query({"query_string": raw})
        if raw.strip() not in (b"", b"{}", b"[]", b"null", b'""'):
            error = "The body is not taken here."
            raise Refusal(422, "body", error, "Send regId and name in the address.")
        return {}


class GravitecReader(_Gravitec):
    """``GET /api/v3/messages/{id}``."""

    async def _serve(self, call: Call, scope: Any, receive: Any) -> Answer:
        check_method(scope, "GET", "HEAD")
        key = self._admit(call, scope, ("read",))
        request = scope["path"].removeprefix(PUSHED)
        found = await self._find_result(request, key)
        self._parts.calls.count_read(key.id, self._name)
        return answer_json(200, gravitec.render_message(request, found))


def _read_basic(headers: Headers) -> tuple[str, str]:
    """Return user and password; two empty ones where there are none."""
    header = dict(headers).get(b"authorization", b"").decode("latin-1").strip()
    found = _BASIC.fullmatch(header)
    try:
        text = base64.b64decode(found[1], validate=True).decode() if found else ""
    except (binascii.Error, UnicodeDecodeError):
        text = ""
    user, _, secret = text.partition(":")
    return user, secret


# --- OneSignal -------------------------------------------------------------------------------


class _OneSignal(_Vendor):
    def _admit(self, call: Call, scope: Any, scopes: tuple[str, ...]) -> ApiKey:
        header = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1").strip()
        found = _KEY.fullmatch(header)
        return self._parts.gate.admit(call, scope, scopes, found[1] if found else None)

    def _check_app(self, key: ApiKey, given: Json) -> str:
        """Return the app id of a request, which has to name the key's site."""
        try:
            app = onesignal.read_app(given)
        except FieldError as error:
            raise Refusal(400, "app", str(error).strip(), "") from None
        site = self._find_site(key)
        if app not in (site.name, site.onesignal_app_id):
            fault = "app_id is not that of this key's site."
            remedy = f"Send the site's name, or set onesignal_app_id in [sites.{site.name}]."
            raise Refusal(400, "app", fault, remedy)
        return app

    def _refuse(self, refusal: Refusal) -> Answer:
        status, text = refusal.status, f"{refusal.error} {refusal.remedy}".strip()
        more: dict[str, Json] = {}
        if status == 401:
            status, text = 403, onesignal.ACCESS_DENIED
        elif status == 404:
            text = onesignal.NOT_FOUND
        elif status == 422:
            # The service has no 422; its own words stand alone: programs compare them.
            status, text = 400, refusal.error
        elif status == 429:
            more = {"limit": round(self._config.api.requests_per_minute)}
        elif status == 503:
            text = "Service temporarily unavailable"
        body = {**onesignal.render_error(text), **more}
        return answer_json(status, body, _keep_heads(refusal))


class OneSignalCreator(_OneSignal):
    """``POST /notifications``."""

    async def _serve(self, call: Call, scope: Any, receive: Any) -> Answer:
        check_method(scope, "POST")
        key = self._admit(call, scope, _SEND)
        body = await self._read_json(scope, receive)
        self._check_app(key, body.get("app_id") if isinstance(body, dict) else None)
        try:
            asked = onesignal.read_notification(
                body, self._find_title(key), self._config.segments
            )
        except FieldError as error:
            raise _refuse_field(error) from None
        request = await self._send(key, asked, "send_after")
        return answer_json(200, onesignal.render_created(request, asked.named))


class OneSignalNotification(_OneSignal):
    """``GET`` and ``DELETE`` of ``/notifications/{id}``."""

    def __init__(self, parts: Parts, prefix: str, config: Config) -> None:
        super().__init__(parts, f"{prefix}{{id}}", config)
        self._prefix = prefix

    async def _serve(self, call: Call, scope: Any, receive: Any) -> Answer:
        check_method(scope, "GET", "HEAD", "DELETE")
        is_cancelling = scope["method"] == "DELETE"
        key = self._admit(call, scope, _SEND if is_cancelling else ("read",))
        app = self._check_app(key, _read_query(scope).get("app_id"))
        given = scope["path"].removeprefix(self._prefix)
        request = read_uuid(given) or given
        found = await self._find_result(request, key)
        if not is_cancelling:
            self._parts.calls.count_read(key.id, self._name)
            return answer_json(200, onesignal.render_notification(request, app, found))
        if found is not None and found["state"] in _OVER:
            raise Refusal(400, "over", onesignal.ALREADY_SENT, "")
        await self._take_back(key, request)
        return answer_json(200, {"success": True})


# --- together --------------------------------------------------------------------------------


def make_apps(parts: Parts, config: Config) -> tuple[Mapping[str, App], Mapping[str, int]]:
    """Return the apps by path, or by prefix, and how many bytes their bodies may have."""
    apps: dict[str, App] = {
        PUSH: GravitecPush(parts, PUSH, config),
        ALIAS: GravitecPair(parts, ALIAS, config, "alias"),
        TAG: GravitecPair(parts, TAG, config, "tag"),
        PUSHED: GravitecReader(parts, f"{PUSHED}{{id}}", config),
    }
    for path in NOTIFICATIONS:
        apps[path] = OneSignalCreator(parts, path, config)
        apps[f"{path}/"] = OneSignalNotification(parts, f"{path}/", config)
    return apps, dict.fromkeys((PUSH, ALIAS, TAG, *NOTIFICATIONS), MAX_API_BODY_BYTES)


def _keep_heads(refusal: Refusal) -> Headers:
    """Return the headers of a refusal that say something to such a program."""
    return [
        (name.encode(), value.encode())
        for name, value in refusal.headers.items()
        if name in ("retry-after", "allow")
    ]
