"""What the demo's visitors do on the web: subscribe, fill baskets, answer pushes."""

import http.client
import random
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import orjson

from pushctl.demo import people
from pushctl.demo.people import Person
from pushctl.errors import PushctlError
from pushctl.model import Json

Request = tuple[str, Json]  # a path and a body

THREADS = 8
TAG = "Abandoned basket 1"


@dataclass
class Tally:
    """What the visitors did with their messages; stats must count the same."""

    received: int = 0
    shown: int = 0
    clicked: int = 0
    bought: int = 0
    paid: int = 0  # cents, of those who bought
    unreadable: int = 0
    titles: dict[str, str] = field(default_factory=dict)  # language -> a title as decrypted


@dataclass
class ReceivedMessage:
    """One message that its browser decrypted, and the visitor's reaction."""

    reader: int  # the person's number
    delivery: int
    bought: bool  # before it came
    shown: bool = False
    clicked: bool = False


class ReceiverClient:
    """The visitors' HTTP client: one kept connection to the receiver for each thread."""

    def __init__(self, receiver: str, origin: str) -> None:
        self._address = urlsplit(receiver)
        self._origin = origin
        self._local = threading.local()

    def post(self, person: Person, path: str, body: Json, *, signed: bool = True) -> None:
        """Send one request as *person*'s browser; PushctlError when it isn't taken."""
        data = orjson.dumps(body)
        headers = {
            "Content-Type": "application/json",
            "Origin": self._origin,
            "User-Agent": person.user_agent,
            "Accept-Language": person.language,
        }
        if signed:
            headers["X-Pushctl-Signature"] = person.sign(path, data)
        connection = self._connection()
        connection.request("POST", path, data, headers)
        answer = connection.getresponse()
        text = answer.read(1024)
        if answer.status >= 300:
            raise PushctlError(
                f"the receiver answered {answer.status} to a visitor's {path}: "
                f"{text.decode(errors='replace')}"
            )

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._local, "connection"):
            host, port = self._address.hostname or "127.0.0.1", self._address.port or 80
            self._local.connection = http.client.HTTPConnection(host, port, timeout=30)
        connection: http.client.HTTPConnection = self._local.connection
        return connection


class Crowd:
    """All simulated visitors of the demo, reachable by endpoint."""

    def __init__(
        self, members: Sequence[Person], client: ReceiverClient, chance: random.Random
    ) -> None:
        self.members = list(members)
        self.tally = Tally()
        self.messages: list[ReceivedMessage] = []
        self._client = client
        self._chance = chance
        self._by_endpoint = {person.endpoint: person for person in members}
        self._lock = threading.Lock()

    @property
    def with_basket(self) -> int:
        return sum(person.basket is not None for person in self.members)

    def subscribe(self, application_server_key: str) -> Iterator[int]:
        """Register everybody; yield the number done so far."""

        def register(person: Person) -> None:
            path, body = person.subscribe(application_server_key)
            self._client.post(person, path, body, signed=False)

        yield from self._run_for_each(register, self.members)

    def fill_baskets(self) -> Iterator[int]:
        """Let those with a basket leave without paying; yield the number done so far."""

        def leave(person: Person) -> None:
            for path, body in person.abandon(TAG):
                self._client.post(person, path, body)

        yield from self._run_for_each(
            leave, [person for person in self.members if person.basket]
        )

    def add_newcomers(self, size: int, new_endpoint: Callable[[Person], str]) -> list[Person]:
        """Return *size* more visitors, not subscribed yet."""
        newcomers = people.make_people(size, self._chance, len(self.members))
        for person in newcomers:
            person.basket = None
            person.endpoint = new_endpoint(person)
            self._by_endpoint[person.endpoint] = person
        self.members += newcomers
        return newcomers

    def send_requests(self, requests: Sequence[tuple[Person, Sequence[Request]]]) -> None:
        """Send the requests of each person, in their order."""

        def send(entry: tuple[Person, Sequence[Request]]) -> None:
            person, requests = entry
            for path, body in requests:
                self._client.post(person, path, body, signed=path != "/v1/subscribe")

        with _pool() as pool:
            for _ in pool.map(send, requests):
                pass

    def receive(self, endpoint: str, body: bytes) -> bool:
        """
        Decrypt a push as the browser at *endpoint*, show it and perhaps react.

        Returns False when no simulated visitor has this endpoint.
        """
        person = self._by_endpoint.get(endpoint)
        if person is None:
            return False
        try:
            notification = person.decrypt(body)
        except Exception:
            # Whatever http_ece makes of bad bytes, here it means one thing.
            self._count("unreadable")
            return True
        self._count("received")
        token: str = notification["data"]["pushctl"]
        message = ReceivedMessage(person.number, int(token.partition(".")[0]), person.bought)
        with self._lock:
            self.tally.titles.setdefault(person.language, notification["title"])
            self.messages.append(message)
        self._react(person, token, message)
        return True

    def _react(self, person: Person, token: str, message: ReceivedMessage) -> None:
        with self._lock:
            shown, returns, buys, closes = (self._chance.random() for _ in range(4))
        if shown > people.SHOWN_RATE:
            return
        self._report(person, token, "shown")
        message.shown = True
        if returns < people.RETURN_RATE:
            self._report(person, token, "clicked")
            message.clicked = True
            if buys < people.BUY_RATE and person.basket and not person.bought:
                person.bought = True
                for path, body in person.buy(TAG):
                    self._client.post(person, path, body)
                self._count("bought")
                self._count("paid", round(person.price * 100))
        elif closes < people.CLOSE_RATE:
            self._report(person, token, "closed")

    def _report(self, person: Person, token: str, kind: str) -> None:
        path, body = people.make_report(token, kind)
        self._client.post(person, path, body, signed=False)
        if kind != "closed":
            self._count(kind)

    def _count(self, what: str, by: int = 1) -> None:
        with self._lock:
            setattr(self.tally, what, getattr(self.tally, what) + by)

    def _run_for_each(
        self, act: Callable[[Person], None], members: Iterable[Person]
    ) -> Iterator[int]:
        with _pool() as pool:
            for number, _ in enumerate(pool.map(act, members), start=1):
                yield number


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(THREADS)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
