"""The ASGI app: the table of routes."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from pushctl.config import Config
from pushctl.inbox import Writer
from pushctl.receiver import geo, scripts, shapes
from pushctl.receiver.answers import JSON_HEADERS, Refusal, refuse, send_answer
from pushctl.receiver.commit import WRITERS, Committer
from pushctl.receiver.intake import Intake
from pushctl.receiver.rates import RateLimits
from pushctl.receiver.server.connection import App
from pushctl.receiver.server.request import Reply
from pushctl.receiver.shares import Shares
from pushctl.receiver.tally import Tally
from pushctl.receiver.visitor import Visitor
from pushctl.status import Proved


class Receiver:
    """The ASGI app: finds each route by one look-up. Serve it within ``lifespan``."""

    def __init__(
        self,
        apps: Mapping[str, App],
        committer: Committer,
        tally: Tally,
        shares: Shares,
        nothing: App,
    ) -> None:
        self._apps = apps
        self._nothing = nothing
        self.committer = committer
        self.tally = tally
        self.shares = shares

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._apps.get(scope["path"], self._nothing)(scope, receive, send)

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
        counting = [asyncio.create_task(it.run()) for it in (self.tally, self.shares)]
        try:
            await asyncio.sleep(0)
            if writing.done():
                await writing  # no thread could be started: its error
            yield
        finally:
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
    nothing = _limit("nothing", _answer_nothing, rates, tally)
    return Receiver(apps, committer, tally, shares, nothing)


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
    nothing = Refusal(404, "nothing", "There is nothing here.", "See docs/receiver.md.")
    await refuse(send, nothing)


def _map_origins(config: Config) -> dict[bytes, str]:
    """Return origin -> site. Browsers send origins in lower case, without a slash."""
    return {
        origin.rstrip("/").lower().encode(): site.name
        for site in config.sites.values()
        for origin in (site.origin, *site.origins)
    }
