"""Run the receiver in this process, until SIGTERM or SIGINT."""

import asyncio
import gc
import logging
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import orjson
import uvloop

from pushctl.config import Config
from pushctl.errors import ConfigError
from pushctl.receiver.addresses import Proxies
from pushctl.receiver.app import build
from pushctl.receiver.server.limits import Limits
from pushctl.receiver.server.listener import Listener
from pushctl.receiver.server.tls import Certificate


def parse_address(listen: str) -> tuple[str, int]:
    """Return host and port of "127.0.0.1:8750" or "[::1]:8750"; ConfigError otherwise."""
    host, colon, port = listen.rpartition(":")
    host = host.strip("[]")
    if not (host and colon and port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ConfigError(f"{listen!r} is no address to listen on. Write 127.0.0.1:8750.")
    return host, int(port)


def serve(
    config: Config, public_key: str, listen: str, ready: Callable[[], None] = lambda: None
) -> None:
    """
    Serve on *listen* until a signal comes, then finish the requests under way.

    Calls *ready* when it listens. Raises ConfigError when it can't.

    One process: requests cost less than 0.1 ms, and two processes would share one disk.
    """
    host, port = parse_address(listen)
    _raise_file_limit()
    _tune()
    uvloop.run(_run(config, public_key, host, port, ready))


def _raise_file_limit() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _tune() -> None:
    # Requests leave no cycles behind, so a collection after every 700 objects is wasted.
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    # A thread that comes back from the disk must not wait for a whole slice (queue.py).
    sys.setswitchinterval(0.001)


async def _run(
    config: Config, public_key: str, host: str, port: int, ready: Callable[[], None]
) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    receiver = build(config, public_key)
    certificate = _load_certificate(config)
    own = config.receiver
    listener = Listener(
        receiver,
        Limits(own.connections, own.connections_per_address),
        serve_now=receiver.serve_now,
        tls=certificate.context if certificate else None,
        exempt=Proxies(own.trusted_proxies).trusts,
        note=receiver.tally.count_closed,
    )
    async with receiver.lifespan(), AsyncExitStack() as stack:
        if certificate is not None:
            loop.add_signal_handler(signal.SIGHUP, certificate.renew)
            watching = asyncio.create_task(certificate.watch())
            stack.callback(watching.cancel)
        if own.metrics is not None:
            from pushctl.receiver.metrics import Figures

            figures = Listener(Figures(receiver, listener), Limits(32, 32))
            await _listen(figures, *parse_address(own.metrics))
            stack.push_async_callback(figures.stop, 1.0)
        await _listen(listener, host, port)
        ready()
        await stopped.wait()
        await listener.stop()


async def _listen(listener: Listener, host: str, port: int) -> None:
    try:
        await listener.start(host, port)
    except OSError as error:
        raise ConfigError(
            f"can't listen on {host}:{port}: {error.strerror}. Stop what listens "
            "there, or choose another address with --listen."
        ) from error


def _load_certificate(config: Config) -> Certificate | None:
    certificate, key = config.receiver.certificate, config.receiver.certificate_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise ConfigError(
            "receiver.certificate and receiver.certificate_key belong together: write both."
        )
    return Certificate(certificate, key)


def log_to_stderr(form: str = "text") -> None:
    """Write the receiver's log to stderr, as lines of text or of JSON."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        _JsonLines()
        if form == "json"
        else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    )
    logger = logging.getLogger("pushctl.receiver")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


class _JsonLines(logging.Formatter):
    """One JSON object a line: at, level, message, and the counts where it has them."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(
                timespec="milliseconds"
            ),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if counts := getattr(record, "counts", None):
            line["counts"] = counts
            line["message"] = "requests"
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return orjson.dumps(line).decode()
