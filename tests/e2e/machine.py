"""A browser with its desktop and its push service: started once, for all tests of a run."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pushctl.demo import browsers
from pushctl.demo.pushservice import PushService
from tests.support import looks

# What tests change of Firefox as a whole (support/viewing.py).
_LOOKS = ("layout.css.prefers-color-scheme.content-override", "ui.prefersReducedMotion")


class Machine:
    """
    ``with Machine(found, folder) as machine:``; nobody has asked the browser for anything.

    Each test brings an origin of its own, so that permissions, workers and what pages
    store are new to it; ``clear`` takes away what is seen.
    """

    def __init__(self, found: browsers.Found, folder: Path) -> None:
        self.kind = found.kind
        self._found = found
        self._folder = folder
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.push = stack.enter_context(PushService())
            self.desktop = stack.enter_context(browsers.Desktop())
            os.environ["FONTCONFIG_FILE"] = str(looks.fonts(self._folder))
            stack.callback(os.environ.pop, "FONTCONFIG_FILE", None)
            self.browser = stack.enter_context(self._start())
            self._exit = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exit.close()

    def clear(self) -> None:
        """Leave one empty tab that looks as a new one does, and no notification."""
        call: Callable[..., Any] = self.browser._call  # type: ignore[attr-defined]
        if self.kind == "firefox":
            self._clear_firefox(call)
        else:
            self._clear_chromium()
        for one in self.desktop.notifications:
            self.desktop.dismiss(one)

    def _start(self) -> browsers.Browser:
        program, profile, bus = self._found.program, self._folder / "profile", self.desktop.bus
        if self.kind == "firefox":
            url = self.push.websocket_url
            return browsers.Firefox(program, profile, url, bus=bus, granted=False)
        google = browsers.Google(self.push.control_url, self.push.mcs_url, self.push.spki)
        return browsers.Chromium(program, profile, google, bus=bus, granted=False)

    def _clear_firefox(self, call: Callable[..., Any]) -> None:
        old: Sequence[str] = call("WebDriver:GetWindowHandles")
        new = call("WebDriver:NewWindow", type="tab", focus=True)["handle"]
        for handle in old:
            call("WebDriver:SwitchToWindow", handle=handle, focus=False)
            call("WebDriver:CloseWindow")
        call("WebDriver:SwitchToWindow", handle=new, focus=True)
        call("Marionette:SetContext", value="chrome")
        for name in _LOOKS:
            script = f"Services.prefs.clearUserPref({name!r});"
            call("WebDriver:ExecuteScript", script=script, args=[])
        call("Marionette:SetContext", value="content")

    def _clear_chromium(self) -> None:
        browser: Any = self.browser
        old = list(browser._pages())
        made = browser._remote.call("Target.createTarget", url="about:blank")
        for tab in old:
            browser._remote.call("Target.closeTarget", targetId=tab)
        browser._attach(made["targetId"])
