"""A pool whose workers are on other machines: Dask's, which get tickets in place of letters."""

import logging
import secrets
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import cast

from pushctl import log
from pushctl.config import Config
from pushctl.errors import ConfigError
from pushctl.jobs.delivery.claims.leases import Leases
from pushctl.jobs.delivery.pools.pool import CHUNK, MAX_DEATHS, Pool, Returned
from pushctl.jobs.delivery.types import LaneKey, Sendable
from pushctl.model import Letter
from pushctl.push import Postbox
from pushctl.push.cluster.coordinator import Back, Coordinator
from pushctl.push.cluster.identity import Identity, make_server_context
from pushctl.push.cluster.scheduler import Scheduler, check, find_own_address, make_ticket
from pushctl.rules.config.cluster import Address, is_loopback, parse, split
from pushctl.store.clocks import read_seconds

# Without a worker that takes a chunk, a run ends after so long: the next one goes on.
ALONE_SECONDS = 60.0
_AT_ONCE = 0.05  # seconds between two looks at Dask's futures


class ClusterPool(Pool):
    """
    Sends by the workers of *config*'s cluster. What differs from a pool of processes:

    Outcomes come back while their chunk is under way. ``submit`` commits the chunk's lease;
    ``poll`` renews those of all. A worker that is lost, or silent for longer than its lease,
    leaves in doubt what it had been given. Where the scheduler is lost, nothing more begins,
    and ``fault`` says so.
    """

    careful = 1

    def __init__(self, config: Config, postbox: Postbox, leases: Leases) -> None:
        super().__init__(postbox)
        address, identity = read_settings(config)
        context = None if identity is None else make_server_context(identity)
        self._scheduler = Scheduler(address, identity)
        self._leases = leases
        self._coordinator = Coordinator(postbox, leases.seconds, context)
        try:
            self._address = self._listen(config, address)
        except BaseException:
            self._scheduler.close()
            raise
        leases.tell = self._coordinator.extend
        self._encrypted = identity is not None
        self._tickets: dict[str, Future[str]] = {}
        self._withheld = 0  # bytes of the file that are read
        self._failures = 0  # tickets that came to nothing, since a letter came back
        self._taken = read_seconds()  # when a worker last took a chunk, or was to take none
        self._told: set[str] = set()  # workers that were refused
        self._lost = 0

    def _listen(self, config: Config, scheduler: Address) -> tuple[str, int]:
        listen, address = config.cluster.listen, config.cluster.address
        host, port = split(listen) if listen else (find_own_address(scheduler), 0)
        if not scheduler.encrypted and not is_loopback(host):
            raise ConfigError(
                f"cluster.listen is {listen!r}: without TLS workers are on this machine alone. "
                "Write 127.0.0.1 and a port, or leave it out."
            )
        try:
            found = self._coordinator.start(host, port)
            return split(address) if address else found
        except OSError as error:
            raise ConfigError(
                f"workers can't reach this machine at {host}:{port or 'any port'}: {error}. "
                "Set cluster.listen in pushctl.toml to an address of this machine."
            ) from None

    @property
    def _slots(self) -> int:  # type: ignore[override]
        # One in work and one waiting for each.
        return 2 * max(1, sum(self._scheduler.threads.values()))

    @property
    def window(self) -> int:  # type: ignore[override]
        return CHUNK * (self._slots + max(2, self._slots // 2))

    @property
    def free(self) -> int:
        full = self._closed or self._back
        return 0 if full else max(0, self._slots - self._coordinator.open)

    @property
    def busy(self) -> bool:
        return bool(self._coordinator.busy or self._back)

    def submit(self, letters: Sequence[Sendable]) -> None:
        token = secrets.token_hex(16)
        self._leases.begin(token, len(letters))
        if not self._coordinator.open:
            self._taken = read_seconds()
        self._coordinator.offer(token, cast("Sequence[Letter]", letters))
        self._hand_in(token)

    def _hand_in(self, token: str) -> None:
        """Give Dask the ticket of a chunk."""
        ticket = make_ticket(self._address, token, encrypted=self._encrypted)
        try:
            avoid = set(self._coordinator.refused)
            self._tickets[token] = self._scheduler.submit(ticket, avoid)
        except Exception as error:  # whatever Dask raises, nothing of the chunk was begun
            log.note("send", "cluster refuses", level=logging.WARNING, reason=str(error)[:200])
            self._failures += 1
            self._coordinator.withdraw(token)

    def poll(self, seconds: float) -> Returned:
        returned = super().poll(0.0)
        until = read_seconds() + (0.0 if returned else seconds)
        self._read_withheld()
        while True:
            self._leases.renew()
            self._scheduler.refresh()
            self._look_at_tickets()
            left = until - read_seconds()
            back = self._coordinator.collect(max(0.0, min(left, _AT_ONCE)))
            self._take(back, returned)
            returned.fault = returned.fault or self._find_fault()
            if returned or left <= 0:
                return returned

    def _take(self, back: Back, returned: Returned) -> None:
        returned.outcomes += back.outcomes
        returned.unsent += back.unsent
        if back.fault is not None:
            self._closed, returned.fault = True, back.fault
        if back.outcomes:
            self._failures = 0
        if back.outcomes or back.ended:
            returned.journals.append(lambda: self._coordinator.settle(back))
        for chunk in back.ended:
            self._leases.end(chunk.token)
            ticket = self._tickets.pop(chunk.token, None)
            if ticket is not None:
                ticket.cancel()  # whatever became of it
        if (lost := self._coordinator.lost) > self._lost:
            log.note("send", "worker lost", level=logging.WARNING, chunks=lost - self._lost)
            self._lost = lost

    def _look_at_tickets(self) -> None:
        """Withdraw the chunks whose tickets came to nothing; the run submits them again."""
        for token, ticket in list(self._tickets.items()):
            if self._coordinator.is_taken(token):
                self._taken = read_seconds()
            elif ticket.done():
                del self._tickets[token]
                self._note_failure(ticket)
                if self._coordinator.withdraw(token):
                    self._failures += 1
        for worker, why in self._coordinator.refused.items():
            if worker not in self._told:
                self._told.add(worker)
                log.note(
                    "send", "worker refused", level=logging.WARNING, why=f"{worker}: {why}"
                )

    def _note_failure(self, ticket: "Future[str]") -> None:
        if ticket.cancelled():
            return
        error = ticket.exception()
        why = ticket.result() if error is None else f"{type(error).__name__}: {error}"
        log.note("send", "ticket came back", level=logging.WARNING, reason=str(why)[:200])
        self._why = str(why)[:200]

    _why = ""

    def _find_fault(self) -> ConfigError | None:
        """Return why nothing more can be sent; then nothing more begins."""
        why = None
        workers = self._scheduler.threads.keys()
        refused = self._coordinator.refused
        if self._scheduler.lost:
            why = f"the scheduler {self._scheduler.address.text} is lost. Start it again"
        elif workers and workers <= refused.keys():
            one = min(workers)
            why = (
                f"no worker may send: {one} is refused, {refused[one]}. Install the same "
                "version there and start the worker again"
            )
        elif self._failures >= MAX_DEATHS * max(1, len(workers)):
            why = (
                f"no worker sends anything ({self._why or 'each one died'}). Look at their "
                "logs, and whether pushctl of this version is installed there"
            )
        elif self._waits_for_workers():
            has = f"has {len(workers)} workers, and none takes anything" if workers else (
                "has no worker"
            )  # fmt: skip
            why = (
                f"the scheduler {self._scheduler.address.text} {has}. Start some: dask worker "
                f"{self._scheduler.address.text}, see docs/cluster.md"
            )
        if why is None or self._closed:
            return None
        self._closed = True
        self._coordinator.stop()
        return ConfigError(f"{why}; then go on with pushctl campaigns resume.")

    def _waits_for_workers(self) -> bool:
        waits = any(not self._coordinator.is_taken(token) for token in self._tickets)
        if not waits:
            self._taken = read_seconds()
        return waits and read_seconds() - self._taken > ALONE_SECONDS

    def _read_withheld(self) -> None:
        """Have the letters that the file names not begun."""
        file = self._postbox.withheld
        with suppress(FileNotFoundError):
            if file is not None and file.stat().st_size > self._withheld:
                text = file.read_text("ascii")
                self._withheld = len(text)
                named = frozenset(int(line) for line in text.split("\n")[:-1])
                self._coordinator.withhold(named)

    def hold(self, lanes: frozenset[LaneKey]) -> None:
        self._coordinator.hold(lanes)

    def close(self) -> None:
        super().close()
        self._coordinator.stop()

    def terminate(self) -> None:
        super().close()
        self._coordinator.cut()

    def __exit__(self, *_: object) -> None:
        self.close()
        self._coordinator.close()
        with suppress(Exception):  # the scheduler is lost: so is what it knew of us
            self._scheduler.close()
        self._leases.close()


def read_settings(config: Config) -> tuple[Address, Identity | None]:
    """Return where the scheduler is, and our certificates; raises ConfigError."""
    cluster = config.cluster
    address = parse(cluster.scheduler or "")
    if not isinstance(address, Address):
        raise ConfigError("cluster.scheduler is no address of a scheduler")
    if not address.encrypted:
        return address, None
    if not (cluster.ca and cluster.certificate and cluster.certificate_key):
        raise ConfigError(
            f"{address.text} needs certificates: set ca, certificate and certificate_key in "
            "[cluster] of pushctl.toml (docs/cluster.md says how to make them)."
        )
    return address, Identity(cluster.ca, cluster.certificate, cluster.certificate_key)


def check_ready(config: Config) -> None:
    """Raise ConfigError where the cluster can't be used as it is; it imports no Dask."""
    address, identity = read_settings(config)
    if identity is not None:
        make_server_context(identity)
    check(address)
