"""A project with a receiver that takes a shop's webhooks, all by one clock."""

import hashlib
import hmac
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pushctl.demo.pushservice import PushService
from pushctl.rules import tokens
from tests.support import (
    ROOT,
    SECOND,
    auth,
    clocked,
    hooks,
    p256dh,
    presets,
    program,
    project,
    receiving,
    sending,
    twocheckout,
)
from tests.support.posting import sign_alias
from tests.support.shop_stories import Buyer, Device, Telling

# Strangers' shares and rates are for more than one sender.
UNBOUNDED = {
    "unproved": "inbox_mb_per_address = 0\ninbox_mb = 0",
    "api": "requests_per_minute = 0\nevents_per_second = 0",
    "receiver": "rate_per_source = 0",
}
SOURCES = """
[sources.checkout2]
kind = "2checkout"
site = "shop"
[sources.lamps]
kind = "shopify"
site = "shop"
shop = "lamps.myshopify.com"
alias = "customer_id"
[sources.woo]
kind = "woocommerce"
site = "shop"
alias = "customer_id"
"""
PATHS = {
    "2checkout": "/hooks/checkout2",
    "shopify": "/hooks/lamps",
    "woocommerce": "/hooks/woo",
}


class Scene:
    """A project, its receiver and its push service, all by one clock."""

    def __init__(self, folder: Path, service: PushService, clock: clocked.Clock) -> None:
        self.folder, self.service, self.clock = folder, service, clock
        project.make(folder)
        self.key = json.loads(self.run("keys", "show", "--json"))[0]["public"]
        self._configure(folder / "pushctl.toml")
        baskets = ("abandoned_basket_1", "abandoned_basket_2")
        project.add(folder, presets.text(*baskets))
        sending.lead_to(folder, service)
        for name in ("lamps", "woo"):
            hooks.give_secret(folder, name)
        hooks.give_secret(folder, "checkout2", twocheckout.KEY.decode())
        self.api_key = self.run("apikeys", "create", "shop").split()[-1]
        self.alias_secret = (folder / "keys/alias_secret").read_bytes().strip()
        self.email_secret = (folder / "keys/email_secret").read_bytes().strip()
        self.endpoints: dict[Device, str] = {}
        self._local = threading.local()

    def _configure(self, file: Path) -> None:
        text = file.read_text("utf-8")
        for table, lines in UNBOUNDED.items():
            text = text.replace(f"\n[{table}]\n", f"\n[{table}]\n{lines}\n", 1)
        file.write_text(text + SOURCES, "utf-8")

    def run(self, *words: str, good: Iterable[int] = (0,)) -> str:
        done = program.pushctl(*words, cwd=self.folder, TEST_CLOCK=str(self.clock.file))
        assert done.code in good, (words, done.code, done.err)
        return done.out

    @contextmanager
    def receiving(self) -> Iterator[None]:
        self.port = receiving.free_port()
        listen = ("receive", "--listen", f"127.0.0.1:{self.port}")
        with (self.folder.parent / "receiver.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.clocked", str(self.clock.file),
                 "--project", str(self.folder), *listen],
                cwd=ROOT, env=program.environment(), stdout=log, stderr=log,
            )  # fmt: skip
        try:
            _wait_for(self.port)
            yield
        finally:
            process.terminate()
            assert process.wait(20) == 0

    def tell(self, telling: Telling) -> float:
        """Send a request as its sender does; return when the receiver had answered."""
        path, raw, heads = self._build(telling)
        for tries in (1, 0):
            connection = self._connect()
            try:
                connection.request("POST", path, raw, heads)
                answer = connection.getresponse()
                text = answer.read()
                break
            except (http.client.HTTPException, OSError):
                del self._local.connection
                if not tries:
                    raise
        assert answer.status in (200, 202, 204), (telling.kind, answer.status, text)
        return self.clock.now()

    def _connect(self) -> http.client.HTTPConnection:
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPConnection(
                "127.0.0.1", self.port, timeout=60
            )
        found: http.client.HTTPConnection = self._local.connection
        return found

    def _build(self, one: Telling) -> tuple[str, bytes, Mapping[str, str]]:
        if one.device is not None:
            return self._build_page(one, one.device)
        if one.kind == "api":
            heads = {
                "Authorization": f"Bearer {self.api_key}",
                "Content-Type": "application/json",
            }
            assert one.buyer.order
            ((name, value),) = one.buyer.order.clues.items()
            person = {"email_hash": self.hash(value)} if name == "email" else {name: value}
            raw = json.dumps({"items": [person | one.body]}).encode()
            return "/v1/server/events", raw, heads
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return PATHS[one.kind], one.body, one.heads or form

    def _build_page(self, one: Telling, device: Device) -> tuple[str, bytes, Mapping[str, str]]:
        endpoint, number = self.endpoints[device], device.number
        heads = {"Origin": receiving.ORIGIN, "Content-Type": "application/json"}
        if one.kind == "/v1/subscribe":
            keys = {
                "p256dh": tokens.encode(p256dh(number % 200)),
                "auth": tokens.encode(auth(number)),
            }
            about = {
                "language": "en",
                "timezone": "Europe/Berlin",
                "page": "/",
                "key": self.key,
            }
            body = {"subscription": {"endpoint": endpoint, "keys": keys}, **about}
            return one.kind, json.dumps(body).encode(), heads
        body = {"endpoint": endpoint, **one.body}
        if one.kind == "/v1/identify":
            body |= self._identify(one.buyer)
        raw = json.dumps(body).encode()
        signed = tokens.sign_request(auth(number), one.kind, int(self.clock.now()), raw)
        return one.kind, raw, heads | {"X-Pushctl-Signature": signed}

    def _identify(self, buyer: Buyer) -> dict[str, str]:
        told = {}
        if buyer.alias is not None:
            told["alias"] = buyer.alias
            told["signature"] = sign_alias(buyer.alias, self.alias_secret)
        if buyer.hashed:
            told["email_hash"] = self.hash(buyer.email)
        return told

    def hash(self, address: str) -> str:
        return hmac.new(self.email_secret, address.lower().encode(), hashlib.sha256).hexdigest()

    def report(self, token: str) -> None:
        body = {"message": token, "kind": "shown", "at": int(self.clock.now() * SECOND)}
        connection = self._connect()
        heads = {"Origin": receiving.ORIGIN, "Content-Type": "application/json"}
        connection.request(
            "POST", "/v1/reports", json.dumps({**body, "id": token[-22:]}), heads
        )
        answer = connection.getresponse()
        assert answer.read() == b"" and answer.status == 204, answer.status


def _wait_for(port: int) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            if receiving.get(port, "/healthz").status == 200:
                return
        except OSError:
            time.sleep(0.02)
    raise AssertionError("the receiver did not answer within 20 s")
