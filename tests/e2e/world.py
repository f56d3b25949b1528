"""
A shop, a real browser, a push service and a pushctl project, on this machine alone.

Everything that a deployment has: the shop's pages on an origin of their own, the
receiver as a process, every pushctl command as a process. The browser and the push
service are those of the whole run (``machine``).
"""

import json
import shutil
import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pushctl.demo.browsers import processes
from tests.e2e.machine import Machine
from tests.support import program
from tests.support.running import Running

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>The shop</title>
<link rel="icon" href="data:,">
<h1>The shop</h1>
<button id="subscribe">Tell me</button>
<script src="/pushctl.js"></script>
<script>
  window.options = {};
  document.querySelector("#subscribe").onclick = async (event) => {
    try {
      window.told = { trusted: event.isTrusted, answer: await pushctl.subscribe(options) };
    } catch (error) {
      window.told = { error: String(error) };
    }
  };
</script></html>"""
LANDING = """<!doctype html><meta charset="utf-8"><title>Here you are</title>
<link rel="icon" href="data:,"><h1>Here you are</h1>"""


class Shop:
    """The shop's web server: a page, what `pushctl init` put into sw/, and landing pages."""

    def __init__(self) -> None:
        self.scripts: Path | None = None  # sw/ of the project
        self.posted: list[tuple[str, bytes]] = []  # path and body of what pages posted to it
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                kind, body = shop.page(self.path)
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", f"{kind}; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                shop.posted.append((self.path, self.rfile.read(length)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.origin = f"http://127.0.0.1:{self._server.server_port}"

    def page(self, path: str) -> tuple[str, bytes]:
        name = path.partition("?")[0]
        if name == "/":
            return "text/html", PAGE.encode()
        if name.endswith((".js", ".mjs")):
            file = self.scripts / name[1:] if self.scripts else None
            return "text/javascript", file.read_bytes() if file and file.exists() else b""
        return "text/html", LANDING.encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class World:
    """``with World(machine, folder) as world:``"""

    server: type[Any] = Shop
    silent = "/landing"  # a page of the shop without pushctl
    granted = True  # the browser was asked for notifications before, and a person said yes

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.kind = machine.kind
        self.browser, self.desktop, self.push = machine.browser, machine.desktop, machine.push
        self.folder = folder / "project"
        self.known = ""  # the id of our browser once pushctl knows it
        self._machine = machine
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        self._machine.clear()
        self._before = len(self.desktop.history)
        with ExitStack() as stack:
            self._open(stack)
            self._exit = stack.pop_all()
        if self.granted:
            self.browser.open(self.shop.origin + self.silent)
            self.browser.grant()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exit.close()

    def pushctl(self, *words: str, code: int = 0, now: str | None = None) -> str:
        """Run a command in the project, as if it were *now*; return its standard output."""
        done = program.pushctl(*words, cwd=self.folder, **({"PUSHCTL_NOW": now} if now else {}))
        said = f"pushctl {' '.join(words)} ended with {done.code}:\n{done.err}"
        assert done.code == code, said
        return done.out

    def rows(self, *words: str) -> Any:
        """Return what a command says as JSON."""
        return json.loads(self.pushctl(*words, "--json"))

    def template(self, name: str, texts: dict[str, str], message: str = "") -> None:
        """Write a template: *texts* are language -> TOML, *message* is message.toml."""
        folder = self.folder / "templates" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "message.toml").write_text(message)
        for language, text in texts.items():
            (folder / f"{language}.toml").write_text(text)

    def visit(self) -> None:
        self.browser.open(self.shop.origin + "/")
        processes.wait_until(lambda: self.js("Boolean(window.pushctl?.ready)"), "pushctl.js")
        self.js("pushctl.ready")

    def subscribe(self, **options: Any) -> None:
        """Click the shop's button, and wait until the receiver knows the browser."""
        self.js(f"(window.told = null, window.options = {json.dumps(options)}, 0)")
        self.browser.click("#subscribe")
        told = processes.wait_until(lambda: self.js("window.told"), "answer to the click", 30)
        assert told == {"trusted": True, "answer": "granted"}

    def js(self, expression: str) -> Any:
        return self.browser.evaluate(expression)

    def worker(self, expression: str) -> Any:
        """Return the value of *expression* where ``registration`` is the worker's."""
        return self.js(
            "navigator.serviceWorker.getRegistration(pushctl.scope)"
            f".then((registration) => {expression})"
        )

    def titles(self) -> list[str]:
        """Return the titles of all notifications that this world has shown, in order."""
        return [one.title for one in self.desktop.history[self._before :]]

    def _open(self, stack: ExitStack) -> None:
        self.shop: Any = self.server()
        stack.callback(self.shop.close)
        self._make_project()
        stack.callback(self._receive().end)
        self.shop.scripts = self.folder / "sw"

    def _make_project(self) -> None:
        port = free_port()
        self._listen = f"127.0.0.1:{port}"
        self.folder.mkdir()
        self.pushctl(
            *("init", "--origin", self.shop.origin, "--contact", "push@shop.example"),
            *("--languages", "en,ar", "--receiver-url", f"http://{self._listen}"),
        )
        hosts = json.dumps(self.push.loopback_hosts).replace('": "', '" = "')
        with (self.folder / "pushctl.toml").open("a") as config:
            config.write(f"\n[push.loopback]\nhosts = {hosts}\nca = '{self.push.ca}'\n")
        shutil.rmtree(self.folder / "templates")
        (self.folder / "templates").mkdir()

    def _receive(self) -> Running:
        log = self.folder / "receive.log"
        with log.open("ab") as output:
            process = Running(
                ["receive", "--listen", self._listen],
                program.environment(),
                cwd=self.folder,
                stdout=output,
                stderr=output,
            )

        def listening() -> bool:
            assert process.poll() is None, log.read_text()
            return answers(self._listen)

        processes.wait_until(listening, "receiver")
        return process


def answers(address: str) -> bool:
    """Say whether somebody listens on *address*."""
    import socket

    host, port = address.split(":")
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, int(port))) == 0


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
