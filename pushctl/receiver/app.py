"""The ASGI app: the table of routes."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from pushctl import source_secrets
from pushctl.config import Config
from pushctl.inbox import Writer
from pushctl.receiver import geo, scripts, shapes, vendors
from pushctl.receiver.answers import JSON_HEADERS, Refusal, refuse, send_answer, send_complete
from pushctl.receiver.api import problems
from pushctl.receiver.api.setup import Api
from pushctl.receiver.commit import WRITERS, Committer
from pushctl.receiver.counters import Tally
from pushctl.receiver.intake import Intake
from pushctl.receiver.rates import RateLimits
from pushctl.receiver.read_bodies import Room
from pushctl.receiver.server.connection import App
from pushctl.receiver.server.request import Reply
from pushctl.receiver.shares import Shares
from pushctl.receiver.visitor import Visitor
from pushctl.receiver.webhooks import Webhooks
from pushctl.rules import tokens
from pushctl.rules.limits import MAX_HOOK_BYTES, MAX_HOOKS_BYTES
from pushctl.status import Proved

log = logging.getLogger("pushctl.receiver")


class Receiver:
    """The ASGI app: finds each route by one look-up. Serve it within ``lifespan``."""

    def __init__(
        self,
        apps: Mapping[str, App],
        committer: Committer,
        tally: Tally,
        shares: Shares,
        nothing: App,
        api: Api,
        bodies: Mapping[str, int],
    ) -> None:
        self._apps = apps
        self._api = api
        self._nothing = nothing
        # The paths whose bodies may be larger than those of pages.
        self.bodies = {
            path: MAX_HOOK_BYTES for path, app in apps.items() if isinstance(app, Webhooks)
        } | dict(bodies)
        self.committer = committer
        self.tally = tally
        self.shares = shares

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._find(scope["path"])(scope, receive, send)

    def _find(self, path: str) -> App:
        # Some paths end in an id.
        prefix = path[: path.rfind("/") + 1]
        return self._apps.get(path) or self._apps.get(prefix) or self._nothing

    def serve_now(self, scope: Any, reply: Reply, late: bool) -> bool:
        """
        Serve a complete request of the API without a task; return False for other routes.

        Refuses a *late* one, which waited too long.
        """
        app = self._apps.get(scope["path"])
        if isinstance(app, Intake):
            app.serve_now(scope, reply, late)
            return True
        return False

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Write the inbox and the log within the block; finish both at its end."""
        writing = asyncio.create_task(self.committer.run())
        counted = (self.tally, self.shares, self._api.calls)
        counting = [asyncio.create_task(it.run()) for it in counted]
        try:
            await asyncio.sleep(0)
            if writing.done():
                await writing  # no thread could be started: its error
            yield
        finally:
            self._api.calls.write()
            self.committer.close()
            await writing
            for each in counting:
                each.cancel()
                with suppress(asyncio.CancelledError):
                    await each


def build(config: Config, public_key: str, port: int = 0) -> Receiver:
    """Return the receiver of *config*, on *port*; browsers subscribe with *public_key*."""
    own = config.receiver
    tally = Tally()
    writers = [Writer(config.inbox) for _ in range(WRITERS)]
    committer = Committer(writers, record_wait=tally.record_wait)
    rates = RateLimits(own.rate_per_address, own.rate_per_site, own.trusted_proxies)
    shares = _count_shares(config, rates, port)
    visitor = Visitor(
        own.country_header, geo.open_lookup(own.geoip) if own.geoip else None, own.keep_address
    )
    sites = _map_origins(config)
    apps: dict[str, App] = {
        path: Intake(path, shape, sites, committer, tally, rates, visitor, shares)
        for path, shape in shapes.make_table(config.push.allowed_hosts).items()
    }
    served = scripts.prepare(config, public_key)
    first = next(iter(config.sites))
    for name in {name for name, _ in served}:
        apps[f"/{name}"] = _limit("scripts", scripts.Script(name, served, first), rates, tally)
    apps["/healthz"] = _limit("healthz", _make_health(committer), rates, tally)
    api = Api(config, committer, tally, rates)
    apps |= api.apps
    apps |= _make_webhooks(config, committer, tally)
    drop_in, bodies = vendors.make_apps(api.parts, config)
    apps |= drop_in
    nothing = _limit("nothing", _answer_nothing, rates, tally)
    return Receiver(apps, committer, tally, shares, nothing, api, {**api.bodies, **bodies})


def _make_webhooks(config: Config, committer: Committer, tally: Tally) -> dict[str, App]:
    if not config.sources:
        return {}
    own, room = config.receiver, Room(MAX_HOOKS_BYTES)
    reader = source_secrets.Reader(config.keys, log.warning)
    secret = config.email_secret()
    hash_email = partial(tokens.hash_email, secret) if secret else _hash_nothing
    made: dict[str, App] = {}
    for one in config.sources.values():
        # A bucket of each address and source: a shop's server has one address.
        rates = RateLimits(own.rate_per_source, 0, own.trusted_proxies)
        made[one.path] = Webhooks(one, reader.find, hash_email, committer, tally, rates, room)
    return made


def _hash_nothing(_: str) -> None:
    """Without keys/email_secret no address is recognised."""


def _count_shares(config: Config, rates: RateLimits, port: int) -> Shares:
    # Receivers of one folder listen on different ports, and each counts for itself.
    file = config.inbox / f"usage-{port}.json"
    now = time.time_ns() // 1_000_000
    proved = Proved(config.status)
    return Shares(config.unproved, proved, file, rates.proxies.trusts, now)


def _limit(name: str, app: App, rates: RateLimits, tally: Tally) -> App:
    async def limited(scope: Any, receive: Any, send: Any) -> None:
        try:
            rates.check(scope["client"][0], scope["headers"], None)
        except Refusal as refusal:
            tally.count_refused(name, refusal.word)
            await refuse(send, refusal)
        else:
            await app(scope, receive, send)

    return limited


def _make_health(committer: Committer) -> App:
    async def healthz(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            await _answer_nothing(scope, receive, send)
        elif committer.full:
            await send_answer(send, 503, JSON_HEADERS, b'{"ok":false,"error":"disk"}')
        else:
            await send_answer(send, 200, JSON_HEADERS, b'{"ok":true}')

    return healthz


async def _answer_nothing(scope: Any, receive: Any, send: Any) -> None:
    # A program of a shop reads problem details alone.
    api = scope["path"].startswith("/v1/server/")
    page = "docs/api.md" if api else "docs/receiver.md"
    nothing = Refusal(404, "nothing", "There is nothing here.", f"See {page}.")
    if api:
        await send_complete(send, *problems.render(nothing))
    else:
        await refuse(send, nothing)


def _map_origins(config: Config) -> dict[bytes, str]:
    """Return origin -> site. Browsers send origins in lower case, without a slash."""
    return {
        origin.rstrip("/").lower().encode(): site.name
        for site in config.sites.values()
        for origin in (site.origin, *site.origins)
    }
