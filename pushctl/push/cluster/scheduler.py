"""
Dask's scheduler: which workers there are, and tickets for them.

The only module that imports Dask; ``check`` looks for it without doing so.
"""

import asyncio
import logging
import socket
from concurrent.futures import Future
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pushctl
from pushctl.errors import ConfigError
from pushctl.push import clock
from pushctl.push.cluster.identity import Identity
from pushctl.push.cluster.task import send_chunk
from pushctl.push.cluster.wire import Ticket
from pushctl.rules.config.cluster import Address

CONNECT_SECONDS = 10.0
_REFRESH_SECONDS = 1.0
_LOGGERS = ("distributed", "distributed.client", "distributed.core", "tornado.application")
SILENT_SECONDS = 20.0  # without an answer of the scheduler: it is lost


def check(address: Address) -> None:
    """Raise ConfigError where nothing could be sent: no Dask here, nobody at *address*."""
    if find_spec("distributed") is None:
        raise ConfigError("a cluster needs another package: pip install 'pushctl[cluster]'")
    try:
        socket.create_connection((address.host, address.port), CONNECT_SECONDS).close()
    except OSError as error:
        raise _unreached(address, str(error)) from None


def find_own_address(address: Address) -> str:
    """Return the address of this machine on the way to the scheduler."""
    with socket.create_connection((address.host, address.port), CONNECT_SECONDS) as connection:
        return str(connection.getsockname()[0])


def _unreached(address: Address, why: str) -> ConfigError:
    return ConfigError(
        f"the scheduler {address.text} can't be reached: {why}. Start it (`dask scheduler`, "
        "see docs/cluster.md) or leave out the cluster; then go on with pushctl campaigns "
        "resume."
    )


class Scheduler:
    """A connection to Dask's scheduler. Raises ConfigError where none comes about."""

    def __init__(self, address: Address, identity: Identity | None) -> None:
        check(address)
        distributed: Any = import_module("distributed")
        for name in _LOGGERS:
            # It tells of each lost connection; we do so in our own words.
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        self.address = address
        security = None
        if identity is not None:
            security = distributed.Security(
                require_encryption=True,
                tls_ca_file=str(identity.ca),
                tls_client_cert=str(identity.certificate),
                tls_client_key=str(identity.key),
            )
        try:
            self._client: Any = distributed.Client(
                address.text,
                security=security,
                timeout=CONNECT_SECONDS,
                set_as_default=False,
                name="pushctl",
            )
        except (OSError, ValueError, TypeError) as error:
            raise _unreached(address, " ".join(str(error).split())[:300]) from None
        # Results that nobody waits for are fetched while the connection closes.
        self._client.loop.asyncio_loop.set_exception_handler(lambda *_: None)
        self._executor = self._client.get_executor(pure=False, retries=0)
        self.threads: dict[str, int] = {}  # of each worker
        self._asked: Future[Any] | None = None
        self._asked_at = 0.0
        self._read(self._ask().result(SILENT_SECONDS))

    @property
    def lost(self) -> bool:
        """Whether the scheduler has ended, or is silent for long."""
        asked = self._asked
        waits = clock.read_seconds() - self._asked_at if asked and not asked.done() else 0.0
        return self._client.status != "running" or waits > SILENT_SECONDS

    def refresh(self) -> None:
        """Learn which workers there are; this waits for nothing."""
        if self._asked is None:
            if clock.read_seconds() - self._asked_at > _REFRESH_SECONDS:
                self._asked = self._ask()
        elif self._asked.done():
            asked, self._asked = self._asked, None
            if asked.exception() is None:
                self._read(asked.result())

    def submit(self, ticket: Ticket, avoid: set[str]) -> "Future[str]":
        """Have a worker take a ticket, none of *avoid*."""
        chosen = {}
        if avoid & self.threads.keys():
            chosen["workers"] = sorted(self.threads.keys() - avoid)
        future: Future[str] = self._executor.submit(send_chunk, ticket, **chosen)
        return future

    def close(self) -> None:
        self._client.close(timeout=2)

    def _ask(self) -> "Future[Any]":
        self._asked_at = clock.read_seconds()
        loop = self._client.loop.asyncio_loop
        return asyncio.run_coroutine_threadsafe(
            self._client.scheduler.identity(n_workers=-1), loop
        )

    def _read(self, identity: Any) -> None:
        self.threads = {
            name: int(worker["nthreads"]) for name, worker in identity["workers"].items()
        }


def make_ticket(address: tuple[str, int], token: str, *, encrypted: bool) -> Ticket:
    return Ticket(address, token, pushctl.__version__, encrypted)
