"""The shop as a process: ``python -m pushctl.demo.shop --port 8752 --receiver URL``."""

import argparse
import asyncio
import signal
from pathlib import Path

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from pushctl.demo.shop import app


async def serve(port: int, receiver: str, site: str | None, feed: Path | None) -> None:
    """Serve the shop on this machine's loopback address until a signal comes."""
    server = Server(
        app(receiver, site, feed),
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    await server.serve()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m pushctl.demo.shop", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--receiver", required=True, help="the receiver's public address")
    parser.add_argument("--site", help="the site's name, where there are several")
    parser.add_argument("--feed", type=Path, help="the blog: a file served as /feed.xml")
    given = parser.parse_args()
    asyncio.run(serve(given.port, given.receiver, given.site, given.feed))


if __name__ == "__main__":
    main()
