"""
A real Chromium with a throw-away profile, its push service moved to ours.

Nothing but loopback is reached: no other name resolves. Chromium's own switches lead
check-in, registration and the message connection here.
"""

import base64
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from pushctl.demo.browsers import processes
from pushctl.demo.browsers.browser import finder
from pushctl.demo.browsers.devtools import DevTools
from pushctl.demo.browsers.processes import BrowserError

_PATIENCE = 30.0  # seconds
_SWITCHES = (
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--password-store=basic",
    # plain.test: this machine under a name whose pages are no secure context.
    "--host-resolver-rules=MAP plain.test 127.0.0.1 , MAP * ~NOTFOUND , EXCLUDE localhost"
    " , EXCLUDE 127.0.0.1",
)


@dataclass(frozen=True, slots=True)
class Google:
    """Where Chromium finds the stand-ins for Google's services."""

    control: str  # http://127.0.0.1:PORT
    mcs: str  # https://127.0.0.1:PORT
    spki: str  # hash of the certificate there


class Chromium:
    """
    ``with Chromium(program, profile, google) as browser:``; see browser.Browser.

    *bus*, *visible*, *granted*, *automatic* and *page* are those of Firefox; *granted*
    counts for the pages that open() loads.
    """

    kind = "chromium"

    def __init__(
        self,
        program: Path,
        profile: Path,
        google: Google,
        *,
        bus: str | None = None,
        visible: bool = False,
        granted: bool = True,
        automatic: bool = True,
        page: str | None = None,
    ) -> None:
        profile.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._granted = granted
        self._remote = DevTools(_PATIENCE)
        self._automatic = automatic
        self._session = ""
        self._tab = ""
        command = [str(program), *_switches(profile, google, visible, automatic)]
        self._process = processes.spawn(
            [*command, page or "about:blank"],
            profile / "chromium.log",
            _environment(profile, bus),
            self._remote.theirs if automatic else None,
        )
        self._remote.started()
        if automatic:
            try:
                self._attach(self._first_tab())
            except BaseException:
                self.close()
                raise

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def open(self, url: str) -> None:
        if self._granted:
            self._grant(url)
        told = self._call("Page.navigate", url=url)
        if "errorText" in told:
            raise BrowserError(f"Chromium can't load {url}: {told['errorText']}")
        processes.wait_until(self._loaded, f"end of loading {url}", _PATIENCE)

    def evaluate(self, expression: str) -> Any:
        told = self._call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in told:
            details = told["exceptionDetails"]
            said = details.get("exception", {}).get("description") or details["text"]
            raise BrowserError(f"the page says: {said}")
        return told["result"].get("value")

    def click(self, selector: str) -> None:
        place = self.evaluate(_CENTRE.replace("ELEMENT", finder(selector)))
        if place is None:
            raise BrowserError(f"nothing on the page is {selector}")
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self._call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=place["x"],
                y=place["y"],
                button="none" if kind == "mouseMoved" else "left",
                clickCount=0 if kind == "mouseMoved" else 1,
            )

    def grant(self) -> None:
        self._grant(self.evaluate("location.href"))

    def tabs(self) -> list[str]:
        return list(self._pages().values())

    def switch(self, url: str) -> None:
        def there() -> str | None:
            return next((tab for tab, shown in self._pages().items() if shown == url), None)

        self._attach(processes.wait_until(there, f"tab with {url}"))
        processes.wait_until(lambda: self._loaded(url), f"end of loading {url}", _PATIENCE)

    def screenshot(self, file: Path) -> None:
        told = self._call("Page.captureScreenshot", format="png")
        file.write_bytes(base64.b64decode(told["data"]))

    def close(self) -> None:
        if self._automatic and self.running:
            with suppress(BrowserError):
                self._remote.call("Browser.close")
        elif self.running:
            self._process.terminate()
        processes.end(self._process)
        self._remote.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _grant(self, url: str) -> None:
        parts = urlsplit(url)
        self._remote.call(
            "Browser.grantPermissions",
            origin=f"{parts.scheme}://{parts.netloc}",
            permissions=["notifications"],
        )

    def _pages(self) -> dict[str, str]:
        """Return tab id -> URL."""
        told = self._remote.call("Target.getTargets")
        return {
            target["targetId"]: target["url"]
            for target in told["targetInfos"]
            if target["type"] == "page"
        }

    def _first_tab(self) -> str:
        return processes.wait_until(lambda: next(iter(self._pages()), None), "tab")

    def _attach(self, tab: str) -> None:
        if tab == self._tab:
            return
        told = self._remote.call("Target.attachToTarget", targetId=tab, flatten=True)
        self._tab, self._session = tab, told["sessionId"]

    def _loaded(self, url: str | None = None) -> bool:
        try:
            # A tab carries its URL before the empty document of its birth is replaced.
            here, ready = self.evaluate("[location.href, document.readyState]")
        except BrowserError:
            # The old document's world ended under the question.
            return False
        return url in (None, here) and bool(ready == "complete")

    def _call(self, method: str, **parameters: Any) -> Any:
        return self._remote.call(method, self._session, **parameters)


_CENTRE = """(() => {
  const element = ELEMENT;
  if (!element) return null;
  element.scrollIntoView({ block: "center", behavior: "instant" });
  const { x, y, width, height } = element.getBoundingClientRect();
  return { x: x + width / 2, y: y + height / 2 };
})()"""


def _switches(profile: Path, google: Google, visible: bool, automatic: bool) -> list[str]:
    switches = [
        *_SWITCHES,
        f"--user-data-dir={profile}",
        f"--gcm-checkin-url={google.control}/checkin",
        f"--gcm-registration-url={google.control}/register3",
        f"--gcm-mcs-endpoint={google.mcs}",
        f"--ignore-certificate-errors-spki-list={google.spki}",
    ]
    if not visible:
        switches.append("--headless=new")
    if automatic:
        switches.append("--remote-debugging-pipe")
    if os.geteuid() == 0:
        # Chromium refuses to run as root with its sandbox; CI's containers are root.
        switches.append("--no-sandbox")
    return switches


def _environment(profile: Path, bus: str | None) -> dict[str, str]:
    environment = {**os.environ, "HOME": str(profile)}
    if bus:
        environment["DBUS_SESSION_BUS_ADDRESS"] = bus
    return environment
