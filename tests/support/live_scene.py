"""A shop, its receiver and a push service on the public web, all on loopback behind TLS."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

from pushctl.demo.shop import Shop
from tests.support import project, wire
from tests.support.receiving import free_port, stop, wait_for_port
from tests.support.running import PIPE, Running
from tests.support.wire import Answer, Request

SHOP, RECEIVER, SERVICE = "shop.test", "push.shop.test", "service.test"
Rule = Callable[[Request], Answer | str]


@dataclass
class Scene:
    """*rules* answer a path in the shop's place, and SERVICE in the push service's."""

    folder: Path
    wire: wire.Wire
    rules: dict[str, Rule] = field(default_factory=dict)

    def set(self, path: str, kind: str, body: bytes, status: int = 200, **headers: str) -> None:
        """Let the shop answer *path* so; "_" in the name of a header is a hyphen."""
        heads = {"content-type": kind, **{k.replace("_", "-"): v for k, v in headers.items()}}
        self.rules[path] = lambda _: Answer(status, tuple(heads.items()), body)


@contextmanager
def play(folder: Path, *, receiver: bool = True) -> Iterator[Scene]:
    """Run all three within the block; the project is in *folder*/shop."""
    shop, rules = Shop(f"https://{RECEIVER}"), dict[str, Rule]()

    def behave(request: Request) -> Answer | str:
        path = request.path.partition("?")[0]
        if request.headers.get(":authority", "").startswith(SERVICE):
            path = SERVICE
        if path in rules:
            return rules[path](request)
        answer = shop.answer(request.path)
        heads = {"Content-Type": answer.type, "Date": formatdate(usegmt=True), **answer.headers}
        lower = tuple((name.lower(), value) for name, value in heads.items())
        return Answer(answer.status, lower, answer.body)

    with wire.serve(folder, behave, names=(SHOP, RECEIVER, SERVICE)) as server:
        port = free_port()
        made = make_project(
            folder / "shop",
            server.ca,
            {SHOP: server.port, SERVICE: server.port, RECEIVER: port},
            f'listen = "127.0.0.1:{port}"\ncertificate = "{server.ca}"\n'
            f'certificate_key = "{folder / "key.pem"}"',
        )
        scene = Scene(made, server, rules)
        if not receiver:
            yield scene
            return
        process = Running(["receive"], os.environ, cwd=made, stderr=PIPE)
        try:
            wait_for_port(process, port)
            yield scene
        finally:
            stop(process)


def make_project(folder: Path, ca: Path, hosts: Mapping[str, int], receiver: str = "") -> Path:
    """Make the scene's project; *hosts* are its names with their ports on loopback."""
    project.make(folder, f"--origin=https://{SHOP}")
    file = folder / "pushctl.toml"
    before = file.read_text()
    text = before.replace('url = ""', f'url = "https://{RECEIVER}"\n{receiver}')
    assert text != before
    lines = "\n".join(f'"{name}" = "127.0.0.1:{port}"' for name, port in hosts.items())
    loopback = f'[push.loopback]\nca = "{ca}"\n[push.loopback.hosts]\n{lines}\n'
    head, push, rest = text.partition("[push]\n")
    assert push
    allowed = f'allowed_hosts = ["{SERVICE}"]\n'
    file.write_text(f"{head}{push}{allowed}{rest}\n{loopback}")
    return folder
