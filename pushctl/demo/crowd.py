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
    """What the visitors did with the messages they got: the truth to compare stats with."""

    received: int = 0
    shown: int = 0
    clicked: int = 0
    bought: int = 0
    unreadable: int = 0
    titles: dict[str, str] = field(default_factory=dict)  # language -> a title as decrypted


@dataclass
class Letter:
    """One message as the browser that it was for decrypted it, and what came of it."""

    reader: int  # the person's number
    delivery: int
    bought: bool  # before it came
    shown: bool = False
    clicked: bool = False


class Web:
    """The visitors' way to the receiver: one kept connection for each thread."""

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

    def __init__(self, members: Sequence[Person], web: Web, chance: random.Random) -> None:
        self.members = list(members)
        self.tally = Tally()
        self.letters: list[Letter] = []
        self._web = web
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
            self._web.post(person, path, body, signed=False)

        yield from self._all(register, self.members)

    def fill_baskets(self) -> Iterator[int]:
        """Let those with something in the basket leave without paying."""

        def leave(person: Person) -> None:
            for path, body in person.abandon(TAG):
                self._web.post(person, path, body)

        yield from self._all(leave, [person for person in self.members if person.basket])

    def join(self, size: int, new_endpoint: Callable[[Person], str]) -> list[Person]:
        """Let *size* more visitors come to the shop, who have not subscribed yet."""
        newcomers = people.crowd(size, self._chance, len(self.members))
        for person in newcomers:
            person.basket = None
            person.endpoint = new_endpoint(person)
            self._by_endpoint[person.endpoint] = person
        self.members += newcomers
        return newcomers

    def act(self, doings: Sequence[tuple[Person, Sequence[Request]]]) -> None:
        """Let people's browsers send *doings*, each person's in this order."""

        def send(doing: tuple[Person, Sequence[Request]]) -> None:
            person, requests = doing
            for path, body in requests:
                self._web.post(person, path, body, signed=path != "/v1/subscribe")

        with _pool() as pool:
            for _ in pool.map(send, doings):
                pass

    def receive(self, endpoint: str, body: bytes) -> bool:
        """
        Let the browser at *endpoint* decrypt a push, show it and perhaps act.

        Returns False when the endpoint is none of ours (a real browser's).
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
        letter = Letter(person.number, int(token.partition(".")[0]), person.bought)
        with self._lock:
            self.tally.titles.setdefault(person.language, notification["title"])
            self.letters.append(letter)
        self._react(person, token, letter)
        return True

    def _react(self, person: Person, token: str, letter: Letter) -> None:
        with self._lock:
            shown, returns, buys, closes = (self._chance.random() for _ in range(4))
        if shown > people.SHOWN_RATE:
            return
        self._report(person, token, "shown")
        letter.shown = True
        if returns < people.RETURN_RATE:
            self._report(person, token, "clicked")
            letter.clicked = True
            if buys < people.BUY_RATE and person.basket and not person.bought:
                person.bought = True
                for path, body in person.buy(TAG):
                    self._web.post(person, path, body)
                self._count("bought")
        elif closes < people.CLOSE_RATE:
            self._report(person, token, "closed")

    def _report(self, person: Person, token: str, kind: str) -> None:
        path, body = people.report(token, kind)
        self._web.post(person, path, body, signed=False)
        if kind != "closed":
            self._count(kind)

    def _count(self, what: str) -> None:
        with self._lock:
            setattr(self.tally, what, getattr(self.tally, what) + 1)

    def _all(self, act: Callable[[Person], None], members: Iterable[Person]) -> Iterator[int]:
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
