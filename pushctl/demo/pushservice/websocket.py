"""The WebSocket that Firefox's ``dom.push.serverURL`` points to; it needs ``pushctl[demo]``."""

import asyncio
from contextlib import suppress
from functools import partial

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from pushctl.demo.pushservice.firefox import Firefox


async def serve_firefox(
    firefox: Firefox, ready: "asyncio.Future[int]", host: str, port: int
) -> None:
    """Serve until cancelled; give *ready* the port taken."""
    # Firefox asks for no compression and a decade of autopush gave none.
    async with serve(
        partial(_serve_one, firefox),
        host,
        port,
        subprotocols=[Subprotocol("push-notification")],
        compression=None,
        close_timeout=0.2,
    ) as server:
        ready.set_result(next(iter(server.sockets)).getsockname()[1])
        await asyncio.Future()


async def _serve_one(firefox: Firefox, socket: ServerConnection) -> None:
    async def send(text: str) -> None:
        with suppress(ConnectionClosed):
            await socket.send(text)

    session = firefox.open_session(send)
    try:
        with suppress(ConnectionClosed):
            async for text in socket:
                await session.handle(text)
    finally:
        session.leave()
