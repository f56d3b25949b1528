"""The four servers: HTTPS for senders, WebSocket and MCS for browsers, plain control."""

import asyncio
import ssl
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from pushctl.demo import extra
from pushctl.demo.pushservice import certificates
from pushctl.demo.pushservice.chromium import Mcs
from pushctl.demo.pushservice.connection import HttpConnection
from pushctl.demo.pushservice.control import Control
from pushctl.demo.pushservice.firefox import Firefox
from pushctl.demo.pushservice.handler import Handler, ScriptedHandler

LOOPBACK = "127.0.0.1"
_BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Ports:
    """0 asks for a free one."""

    push: int = 0  # HTTPS, HTTP/2 and HTTP/1.1
    websocket: int = 0  # Firefox; stays 0 without the extra pushctl[demo]
    mcs: int = 0  # Chromium, TLS
    control: int = 0  # plain HTTP


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of the service that the servers need."""

    handler: ScriptedHandler
    control: Control
    firefox: Firefox
    mcs: Mcs
    streams: int  # HTTP/2 streams that one connection may have open


class Servers:
    def __init__(
        self, services: Services, authority: certificates.Authority, folder: Path
    ) -> None:
        self._services = services
        self._connections: set[HttpConnection] = set()
        self._tls = self._push_tls(authority, folder)
        self._mcs_tls = certificates.context(authority.good, folder)
        self._exit = AsyncExitStack()

    async def open(self, ports: Ports) -> Ports:
        """Listen on 127.0.0.1; return the ports taken."""
        services = self._services
        return Ports(
            push=await self._listen(services.handler, ports.push, self._tls),
            websocket=await self._websocket(ports.websocket),
            mcs=await self._mcs(ports.mcs),
            control=await self._listen(services.control, ports.control, None),
        )

    async def close(self) -> None:
        self._services.handler.stop()
        for connection in list(self._connections):
            connection.close()
        await self._exit.aclose()

    async def _listen(self, handler: Handler, port: int, tls: ssl.SSLContext | None) -> int:
        server = await asyncio.get_running_loop().create_server(
            lambda: HttpConnection(handler, self._connections, self._services.streams),
            LOOPBACK,
            port,
            ssl=tls,
            backlog=_BACKLOG,
        )
        self._exit.callback(server.close)
        return _port(server)

    async def _mcs(self, port: int) -> int:
        server = await asyncio.start_server(
            self._services.mcs.serve_browser, LOOPBACK, port, ssl=self._mcs_tls
        )
        self._exit.callback(server.close)
        self._exit.callback(self._services.mcs.close_all)
        return _port(server)

    async def _websocket(self, port: int) -> int:
        if not extra.is_installed():
            return 0
        from pushctl.demo.pushservice.websocket import serve_firefox

        ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        serving = serve_firefox(self._services.firefox, ready, LOOPBACK, port)
        task = asyncio.create_task(serving)
        self._exit.push_async_callback(_cancel, task)
        task.add_done_callback(lambda ended: _pass_on(ended, ready))
        return await ready

    def _push_tls(self, authority: certificates.Authority, folder: Path) -> ssl.SSLContext:
        good = certificates.context(authority.good, folder)
        good.set_alpn_protocols(["h2", "http/1.1"])
        strange = certificates.context(authority.strange, folder)

        def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            if self._services.handler.picker.wrong_tls(name):
                connection.context = strange

        good.sni_callback = choose
        return good


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _pass_on(ended: "asyncio.Task[None]", ready: "asyncio.Future[int]") -> None:
    if not ready.done() and not ended.cancelled():
        ready.set_exception(ended.exception() or RuntimeError("no WebSocket server"))


def _port(server: asyncio.Server) -> int:
    number: int = server.sockets[0].getsockname()[1]
    return number
