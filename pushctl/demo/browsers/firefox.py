"""
A real Firefox with a throw-away profile that uses our push service.

Nothing but loopback is reached: all other addresses go to a proxy that isn't there.
"""

import base64
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from pushctl.demo.browsers import processes
from pushctl.demo.browsers.browser import finder
from pushctl.demo.browsers.marionette import Marionette
from pushctl.demo.browsers.processes import BrowserError

_PATIENCE = 30.0  # seconds
_QUIET: Mapping[str, str | int | bool] = {
    # Without a proxy it asks the DNS for Mozilla's settings server at every start.
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "network.proxy.failover_direct": False,
    "network.proxy.allow_bypass": False,
    # This machine under a name whose pages are no secure context.
    "network.proxy.no_proxies_on": "plain.test",
    "network.dns.localDomains": "plain.test",
    "app.normandy.enabled": False,
    "app.update.auto": False,
    "browser.aboutwelcome.enabled": False,
    "browser.newtabpage.enabled": False,
    "browser.safebrowsing.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.getAddons.cache.enabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
    "trailhead.firstrun.didSeeAboutWelcome": True,
}


class Firefox:
    """
    ``with Firefox(program, profile, push) as browser:``; see browser.Browser.

    *push* is the ws:// URL of the push service, *bus* the D-Bus address of the desktop
    that shows its notifications (without one Firefox draws them itself). *granted*
    answers the question for permission with yes. With *automatic* off nothing but the
    profile is ours and a person does the rest, beginning at *page*.
    """

    kind = "firefox"

    def __init__(
        self,
        program: Path,
        profile: Path,
        push: str,
        *,
        bus: str | None = None,
        visible: bool = False,
        granted: bool = True,
        automatic: bool = True,
        page: str | None = None,
    ) -> None:
        profile.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._remote: Marionette | None = None
        (profile / "user.js").write_text(_preferences(push, bus, granted))
        port_file = profile / "MarionetteActivePort"
        port_file.unlink(missing_ok=True)
        command = [str(program), "--no-remote", "--profile", str(profile)]
        command += [] if visible else ["--headless"]
        # The second one for its settings: light or dark can be changed while it runs.
        command += ["--marionette", "--remote-allow-system-access"] if automatic else []
        command += [page] if page else []
        self._process = processes.spawn(
            command, profile / "firefox.log", _environment(profile, bus)
        )
        if automatic:
            try:
                self._connect(port_file)
            except BaseException:
                self.close()
                raise

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def open(self, url: str) -> None:
        self._call("WebDriver:Navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        script = (
            "const done = arguments[arguments.length - 1];"
            f"Promise.resolve().then(() => ({expression}))"
            ".then((value) => done({ value }), (error) => done({ error: String(error) }));"
        )
        told = self._call("WebDriver:ExecuteAsyncScript", script=script, args=[])
        if told and "error" in told:
            raise BrowserError(f"the page says: {told['error']}")
        return told.get("value") if told else None

    def click(self, selector: str) -> None:
        assert self._remote is not None
        element = self._remote.element(finder(selector))
        if element is None:
            raise BrowserError(f"nothing on the page is {selector}")
        self._call("WebDriver:ElementClick", id=element)

    def grant(self) -> None:
        self._call(
            "WebDriver:SetPermission",
            descriptor={"name": "notifications"},
            state="granted",
        )

    def tabs(self) -> list[str]:
        current = self._call("WebDriver:GetWindowHandle")
        urls = [self._url(handle) for handle in self._call("WebDriver:GetWindowHandles")]
        self._call("WebDriver:SwitchToWindow", handle=current, focus=False)
        return urls

    def switch(self, url: str) -> None:
        def there() -> str | None:
            handles = self._call("WebDriver:GetWindowHandles")
            return next((one for one in handles if self._url(one) == url), None)

        def loaded() -> bool:
            return bool(self.evaluate("document.readyState") == "complete")

        processes.wait_until(there, f"tab with {url}")
        processes.wait_until(loaded, f"end of loading {url}", _PATIENCE)

    def screenshot(self, file: Path) -> None:
        file.write_bytes(base64.b64decode(self._call("WebDriver:TakeScreenshot", full=False)))

    def close(self) -> None:
        if self._remote and self.running:
            with suppress(BrowserError):
                self._remote.call("Marionette:Quit", flags=["eForceQuit"])
            self._remote.close()
        elif self.running:
            self._process.terminate()
        processes.end(self._process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self, port_file: Path) -> None:
        def port() -> int | None:
            if not self.running:
                raise BrowserError(f"Firefox ended at once; see {port_file.parent}")
            text = port_file.read_text() if port_file.exists() else ""
            return int(text) if text.strip() else None

        number = processes.wait_until(port, "Firefox that listens", _PATIENCE)
        self._remote = Marionette(number, _PATIENCE)
        self._call("WebDriver:NewSession", capabilities={})
        self._call("WebDriver:SetTimeouts", script=int(_PATIENCE * 900))

    def _url(self, handle: str) -> str:
        self._call("WebDriver:SwitchToWindow", handle=handle, focus=False)
        url: str = self._call("WebDriver:GetCurrentURL")
        return url

    def _call(self, name: str, **parameters: Any) -> Any:
        if self._remote is None:
            raise BrowserError("this Firefox was started without remote control")
        return self._remote.call(name, **parameters)


def _preferences(push: str, bus: str | None, granted: bool) -> str:
    wanted: dict[str, str | int | bool] = {
        **_QUIET,
        "dom.push.serverURL": push,
        "dom.push.testing.allowInsecureServerURL": True,
        # Remote control switches push off ("recommended preferences") unless user.js
        # says so, although this is the default.
        "dom.push.connection.enabled": True,
        "dom.push.retryBaseInterval": 200,  # milliseconds until it connects again
        # On a bus without a notification service showNotification() rejects.
        "alerts.useSystemBackend": bus is not None,
        "marionette.port": 0,
    }
    if granted:
        wanted["permissions.default.desktop-notification"] = 1
    lines = (
        f"user_pref({json.dumps(name)}, {json.dumps(value)});\n"
        for name, value in wanted.items()
    )
    return "".join(lines)


def _environment(profile: Path, bus: str | None) -> dict[str, str]:
    environment = {**os.environ, "HOME": str(profile), "MOZ_CRASHREPORTER_DISABLE": "1"}
    if bus:
        environment["DBUS_SESSION_BUS_ADDRESS"] = bus
    return environment
