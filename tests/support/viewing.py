"""Looking at a page as different people do: size, light or dark, without motion."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from pushctl.demo.browsers import processes

# Firefox makes no window narrower than 500; both are below the layout's 600.
SIZES = {"desktop": (1100, 640), "phone": (390, 740)}


def look(browser: Any, *, size: str, dark: bool) -> None:
    """Give *browser*'s tab the *size* and the colours of a person's choice."""
    width, height = SIZES[size]
    if browser.kind == "firefox":
        _look_in_firefox(browser, width, height, dark)
        return
    browser._call(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=height,
        deviceScaleFactor=1,
        mobile=size == "phone",
    )
    features = {
        "prefers-color-scheme": "dark" if dark else "light",
        "prefers-reduced-motion": "reduce",
    }
    browser._call(
        "Emulation.setEmulatedMedia",
        features=[{"name": name, "value": value} for name, value in features.items()],
    )


def _look_in_firefox(browser: Any, width: int, height: int, dark: bool) -> None:
    chosen = {
        "layout.css.prefers-color-scheme.content-override": 0 if dark else 1,
        "ui.prefersReducedMotion": 1,
    }
    browser._call("Marionette:SetContext", value="chrome")
    for name, value in chosen.items():
        script = f"Services.prefs.setIntPref({name!r}, {value});"
        browser._call("WebDriver:ExecuteScript", script=script, args=[])
    browser._call("Marionette:SetContext", value="content")
    _resize_firefox(browser, max(width, 500), height)
    query = f"matchMedia('(prefers-color-scheme: {'dark' if dark else 'light'})').matches"
    processes.wait_until(lambda: browser.evaluate(query), "colours of that choice")


def _resize_firefox(browser: Any, width: int, height: int) -> None:
    """Give the page itself this size: how high the window's own bars are, releases decide."""
    inner = "[innerWidth, innerHeight]"
    bars = "[outerWidth - innerWidth, outerHeight - innerHeight]"
    for _ in range(3):
        # Both of one moment: a window takes its new size some time after the call.
        sides = [max(0, side) for side in browser.evaluate(bars)]
        size = {"width": width + sides[0], "height": height + sides[1]}
        browser._call("WebDriver:SetWindowRect", **size)
        with suppress(processes.BrowserError):  # its bars are others at that size
            processes.wait_until(
                lambda: browser.evaluate(inner) == [width, height], "the size", 5
            )
            return


def rest(browser: Any) -> None:
    """Take the pointer away, and let the page draw what it was over without it."""
    if browser.kind == "firefox":
        move = {"type": "pointerMove", "x": 0, "y": 0}
        mouse = {"type": "pointer", "id": "mouse", "actions": [move]}
        browser._call("WebDriver:PerformActions", actions=[mouse])
    else:
        browser._call("Input.dispatchMouseEvent", type="mouseMoved", x=0, y=0, button="none")
    drawn = "requestAnimationFrame(() => requestAnimationFrame(() => done(true)))"
    browser.evaluate(f"new Promise((done) => {drawn})")


def picture(browser: Any, folder: str | None, name: str) -> None:
    """Write a PNG into *folder*, where there is one."""
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        browser.screenshot(Path(folder) / f"{name}.png")
