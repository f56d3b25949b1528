"""The embedded push service speaks the browsers' protocols, and runs as a process."""

import json
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection
from typing import Any

import pycurl
import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from pushctl.demo.pushservice import Ports, PushService, protobuf
from pushctl.rules.tokens import decode
from tests.support import pushservice as client
from tests.support.pushservice import Application, encrypt, post

WORD = b"{}"


@pytest.fixture(scope="module")
def service() -> Iterator[PushService]:
    with PushService() as running:
        yield running


@pytest.fixture(scope="module")
def shop() -> Application:
    return Application()


@contextmanager
def hello(service: PushService, uaid: str = "") -> Iterator[tuple[ClientConnection, str]]:
    protocol = [Subprotocol("push-notification")]
    with connect(service.websocket_url, subprotocols=protocol, compression=None) as socket:
        told = ask(socket, messageType="hello", use_webpush=True, uaid=uaid, broadcasts={})
        assert (told["status"], told["use_webpush"]) == (200, True)
        yield socket, told["uaid"]


def ask(socket: ClientConnection, **said: Any) -> dict[str, Any]:
    socket.send(json.dumps(said))
    return hear(socket)


def hear(socket: ClientConnection, patience: float = 2) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(socket.recv(timeout=patience))
    return told


def register(socket: ClientConnection, key: str) -> tuple[str, str]:
    channel = str(uuid.uuid4())
    padded = key + "=" * (-len(key) % 4)
    told = ask(socket, messageType="register", channelID=channel, key=padded)
    assert (told["status"], told["channelID"]) == (200, channel)
    return channel, told["pushEndpoint"]


def test_firefox_registers_receives_and_acknowledges(
    service: PushService, shop: Application
) -> None:
    with hello(service) as (socket, _):
        channel, endpoint = register(socket, shop.key)
        assert endpoint.startswith("https://updates.push.services.mozilla.com/wpush/v2/")
        post(service, endpoint, shop.headers(endpoint), encrypt(b"salut"))
        told = hear(socket)
        assert (told["messageType"], told["channelID"]) == ("notification", channel)
        assert client.decrypt(decode(told["data"])) == b"salut"
        assert told["headers"] == {"encoding": "aes128gcm"}
        update = {"channelID": channel, "version": told["version"], "code": 101}
        socket.send(json.dumps({"messageType": "ack", "updates": [update]}))
        assert ask(socket) == {}  # a ping, answered after the ack was read
        assert service.acknowledged()[-1].code == 101


def test_firefox_unsubscribes_and_the_endpoint_is_gone(
    service: PushService, shop: Application
) -> None:
    with hello(service) as (socket, _):
        channel, endpoint = register(socket, shop.key)
        told = ask(socket, messageType="unregister", channelID=channel, code=200)
        assert told["status"] == 200
    assert post(service, endpoint, shop.headers(endpoint), encrypt(WORD)).status == 410


def test_messages_wait_for_an_absent_firefox(service: PushService, shop: Application) -> None:
    with hello(service) as (socket, uaid):
        _, endpoint = register(socket, shop.key)
    for text, more in (
        (b"old", {"Topic": "basket"}),
        (b"new", {"Topic": "basket"}),
        (b"lost", {"TTL": "0"}),
        (b"other", {}),
    ):
        reply = post(service, endpoint, shop.headers(endpoint, **more), encrypt(text))
        assert reply.status == 201
    recalled = post(service, endpoint, shop.headers(endpoint), encrypt(b"recalled"))
    gone = post(service, recalled.headers["location"], {}, method="DELETE")
    assert gone.status == 204
    with hello(service, uaid) as (again, same):
        assert same == uaid
        texts = [client.decrypt(decode(hear(again)["data"])) for _ in range(2)]
        assert texts == [b"new", b"other"]
        assert ask(again) == {}  # nothing else came before this


def test_endpoints_outlive_a_restart(tmp_path: Path, shop: Application) -> None:
    with PushService(tmp_path) as first:
        ports = Ports(websocket=first.ports.websocket)
        with hello(first) as (socket, uaid):
            _, endpoint = register(socket, shop.key)
    with PushService(tmp_path, ports=ports) as second:
        assert second.ports.websocket == ports.websocket
        with hello(second, uaid) as (socket, same):
            assert same == uaid
            assert post(second, endpoint, shop.headers(endpoint), encrypt(WORD)).status == 201
            assert hear(socket)["messageType"] == "notification"
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_chromium_checks_in_registers_and_receives(
    service: PushService, shop: Application
) -> None:
    told = protobuf.decode(plain(service, "/checkin", b""))
    device, token = told[7], told[8]
    again = protobuf.encode([(2, int(device)), (13, protobuf.Fixed64(int(token)))])
    assert protobuf.decode(plain(service, "/checkin", again))[7] == device
    form = {
        "app": "org.chromium.linux",
        "X-subtype": "wp:http://shop.example/#1-V2",
        "device": str(device),
        "sender": shop.key,
    }
    answer = plain(service, "/register3", urllib.parse.urlencode(form).encode()).decode()
    endpoint = "https://jmt17.google.com/fcm/send/" + answer.removeprefix("token=")
    context = ssl.create_default_context(cafile=str(service.ca))
    raw = create_connection(("127.0.0.1", service.ports.mcs), timeout=3)
    with context.wrap_socket(raw, server_hostname="127.0.0.1") as mcs:
        stream = mcs.makefile("rb")
        login = protobuf.encode([(1, "chrome"), (2, "mcs.android.com"), (3, str(device))])
        mcs.sendall(b"\x29\x02" + protobuf.varint(len(login)) + login)
        assert stream.read(1) == b"\x29"
        assert stanza(stream)[0] == 3
        assert post(service, endpoint, shop.headers(endpoint), encrypt(b"hi")).status == 201
        tag, fields = stanza(stream)
        assert tag == 8
        assert fields[3] == shop.key.encode()
        raw_data = fields[21]
        assert isinstance(raw_data, bytes)
        assert client.decrypt(raw_data) == b"hi"
    gone = urllib.parse.urlencode({**form, "delete": "true", "sender": "*"}).encode()
    plain(service, "/register3", gone)
    assert post(service, endpoint, shop.headers(endpoint), encrypt(WORD)).status == 410


def plain(service: PushService, path: str, body: bytes) -> bytes:
    with urllib.request.urlopen(service.control_url + path, body, timeout=3) as answer:
        data: bytes = answer.read()
        return data


def stanza(stream: Any) -> tuple[int, dict[int, int | bytes]]:
    tag = stream.read(1)[0]
    size = stream.read(1)
    while size[-1] & 0x80:
        size += stream.read(1)
    return tag, protobuf.decode(stream.read(protobuf.read_varint(size, 0)[0]))


def test_as_a_process_it_is_led_over_its_control_port(
    tmp_path: Path, shop: Application
) -> None:
    script = client.service_script(tmp_path / "script.json", [{"first": 1, "do": "silence"}])
    command = [sys.executable, "-m", "pushctl.demo.pushservice", "--folder", str(tmp_path)]
    process = subprocess.Popen(
        [*command, "--log", "--script", str(script)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        url = f"http://127.0.0.1:{told['control']}/control"
        endpoint = control(f"{url}/subscribe", {"service": "fcm", "key": shop.key})["endpoint"]
        elsewhere = PushService.__new__(PushService)
        elsewhere.ports, elsewhere.folder = Ports(push=told["push"]), tmp_path
        sent = (elsewhere, endpoint, shop.headers(endpoint, Topic="basket"), encrypt(WORD))
        assert post(*sent, patience=0.5).trouble == pycurl.E_OPERATION_TIMEDOUT
        assert control(f"{url}/deliveries") == {"deliveries": []}
        assert post(*sent).status == 201
        assert [one["topic"] for one in control(f"{url}/receipts")["receipts"]] == [
            "basket"
        ] * 2
        assert len(control(f"{url}/deliveries")["deliveries"]) == 1
        lines = (tmp_path / "sink.log").read_text().splitlines()
        path = endpoint.removeprefix("https://fcm.googleapis.com")
        assert [line.split("\t")[1:] for line in lines] == [
            ["fcm.googleapis.com", path, "basket", "silence"],
            ["fcm.googleapis.com", path, "basket", "pass"],
        ]
        control(f"{url}/expire", {"endpoint": endpoint})
        assert post(*sent).status == 410
    finally:
        process.terminate()
        assert process.wait(5) == 0


def control(url: str, said: Any = None) -> Any:
    body = None if said is None else json.dumps(said).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=3) as answer:
        return json.load(answer)


def test_a_page_in_a_browser_cannot_lead_it(service: PushService) -> None:
    url = f"{service.control_url}/control/script"
    request = urllib.request.Request(url, b'{"script": []}', {"content-type": "text/plain"})
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(request, timeout=3)
