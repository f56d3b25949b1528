"""The interface of all browsers here."""

import json
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self


def finder(selector: str) -> str:
    """Return the JavaScript expression that finds *selector*, through shadow trees too."""
    place = "document"
    for number, step in enumerate(selector.split(" >>> ")):
        place += f"{'?.shadowRoot' if number else ''}?.querySelector({json.dumps(step)})"
    return place


class Browser(Protocol):
    """
    A running browser with a profile of its own; end it with close() or ``with``.

    Every call waits for its end and raises BrowserError when there is none in time.
    """

    kind: str

    def open(self, url: str) -> None:
        """Load *url* in the current tab, to its end."""

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, a promise's once it is fulfilled."""

    def click(self, selector: str) -> None:
        """
        Click an element as a hand does: the page sees a trusted event.

        ``"host >>> button"`` looks for a button within the shadow tree of a host.
        """

    def grant(self) -> None:
        """Answer the question for notifications with yes, for the origin of this page."""

    def tabs(self) -> list[str]:
        """Return the URLs of all open tabs."""

    def switch(self, url: str) -> None:
        """Make the tab that shows *url* the current one, waiting for it if need be."""

    def screenshot(self, file: Path) -> None:
        """Write a PNG of the current tab."""

    def close(self) -> None:
        """Quit and wait until the profile is free again."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
