"""README's way from nothing to the first notification, typed as it stands, in both browsers."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pushctl.demo import browsers
from pushctl.demo.browsers import processes
from pushctl.demo.pushservice import PushService
from tests.e2e.machine import Machine
from tests.e2e.world import answers, free_port
from tests.support import ROOT, program

pytestmark = pytest.mark.browser

SITE, RECEIVER = "localhost:8000", "localhost:8750"


def steps() -> dict[int, str]:
    """README's numbered steps: what is to be typed, without the prompts."""
    text = (ROOT / "README.md").read_text("utf-8")
    typed: dict[int, str] = {}
    for part in re.split(r"^(?=\*\*\d\. )", text, flags=re.MULTILINE)[1:]:
        blocks = re.findall(r"^```\n(.*?)^```", part, re.MULTILINE | re.DOTALL)
        typed[int(part[2])] = re.sub(r"^\$ ", "", "".join(blocks), flags=re.MULTILINE)
    return typed


class Newcomer:
    """A person with three terminals and a browser, on ports of their own."""

    def __init__(self, folder: Path, push: PushService) -> None:
        self.folder, self._push = folder, push
        self.site, receiver = (f"localhost:{free_port()}" for _ in range(2))
        self._names = {SITE: self.site, RECEIVER: receiver}
        self._names["http.server 8000"] = f"http.server {self.site.partition(':')[2]}"
        self.receiver = receiver.replace("localhost", "127.0.0.1")
        # What stands in README is the default; another test may have it.
        self._settings = {
            "PUSHCTL_RECEIVER__URL": f"http://{receiver}",
            "PUSHCTL_RECEIVER__LISTEN": self.receiver,
        }
        self._environment = {
            **os.environ,
            **self._settings,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }

    def _typed(self, text: str) -> list[str]:
        for name, ours in self._names.items():
            text = text.replace(name, ours)
        return ["sh", "-ec", text]

    def type(self, text: str, where: str = ".") -> str:
        done = subprocess.run(
            self._typed(text),
            cwd=self.folder / where,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def leave_running(self, text: str, where: str = ".") -> "subprocess.Popen[bytes]":
        log = self.folder / "running.log"
        command = self._typed(text)
        return processes.spawn(command, log, self._environment, folder=self.folder / where)

    def stay_at_home(self) -> None:
        """Lead the browser's push service to this machine: the one thing README has not."""
        hosts = json.dumps(self._push.loopback_hosts).replace('": "', '" = "')
        with (self.folder / "shop/pushctl.toml").open("a") as config:
            config.write(f"\n[push.loopback]\nhosts = {hosts}\nca = '{self._push.ca}'\n")

    def rows(self, *words: str) -> Any:
        """Return what a command says that README has not: it is asked again and again."""
        for asked in (("import",), (*words, "--json")):
            done = program.pushctl(*asked, cwd=self.folder / "shop", **self._settings)
            assert done.code == 0, done.err
        return json.loads(done.out)


def test_five_minutes(machine: Machine, tmp_path: Path) -> None:
    readme = steps()
    machine.clear()
    newcomer = Newcomer(tmp_path, machine.push)
    newcomer.type(readme[1])
    newcomer.stay_at_home()
    running = [
        newcomer.leave_running(readme[2], "shop"),
        newcomer.leave_running(readme[3]),
    ]
    try:
        for address in (newcomer.receiver, newcomer.site.replace("localhost", "127.0.0.1")):
            processes.wait_until(lambda at=address: answers(at), f"server on {address}")
        _remind(newcomer, machine.browser, machine.desktop, readme[4])
    finally:
        for process in running:
            processes.end(process, 0)


def _remind(
    newcomer: Newcomer, browser: browsers.Browser, desktop: browsers.Desktop, typed: str
) -> None:
    browser.open(f"http://{newcomer.site}/cart/")
    browser.grant()  # what the person answers to the browser's own question
    browser.click("button")
    processes.wait_until(lambda: newcomer.rows("subscribers", "list"), "subscriber")
    # A terminal would ask; what follows needs the click that comes in between.
    sending, _, _ = typed.partition("pushctl stats")
    newcomer.type(sending.replace('basket 1"', 'basket 1" --yes'), "shop")
    shown = desktop.wait("Your basket is saved")
    desktop.click(shown)

    def counted() -> bool:
        (row,) = newcomer.rows("stats")
        return (row["accepted"], row["shown"], row["clicked"]) == (1, 1, 1)

    processes.wait_until(counted, "counted click")
