"""Puts the apps of the API together."""

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from pushctl import status
from pushctl.apikeys import Ring
from pushctl.config import Config
from pushctl.model import Json, Millis
from pushctl.receiver.api import openapi
from pushctl.receiver.api.apps import Document, Parts, Reader, Taker
from pushctl.receiver.api.authentication import Gate
from pushctl.receiver.api.calls import Calls
from pushctl.receiver.api.memory import Memory
from pushctl.receiver.api.routes import MESSAGE, OPENAPI, REQUEST, ROUTES
from pushctl.receiver.commit import Committer
from pushctl.receiver.counters import Tally
from pushctl.receiver.rates import RateLimits
from pushctl.receiver.read_bodies import Room
from pushctl.receiver.server.connection import App
from pushctl.rules.limits import MAX_API_BODY_BYTES, MAX_API_READING_BYTES

log = logging.getLogger("pushctl.receiver")


def find_status(folder: Path, request: str, at: Millis | None) -> Mapping[str, Json] | None:
    """Return what became of a request that came in the hour of *at*, None while it waits."""
    if (found := status.find_request(folder, request)) is not None:
        return found
    if (message := status.find_message(folder, request, at)) is not None:
        return {
            "id": request, "state": message.state, "at": message.at, "route": "messages",
            "counts": message.counts,
        }  # fmt: skip
    done = status.find_applied(folder, request, at)
    if done is None:
        return None
    return {
        "id": request, "state": "applied", "at": done.at, "route": done.route,
        "items": done.items, "applied": done.items, "refused": [],
    }  # fmt: skip


class Api:
    """The API's apps by path, or by the prefix of paths that end in an id."""

    def __init__(
        self, config: Config, committer: Committer, tally: Tally, rates: RateLimits
    ) -> None:
        ring = Ring(config.keys, log.warning)
        self.calls = Calls(committer, tally, config.first_site.name)
        self.parts = parts = Parts(
            gate=Gate(ring, rates, config.api, config.sites),
            calls=self.calls,
            committer=committer,
            tally=tally,
            memory=Memory(),
            room=Room(MAX_API_READING_BYTES),
            find_status=partial(find_status, config.status),
        )
        self.apps: dict[str, App] = {route.path: Taker(parts, route) for route in ROUTES}
        self.apps |= {prefix: Reader(parts, prefix) for prefix in (REQUEST, MESSAGE)}
        self.apps[OPENAPI] = Document(openapi.render(config.receiver.url))
        self.bodies = {route.path: MAX_API_BODY_BYTES for route in ROUTES}
