"""Finds which message brought about which order, with a bar, before figures are read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pushctl import output

if TYPE_CHECKING:
    from pushctl.commands.context import Context


@contextmanager
def _show(total: int) -> Iterator[Callable[[int], object]]:
    with output.progress("Finding the orders' messages", total) as bar:
        yield bar.advance


def refresh(here: "Context") -> None:
    """Compute what is not kept: of millions of reports it takes some seconds."""
    from pushctl.jobs.figures.attribution import credits

    credits.refresh(here.store, here.config, _show)
