"""Run the receiver in this process, until SIGTERM or SIGINT."""

import asyncio
import errno
import gc
import logging
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import uvloop

from pushctl import log
from pushctl.config import Config
from pushctl.errors import ConfigError
from pushctl.receiver.addresses import Proxies
from pushctl.receiver.app import build
from pushctl.receiver.server.connection import Limits
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
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # Requests leave no cycles behind, so a collection after every 700 objects is wasted.
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    # A thread that returns from the disk must not wait for a whole slice (queue.py).
    sys.setswitchinterval(0.001)
    uvloop.run(_run(config, public_key, host, port, ready))


async def _run(
    config: Config, public_key: str, host: str, port: int, ready: Callable[[], None]
) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    receiver = build(config, public_key, port)
    certificate = _load_certificate(config)
    own = config.receiver
    listener = Listener(
        receiver,
        Limits(own.connections, own.connections_per_address),
        serve_now=receiver.serve_now,
        tls=certificate.context if certificate else None,
        exempt=Proxies(own.trusted_proxies).trusts,
        note=receiver.tally.count_closed,
        bodies=receiver.bodies,
    )
    async with receiver.lifespan(), AsyncExitStack() as stack:
        if certificate is not None:
            loop.add_signal_handler(signal.SIGHUP, certificate.renew)
            watching = asyncio.create_task(certificate.watch())
            stack.callback(watching.cancel)
        if own.metrics is not None:
            from pushctl.receiver.metrics import Figures

            figures = Listener(Figures(receiver, listener, config.status), Limits(32, 32))
            await _listen(figures, *parse_address(own.metrics), _METRICS)
            stack.push_async_callback(figures.stop, 1.0)
        await _listen(listener, host, port, _RECEIVER)
        ready()
        await stopped.wait()
        await listener.stop()


# How another address is chosen.
_RECEIVER = "with --listen"
_METRICS = (
    "for receiver.metrics in pushctl.toml, for one run with "
    "PUSHCTL_RECEIVER__METRICS=127.0.0.1:9751"
)

_REMEDIES = {
    errno.EADDRINUSE: "Stop what listens there, perhaps another receiver, or choose another "
    "address {}.",
    errno.EACCES: "Ports below 1024 need a right (systemd: "
    "AmbientCapabilities=CAP_NET_BIND_SERVICE). Give it, or choose another address {}.",
    errno.EADDRNOTAVAIL: "This machine has no such address. Choose another one {}.",
}
_REMEDY = "Choose another address {}."


async def _listen(listener: Listener, host: str, port: int, how: str) -> None:
    """Listen, or raise ConfigError; *how* another address is chosen."""
    try:
        await listener.start(host, port)
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, _REMEDY).format(how)
        raise ConfigError(
            f"can't listen on {host}:{port}: {error.strerror}. {remedy}"
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
    text = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(_JsonLines() if form == "json" else text)
    logger = logging.getLogger("pushctl.receiver")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


class _JsonLines(log.JsonLines):
    """One JSON object a line: at, level, message, and the counts where it has them."""

    def fill(self, record: logging.LogRecord) -> dict[str, Any]:
        if counts := getattr(record, "counts", None):
            return {"message": "requests", "counts": counts}
        return {"message": record.getMessage()}

    def hide(self, value: Any) -> Any:
        return value  # the receiver logs no address and no key; a trace keeps its lines
