"""Serve the demo's shop: python -m pushctl.demo.shop --port 8080 --receiver URL"""

import argparse
import asyncio
import signal

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from pushctl.demo import shop


def main() -> None:
    parser = argparse.ArgumentParser(description="The demo's shop, on 127.0.0.1 only.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--receiver", required=True, help="URL of `pushctl receive`")
    options = parser.parse_args()
    server = Server(
        shop.app(options.receiver),
        address="127.0.0.1",
        port=options.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    asyncio.run(_run(server))


async def _run(server: Server) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    await server.serve()


if __name__ == "__main__":
    main()
