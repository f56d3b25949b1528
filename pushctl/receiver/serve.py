"""Running the receiver: granian in this one process, until SIGTERM or SIGINT."""

import asyncio
import logging
import signal
import socket

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from pushctl.config import Config
from pushctl.errors import ConfigError
from pushctl.receiver.app import build

HEAD_MILLISECONDS = 5_000
MAX_HEAD = 16 * 1024
# Connections that may be open, and requests that may be worked on, at once.
BACKLOG = 2_048


def address(listen: str) -> tuple[str, int]:
    """Return host and port of "127.0.0.1:8750" or "[::1]:8750"; ConfigError otherwise."""
    host, colon, port = listen.rpartition(":")
    host = host.strip("[]")
    if not (host and colon and port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ConfigError(f"{listen!r} is no address to listen on. Write 127.0.0.1:8750.")
    return host, int(port)


def serve(config: Config, public_key: str, listen: str) -> None:
    """
    Take requests on *listen* until a signal comes, then finish what was begun.

    One process: requests cost about 0.1 ms, and a second writer would only take the
    disk's turns from the first.
    """
    host, port = address(listen)
    _check_free(host, port)
    server = Server(
        build(config, public_key),
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=BACKLOG,
        backpressure=BACKLOG,
        http1_settings=HTTP1Settings(
            header_read_timeout=HEAD_MILLISECONDS, max_buffer_size=MAX_HEAD
        ),
        log_enabled=False,
    )
    asyncio.run(_run(server))


def _check_free(host: str, port: int) -> None:
    # granian shares its port (SO_REUSEPORT): a second receiver would start without a
    # word and take half of the visitors to its own inbox.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"can't listen on {host}:{port}: {error.strerror}. Stop what listens "
                "there, or choose another address with --listen."
            ) from error


async def _run(server: Server) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    await server.serve()


def log_to_stderr() -> None:
    """Write the receiver's log to stderr, a line each, for journald or a file."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("pushctl.receiver")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
