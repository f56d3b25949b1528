"""What the tables of figures share: what they are about, and what is said below them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import Text

if TYPE_CHECKING:
    from pushctl.jobs.figures.filters import Filter


def read(ctx: typer.Context, **typed: Text) -> "Filter":
    """Return what a table is about, by its options as *typed* (``filters.read``)."""
    from pushctl.jobs.figures import filters

    here = context.of(ctx)
    return filters.read(here.config, here.store, here.now, **typed)


def say(remarks: Iterable[str], format: output.Format) -> None:
    """Say what people should know of a table; programs get the table alone."""
    if format is output.Format.TABLE:
        for remark in remarks:
            output.say(remark)
