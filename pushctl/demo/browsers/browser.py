"""What every browser here can do."""

from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self


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
        """Click an element as a hand does: the page sees a trusted event."""

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
