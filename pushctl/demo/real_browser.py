"""The demo's one visitor with a real browser: the installed Firefox or Chromium."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from pushctl import output
from pushctl.demo.browsers import (
    Browser,
    Chromium,
    Desktop,
    Firefox,
    Found,
    Google,
)
from pushctl.demo.setup import Setup
from pushctl.errors import PushctlError

PATIENCE = 300.0  # seconds for a person to act in the visible browser
CLICK = 120.0  # seconds to click the reminder; desktops remove it after a while


class RealBrowser:
    """A real browser in the demo's shop; with *watch* a visible one that a person uses."""

    def __init__(self, found: Found, setup: Setup, *, watch: bool) -> None:
        self._found = found
        self._setup = setup
        self._watch = watch
        self._stack = ExitStack()
        self._desktop: Desktop | None = None
        self._browser: Browser | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def subscribe(self) -> None:
        """Open the shop and say yes to its notifications."""
        name = self._found.kind.capitalize()
        if self._watch:
            output.say(f"  {name} opens. Accept the shop's invitation, then fill the basket.")
        else:
            output.say(f"  A real {name} comes by as well, and says yes to the invitation.")
            self._desktop = self._stack.enter_context(Desktop())
        self._browser = self._stack.enter_context(self._start())
        self._browser.open(f"{self._setup.shop}/?lang=en")
        self._wait_until("pushctl.ready.then(() => true)", 30)
        if not self._watch:
            # The permission is granted from the start, so it needs no invitation.
            self._browser.evaluate("pushctl.subscribe({ language: 'en' })")
        self._wait_until("pushctl.state().then((state) => state.subscribed)", PATIENCE)

    def fill_basket(self) -> None:
        """Put something into the basket and leave the page."""
        if self._watch:
            output.say("  Waiting until something lies in the basket ...")
        else:
            self._click("[data-add]")
        basket = "Object.keys(JSON.parse(localStorage.getItem('basket') ?? '{}')).length"
        # tag() without a name resolves to true once the receiver has everything.
        self._wait_until(f"{basket} > 0 && pushctl.tag()", PATIENCE)

    def click_reminder(self) -> None:
        """Click the reminder once it is shown; with *watch* the person clicks."""
        if self._desktop is None:
            return
        deadline = time.monotonic() + 30
        while not self._desktop.notifications:
            if time.monotonic() > deadline:
                raise PushctlError("the real browser showed no notification within 30 s.")
            time.sleep(0.05)
        shown = self._desktop.notifications[0]
        output.say(f"  {self._found.kind.capitalize()} shows: {shown.title}")
        self._desktop.click(shown)

    def wait_for_click(self, is_counted: Callable[[], bool]) -> bool:
        """Return whether the reminder is clicked within CLICK seconds, by *is_counted*."""
        if not self._watch:
            return True  # what isn't counted after that is a fault
        output.say("")
        output.say("  The reminder is on your screen: click it.", "bold")
        output.say("  Or let it be: the story goes on in two minutes.", "dim")
        deadline = time.monotonic() + CLICK
        while not is_counted():
            if time.monotonic() > deadline:
                output.say("  You let it be, as most do. So be it.")
                return False
            time.sleep(0.5)
        output.say("  That brought you back to the basket.")
        return True

    def _click(self, selector: str) -> None:
        assert self._browser is not None
        self._browser.click(selector)

    def _wait_until(self, expression: str, patience: float) -> None:
        assert self._browser is not None
        deadline = time.monotonic() + patience
        while not self._browser.evaluate(expression):
            if time.monotonic() > deadline:
                raise PushctlError(f"the browser's page never came so far: {expression}")
            time.sleep(0.1)

    def _start(self) -> Browser:
        service = self._setup.service
        profile = self._setup.folder / "browser"
        bus = self._desktop.bus if self._desktop else None
        if self._found.kind == "firefox":
            return Firefox(
                self._found.program,
                profile,
                service.websocket_url,
                bus=bus,
                visible=self._watch,
                granted=not self._watch,
            )
        mcs = f"https://127.0.0.1:{service.ports.mcs}"
        google = Google(service.control_url, mcs, service.spki)
        return Chromium(
            self._found.program,
            profile,
            google,
            bus=bus,
            visible=self._watch,
            granted=not self._watch,
        )
