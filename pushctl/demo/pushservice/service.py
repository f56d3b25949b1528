"""
The embedded push service as a whole: a thread with its own event loop and four ports.

On 127.0.0.1 only. It plays Mozilla's, Google's, Microsoft's and Apple's service on one
TLS port (by host name), autopush's WebSocket for a real Firefox, check-in and MCS for a
real Chromium, and a control port. For tests and the demo, never for production: who
can connect can register.
"""

import asyncio
import os
import queue
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pushctl.demo.pushservice import addresses, certificates, simulated
from pushctl.demo.pushservice.broker import Broker
from pushctl.demo.pushservice.chromium import Mcs
from pushctl.demo.pushservice.control import Control
from pushctl.demo.pushservice.exchange import Address, Message, Request
from pushctl.demo.pushservice.faults import FaultPicker, read
from pushctl.demo.pushservice.firefox import Acknowledgement, Firefox
from pushctl.demo.pushservice.handler import ScriptedHandler
from pushctl.demo.pushservice.routes import route
from pushctl.demo.pushservice.servers import LOOPBACK, Ports, Servers, Services
from pushctl.demo.pushservice.sink import Receipt, Sink
from pushctl.rules.tokens import decode

_PATIENCE = 15.0  # seconds for starting and stopping


class PushService:
    """
    ``with PushService(folder) as service:``; all methods from any thread.

    *folder* keeps the CA (``ca.pem``), the secret of the tokens, which makes endpoints
    outlive a restart, and with *log* the list of all bodies read (``sink.log``).
    *script* and *seed* are for faults.FaultPicker; *checks* off answers 201 to everything,
    for speed; *receipts* off keeps no list of what was read, so that an hour of messages
    fits into memory; *streams* is how many HTTP/2 streams a connection may have open,
    *clock* tells the seconds since 1970.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        ports: Ports | None = None,
        script: Sequence[Mapping[str, Any]] = (),
        seed: int = 0,
        checks: bool = True,
        log: bool = False,
        receipts: bool = True,
        streams: int = 100,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._temporary = None
        if folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="pushctl-push-")
            folder = Path(self._temporary.name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self.ports = ports or Ports()
        self.spki = ""  # of the certificate, for Chromium's switch; known once started
        self._secret = _secret(folder / "secret")
        self._simulated = simulated.Simulated()
        self._broker = Broker(self._secret, self._simulated, checks=checks, clock=clock)
        self._sink = Sink(folder / "sink.log" if log else None, keep=receipts)
        self._handler = ScriptedHandler(
            self._broker, self._sink, FaultPicker(read(script), seed)
        )
        self._firefox = Firefox(self._broker, self._endpoint)
        self._streams = streams
        self._loop = asyncio.new_event_loop()
        self._started: Future[Ports] = Future()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="pushservice", daemon=True)

    def start(self) -> Self:
        """Listen; raises OSError when a port is taken."""
        self._thread.start()
        self.ports = self._started.result(_PATIENCE)
        return self

    def stop(self) -> None:
        """Close all ports and connections."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(_PATIENCE)
        self._sink.close()
        if self._temporary:
            self._temporary.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def loopback_hosts(self) -> dict[str, str]:
        """The [push.loopback] hosts for pushctl.toml."""
        names = [name for name in certificates.NAMES if not name[0].isdigit()]
        return dict.fromkeys(names, f"{LOOPBACK}:{self.ports.push}")

    @property
    def websocket_url(self) -> str:
        return f"ws://{LOOPBACK}:{self.ports.websocket}/"

    @property
    def control_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.control}"

    @property
    def mcs_url(self) -> str:
        return f"https://{LOOPBACK}:{self.ports.mcs}"

    def subscribe(self, service: str, key: str) -> str:
        """
        Return an endpoint of a new simulated browser at *service*.

        *service* is mozilla, fcm, chromium, wns or apple, *key* the applicationServerKey
        in base64url. What is accepted for it comes out of deliveries().
        """
        if service not in addresses.PREFIXES:
            raise ValueError(f"no push service is called {service!r}")
        raw = decode(key)
        if len(raw) != 65:
            raise ValueError("the key has not the 65 bytes of an uncompressed point")
        device = simulated.PREFIX + secrets.token_hex(8)
        kind = "fcm" if service == "chromium" else service
        address = Address(kind, device, "1", addresses.key_hash(raw))
        return addresses.endpoint(address, self._secret, addresses.PREFIXES[service])

    def expire(self, endpoint: str) -> None:
        """Answer *endpoint* with 410 from now on, as when its browser is gone."""
        host, _, path = endpoint.removeprefix("https://").partition("/")
        _, token = route(Request("POST", host, "/" + path, {}, b""))
        address = addresses.unseal(token, self._secret)
        if address is None:
            raise ValueError("this endpoint is not one of this service's")
        self._loop.call_soon_threadsafe(self._broker.end, address)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Take messages and deliver none to browsers until the end of the block."""
        self._loop.call_soon_threadsafe(self._broker.hold)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._broker.let_go)

    def play(self, script: Sequence[Mapping[str, Any]], seed: int = 0) -> None:
        """Replace the script of faults; an empty one ends all trouble."""
        self._handler.picker = FaultPicker(read(script), seed)

    def receipts(self, after: int = 0) -> list[Receipt]:
        """Return every complete body that was read, without the first *after*."""
        return list(self._sink.receipts(after))

    def deliveries(self) -> "queue.SimpleQueue[Message]":
        """Return a queue of the messages to simulated browsers from now on."""
        return self._simulated.listen()

    def delivered(self, after: int = 0) -> list[Message]:
        """Return the messages to simulated browsers since the first call."""
        return self._simulated.recorded(after)

    def acknowledged(self) -> list[Acknowledgement]:
        """Return Firefox's acknowledgements: 100 is delivered, 101 not decrypted."""
        return list(self._firefox.acknowledged)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        authority = certificates.make()
        self.spki = authority.good.spki
        self.ca.write_bytes(authority.pem)
        control = Control(self, self._broker, self._token)
        services = Services(
            self._handler, control, self._firefox, Mcs(self._broker), self._streams
        )
        servers = Servers(services, authority, self.folder)
        try:
            self._started.set_result(await servers.open(self.ports))
            await self._stopping.wait()
        finally:
            await servers.close()

    def _endpoint(self, address: Address) -> str:
        return addresses.endpoint(address, self._secret, addresses.PREFIXES[address.service])

    def _token(self, address: Address) -> str:
        return addresses.seal(address, self._secret)


def _secret(file: Path) -> bytes:
    """Return the secret in *file*, made at first use."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_bytes()
    fresh = secrets.token_bytes(32)
    os.write(descriptor, fresh)
    os.close(descriptor)
    return fresh
