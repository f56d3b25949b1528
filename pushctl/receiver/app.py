"""The ASGI app: which address leads where."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pushctl.config import Config
from pushctl.inbox import Writer
from pushctl.receiver import files, shapes
from pushctl.receiver.commit import Committer
from pushctl.receiver.intake import Intake
from pushctl.receiver.tally import Tally


class Receiver:
    """
    The ASGI app: the API's addresses by a look-up, everything else through Starlette.

    Starlette's way to a route costs as much as all the checks of an event.
    """

    def __init__(
        self,
        intakes: Mapping[str, Intake],
        rest: Starlette,
        lifespan: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        self._intakes = intakes
        self.rest = rest
        self.lifespan = lifespan

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        intake = self._intakes.get(scope["path"]) if scope["type"] == "http" else None
        await (intake or self.rest)(scope, receive, send)


def build(config: Config, public_key: str) -> Receiver:
    """
    Return the receiver of *config*; *public_key* is what it hands to browsers.

    Its lifespan must be run: it starts the one task that writes, and at the end lets
    it finish.
    """
    committer = Committer(Writer(config.inbox))
    tally = Tally()
    sites = _origins(config)
    intakes = {
        path: Intake(path, shape, sites, committer, tally, config.receiver.country_header)
        for path, shape in shapes.table(config.push.allowed_hosts).items()
    }
    served = files.prepare(config, public_key)
    first = next(iter(config.sites))
    routes = [
        Route(f"/{name}", files.Script(name, served, first))
        for name in sorted({name for name, _ in served})
    ]

    async def healthz(request: Request) -> Response:
        if committer.full:
            return JSONResponse({"ok": False, "error": "disk"}, 503)
        return JSONResponse({"ok": True})

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        writing = asyncio.create_task(committer.run())
        counting = asyncio.create_task(tally.run())
        yield
        committer.close()
        await writing
        counting.cancel()
        with suppress(asyncio.CancelledError):
            await counting

    routes.append(Route("/healthz", healthz))
    nothing = {404: _nothing, 405: _nothing}
    return Receiver(intakes, Starlette(routes=routes, exception_handlers=nothing), lifespan)


def _origins(config: Config) -> dict[bytes, str]:
    """Return origin -> site. Browsers send origins in lower case, without a slash."""
    return {
        origin.rstrip("/").lower().encode(): site.name
        for site in config.sites.values()
        for origin in (site.origin, *site.origins)
    }


async def _nothing(request: Request, error: Any) -> Response:
    return JSONResponse(
        {"error": "There is nothing at this address.", "remedy": "See docs/receiver.md."},
        error.status_code,
        headers={"x-content-type-options": "nosniff"},
    )
