"""One request to a webhook: what it may do, and what became of it."""

import time
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

import orjson

from pushctl import web
from pushctl.config import Config
from pushctl.errors import InputError, PushctlError
from pushctl.model import Json, Millis
from pushctl.rules.limits import MAX_WEBHOOK_ANSWER_BYTES, WEBHOOK_SECONDS
from pushctl.rules.units import SECOND
from pushctl.rules.web import standard_webhooks as standard
from pushctl.rules.web.webhooks import Webhook

_TEXT, _JSON = "text/plain; charset=utf-8", "application/json"


class Result(NamedTuple):
    status: int | None  # None: no answer came
    why: str  # empty: it was taken
    wait: Millis = 0  # at least so long, as the receiver asks
    begun: bool = True  # False: for certain nothing of it was written

    @property
    def taken(self) -> bool:
        return not self.why


def make_policy(config: Config, hook: Webhook) -> web.Policy:
    """Allow the one host of pushctl.toml, in the internet or where push.loopback leads it."""
    return web.Policy(
        method="POST",
        hosts={urlsplit(hook.url).hostname or ""},
        redirects=0,
        addresses=web.Addresses.PUBLIC,
        most_bytes=MAX_WEBHOOK_ANSWER_BYTES,
        seconds=WEBHOOK_SECONDS,
        secure=True,
        loopback=config.push.loopback.hosts,
        loopback_ca=config.push.loopback.ca,
    )


def write_body(hook: Webhook, payload: str) -> bytes:
    """Return what is sent for *payload*, JSON; InputError where the body can't be written."""
    if hook.body is None:
        return payload.encode()
    from pushctl.templates import sandbox

    try:
        field = sandbox.parse("body", hook.body)
        (text,) = sandbox.Renderer([field]).render(orjson.loads(payload))
    except sandbox.Refused as error:
        raise InputError(f"its body can't be written: {error}") from error
    return text.encode()


def post(
    client: web.Client,
    policy: web.Policy,
    hook: Webhook,
    secrets: Sequence[bytes],
    message: str,
    now: Millis,
    payload: str,
) -> Result:
    """Make the call *message*; never raises for what is wrong with this one."""
    try:
        body = write_body(hook, payload)
        signed = standard.write_headers(secrets, message, now, body)
        kind = _JSON if _is_json(body) else _TEXT
        lines = [f"{name}: {value}" for name, value in signed.items()]
        answer = client.call(
            hook.url, policy, body=body, headers=[f"content-type: {kind}", *lines]
        )
    except web.WebError as error:
        return Result(None, str(error), begun=error.begun)
    except PushctlError as error:
        return Result(None, str(error), begun=False)
    if 200 <= answer.status < 300:
        return Result(answer.status, "")
    wait = min(int((answer.retry_after or 0) * SECOND), standard.MAX_DELAY)
    return Result(answer.status, _describe(answer.status), wait)


def _is_json(body: bytes) -> bool:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True


def _describe(status: int) -> str:
    if 300 <= status < 400:
        return f"it answers {status}: redirects are not followed, write the new address"
    return f"it answers {status}"


def read_wall_clock() -> Millis:
    """Return the time that a call is signed with: receivers compare it with their own clock."""
    return time.time_ns() // 1_000_000


def make_test_payload(hook: Webhook, now: str) -> Json:
    """Return an event of a kind that stands for nothing, to try a receiver with."""
    return {"type": "test", "timestamp": now, "data": {"webhook": hook.name}}
