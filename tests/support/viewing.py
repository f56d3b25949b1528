"""Looking at a page as different people do: size, light or dark, without motion."""

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
    browser._call("WebDriver:SetWindowRect", width=max(width, 500), height=height + 100)
    query = f"matchMedia('(prefers-color-scheme: {'dark' if dark else 'light'})').matches"
    processes.wait_until(lambda: browser.evaluate(query), "colours of that choice")


def picture(browser: Any, folder: str | None, name: str) -> None:
    """Write a PNG into *folder*, where there is one."""
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        browser.screenshot(Path(folder) / f"{name}.png")
