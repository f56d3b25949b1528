"""
The broker: finds the service of a request, judges it, delivers or keeps its message.

It keeps in memory which subscriptions have ended and what waits for absent browsers;
tokens hold the rest (addresses). Only the service's event loop calls it.
"""

import secrets
import time
from collections.abc import Callable, Iterator

from pushctl.demo.pushservice import apple, fcm, mozilla, wns
from pushctl.demo.pushservice.addresses import unseal
from pushctl.demo.pushservice.case import Case
from pushctl.demo.pushservice.exchange import Address, Answer, Message, Request, Verdict
from pushctl.demo.pushservice.routes import route
from pushctl.demo.pushservice.simulated import PREFIX, Simulated

Delivery = Callable[[Message], bool]  # False: the browser is not there now


class Broker:
    """Judges requests; delivers their messages or keeps them."""

    def __init__(
        self,
        secret: bytes,
        simulated: Simulated,
        *,
        checks: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._secret = secret
        self._simulated = simulated
        self._checks = checks
        self._clock = clock
        self._gone: set[Address] = set()
        self._ended: set[tuple[str, str]] = set()  # device and channel
        self._waiting: dict[str, dict[str, Message]] = {}  # by device, then by message id
        self._browsers: dict[str, Delivery] = {}  # by device
        self._held = False

    def take(self, request: Request) -> Answer:
        """Judge *request*, deliver or keep its message, return the answer."""
        verdict = self._judge(request)
        if verdict.message:
            self._forward(verdict.message)
        if verdict.recalled is not None and not self._recall(verdict.recalled):
            return mozilla.error(404, 102, "no such message")
        return verdict.answer

    def connect(self, device: str, deliver: Delivery) -> None:
        """Deliver to *device* from now on, waiting messages first."""
        self._browsers[device] = deliver
        for message in list(self._list_living(device)):
            self._forward(message)

    def disconnect(self, device: str, deliver: Delivery) -> None:
        # A browser that reconnects may be there again before its old connection ends.
        if self._browsers.get(device) is deliver:
            del self._browsers[device]

    def done(self, device: str, message_id: str) -> None:
        """Remove a message that the browser acknowledged."""
        self._waiting.get(device, {}).pop(message_id, None)

    def hold(self) -> None:
        """Keep messages for browsers in the air until ``let_go``; they need a TTL."""
        self._held = True

    def let_go(self) -> None:
        """Deliver what was held, and what comes."""
        self._held = False
        for device, deliver in list(self._browsers.items()):
            self.connect(device, deliver)

    def end(self, address: Address) -> None:
        """End a subscription: its endpoint is answered with 410 from now on."""
        self._gone.add(address)

    def end_channel(self, device: str, channel: str) -> None:
        """End the subscription *channel* of *device*, whatever its key was."""
        self._ended.add((device, channel))

    def _judge(self, request: Request) -> Verdict:
        service, token = route(request)
        address = unseal(token, self._secret)
        message_id = secrets.token_urlsafe(12)
        if not self._checks:
            place = ("location", f"{request.origin}/m/{message_id}")
            return Verdict(Answer(201, (place, ("ttl", request.headers.get("ttl", "0")))))
        if address and address.service != service:
            address = None
        gone = address is not None and self._is_gone(address)
        case = Case(request, address, gone, self._clock(), message_id)
        match service:
            case "mozilla":
                return mozilla.judge(case)
            case "fcm":
                return fcm.judge(case)
            case "wns":
                return wns.judge(case)
            case "apple":
                return apple.judge(case)
        return Verdict(Answer(404))

    def _is_gone(self, address: Address) -> bool:
        return address in self._gone or (address.device, address.channel) in self._ended

    def _forward(self, message: Message) -> None:
        device = message.address.device
        if device.startswith(PREFIX):
            self._simulated.deliver(message)
            return
        deliver = self._browsers.get(device)
        if message.ttl > 0:
            self._keep(message)
        if deliver and not self._held:
            deliver(message)

    def _keep(self, message: Message) -> None:
        # RFC 8030, section 5.4: a Topic replaces messages that were not delivered yet.
        waiting = self._waiting.setdefault(message.address.device, {})
        for other in list(waiting.values()):
            if message.topic and (other.address, other.topic) == (
                message.address,
                message.topic,
            ):
                del waiting[other.id]
        waiting[message.id] = message

    def _list_living(self, device: str) -> Iterator[Message]:
        now = self._clock()
        for message in self._waiting.get(device, {}).values():
            if message.expires > now and not self._is_gone(message.address):
                yield message

    def _recall(self, message_id: str) -> bool:
        kept = (waiting.pop(message_id, None) for waiting in self._waiting.values())
        return any(message is not None for message in kept)
