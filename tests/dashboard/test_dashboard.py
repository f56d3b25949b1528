"""The dashboard shows itself to one browser of this machine, and to nobody else."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from pushctl.dashboard.access import COOKIE
from pushctl.dashboard.server import Dashboard
from pushctl.rules.limits import MAX_DASHBOARD_CONNECTIONS

PAGE = "<p>earned: 12</p>"


@contextmanager
def serving(render: object = lambda: PAGE, seconds: float = 60) -> Iterator[Dashboard]:
    dashboard = Dashboard(render)  # type: ignore[arg-type]
    stop = threading.Event()
    thread = threading.Thread(target=dashboard.serve, args=(seconds, stop))
    thread.start()
    try:
        yield dashboard
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def dashboard() -> Iterator[Dashboard]:
    with serving() as made:
        yield made


class Answer:
    def __init__(self, found: http.client.HTTPResponse) -> None:
        self.status, self.body = found.status, found.read().decode()
        self.headers = dict(found.getheaders())


def find_port(dashboard: Dashboard) -> int:
    return int(dashboard.gate.address.split(":")[2].split("/")[0])


def ask(dashboard: Dashboard, target: str = "/", method: str = "GET", **headers: str) -> Answer:
    """Send a request; headers by their names with "_" for "-"."""
    with closing(http.client.HTTPConnection("127.0.0.1", find_port(dashboard))) as line:
        line.putrequest(method, target, skip_host="Host" in headers)
        for name, value in headers.items():
            line.putheader(name.replace("_", "-"), value)
        line.endheaders()
        return Answer(line.getresponse())


def enter(dashboard: Dashboard) -> str:
    """Open the address with the token; return the cookie."""
    answer = ask(dashboard, f"/?{dashboard.gate.address.partition('?')[2]}")
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    return answer.headers["Set-Cookie"].partition(";")[0]


def test_the_address_opens_the_page_for_one_browser(dashboard: Dashboard) -> None:
    address = dashboard.gate.address.partition("?")[2]
    answer = ask(dashboard, f"/?{address}")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and PAGE not in answer.body
    shown = ask(dashboard, Cookie=cookie.partition(";")[0])
    assert (shown.status, shown.body) == (200, PAGE)
    assert shown.headers["Cache-Control"] == "no-store"
    assert shown.headers["X-Frame-Options"] == "DENY"
    # What stays in the history of a browser, or in a list of processes, opens nothing more.
    assert ask(dashboard, f"/?{address}").status == 403
    assert "token" not in dashboard.gate.address


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/", {}),
        ("/?token=", {}),
        ("/?token=x", {}),
        ("/", {"Cookie": f"{COOKIE}=x"}),
        ("/", {"Cookie": f"{COOKIE}="}),
        ("/", {"Cookie": "\xff=;,"}),
    ],
)
def test_another_user_of_this_machine_gets_nothing(
    dashboard: Dashboard, target: str, headers: dict[str, str]
) -> None:
    answer = ask(dashboard, target, **headers)
    assert answer.status == 403 and PAGE not in answer.body


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "rebound.example"}, 421),
        ({"Host": "localhost:80"}, 421),
        ({"Host": "127.0.0.1"}, 421),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
    ],
)
def test_another_page_or_name_gets_nothing_even_with_the_cookie(
    dashboard: Dashboard, headers: dict[str, str], status: int
) -> None:
    cookie = enter(dashboard)
    answer = ask(dashboard, Cookie=cookie, **headers)
    assert answer.status == status and PAGE not in answer.body


def test_another_page_does_not_use_up_the_token(dashboard: Dashboard) -> None:
    address = dashboard.gate.address.partition("?")[2]
    ask(dashboard, f"/?{address}", Sec_Fetch_Site="cross-site")
    ask(dashboard, f"/?{address}", Host="rebound.example")
    assert ask(dashboard, f"/?{address}").status == 303


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_get_alone_is_answered(dashboard: Dashboard, method: str) -> None:
    cookie = enter(dashboard)
    answer = ask(dashboard, method=method, Cookie=cookie)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET")
    assert PAGE not in answer.body


def test_a_header_that_comes_twice_is_refused(dashboard: Dashboard) -> None:
    cookie = enter(dashboard)
    with socket.create_connection(("127.0.0.1", find_port(dashboard))) as line:
        host = f"127.0.0.1:{find_port(dashboard)}"
        text = f"GET / HTTP/1.1\r\nHost: {host}\r\nHost: x\r\nCookie: {cookie}\r\n\r\n"
        line.sendall(text.encode())
        line.settimeout(5)
        assert b" 400 " in line.recv(4096)


def test_a_slow_connection_holds_nobody(dashboard: Dashboard) -> None:
    cookie = enter(dashboard)
    slow = [
        socket.create_connection(("127.0.0.1", find_port(dashboard)))
        for _ in range(MAX_DASHBOARD_CONNECTIONS // 2)
    ]
    for line in slow:
        line.sendall(b"GET / HTTP/1.1\r\nHost:")
    assert ask(dashboard, Cookie=cookie).status == 200
    for line in slow:
        line.close()


def test_a_page_that_cannot_be_made_says_why_and_the_next_is_tried() -> None:
    tried: list[int] = []

    def render() -> str:
        tried.append(1)
        if len(tried) == 1:
            raise ValueError("the database is held")
        return PAGE

    with serving(render) as dashboard:
        cookie = enter(dashboard)
        failed = ask(dashboard, Cookie=cookie)
        assert failed.status == 500 and "the database is held" in failed.body
        assert ask(dashboard, Cookie=cookie).body == PAGE


def test_it_listens_on_this_machine_alone_and_ends(dashboard: Dashboard) -> None:
    assert dashboard._server.server_address[0] == "127.0.0.1"
    with serving(seconds=0.1) as short:
        port = find_port(short)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                break
            time.sleep(0.05)
        else:
            pytest.fail("it goes on listening after its time")
