"""Running the receiver in this one process, until SIGTERM or SIGINT."""

import asyncio
import logging
import resource
import signal

import uvloop

from pushctl.config import Config
from pushctl.errors import ConfigError
from pushctl.receiver.app import build
from pushctl.receiver.front import Front, Limits


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

    One process: requests cost less than 0.1 ms, and a second writer would only take the
    disk's turns from the first.
    """
    host, port = address(listen)
    _raise_file_limit()
    uvloop.run(_run(config, public_key, host, port))


def _raise_file_limit() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _run(config: Config, public_key: str, host: str, port: int) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    receiver = build(config, public_key)
    front = Front(receiver, Limits())
    async with receiver.lifespan():
        try:
            await front.start(host, port)
        except OSError as error:
            raise ConfigError(
                f"can't listen on {host}:{port}: {error.strerror}. Stop what listens "
                "there, or choose another address with --listen."
            ) from error
        await stopped.wait()
        await front.stop()


def log_to_stderr() -> None:
    """Write the receiver's log to stderr, a line each, for journald or a file."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("pushctl.receiver")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
