"""
Message -> the JSON that OneSignal's service worker reads, as its public SDK has it (2026).

``{"custom": {"i": id, "u": URL, "a": data}, "title", "alert": body, "icon", "image", "badge",
"tag", "o": [{"i": action, "n": text, "p": icon, "u": URL}]}``. Without ``custom.i`` nothing is
shown. ``custom.rr`` would ask for a report to OneSignal, so it is left out. Language and
direction have no place in it.
"""

from collections.abc import Mapping

import orjson

from pushctl.errors import InputError
from pushctl.model import Action, Json, Message
from pushctl.rules.messages import payload
from pushctl.rules.messages.payload import BOUGHT, Frame, check_link, link_pictures


def frame(message: Message, *, small: bool | int = False) -> Frame:
    """
    Return *message* in OneSignal's form but for its token, which is its id there.

    With *small* it is shortened as ``payload.fit`` does. Raises InputError as
    ``payload.frame`` does.
    """
    shorter = payload.fit(message, make=_frame) if small else message
    return payload.check_size(_frame(shorter))


def _frame(message: Message) -> Frame:
    # That worker knows nothing of purchases.
    ours = ("pushctl", BOUGHT)
    data = {name: value for name, value in message.data.items() if name not in ours}
    custom = {"u": check_link("url", message.url), **({"a": data} if data else {})}
    try:
        rest = orjson.dumps(custom)[1:]
        shown = orjson.dumps(_shown(message))[1:]
    except TypeError as error:
        raise InputError(f"the message can't be written as JSON: {error}") from error
    return Frame(b'{"custom":{"i":"', b'",' + rest + b"," + shown)


def _shown(message: Message) -> Mapping[str, Json]:
    shown: dict[str, Json] = {
        "title": message.title,
        "alert": message.body,
        **link_pictures(message),
        "tag": message.tag,
        "o": [_button(action, message.url) for action in message.actions] or None,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _button(action: Action, default: str) -> Mapping[str, Json]:
    url = default if action.url is None else action.url
    button = {"i": action.action, "n": action.title, "u": check_link("url", url)}
    if action.icon is not None:
        button["p"] = check_link("icon", action.icon)
    return button
