"""``pushctl stats --check``: kept figures against a slow recount of all rows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pushctl import output
from pushctl.errors import PushctlError
from pushctl.rules.wording import counted

if TYPE_CHECKING:
    from pushctl.config import Config
    from pushctl.store import Store


@contextmanager
def show_counting(total: int) -> Iterator[Callable[[int], object]]:
    """Show a bar while campaigns are counted: what ``campaign_counts.load_counts`` is given."""
    with output.progress("Counting campaigns", total) as bar:
        yield bar.advance


def prepare(store: "Store") -> None:
    """
    Count what is not kept yet, with a bar.

    Only the first question after an upgrade, or after many messages, waits for it.
    """
    from pushctl.jobs.figures.columns import campaign_counts

    campaign_counts.load_counts(store, progress=show_counting)


def run(store: "Store", config: "Config") -> None:
    """Raise PushctlError (exit 1) with a line for each difference."""
    from pushctl.jobs.figures.recount import check_kept

    campaigns, found = check_kept.check(store, config, show_counting)
    compared = counted(campaigns, "campaign")
    if found:
        lines = "\n".join(map(output.clean, check_kept.list_lines(found)))
        raise PushctlError(
            f"kept figures differ from the rows:\n{lines}\n"
            "They were deleted, and are counted anew when they are next asked for. "
            "Please report it: this is a fault of pushctl, or another program has written to "
            "the database."
        )
    output.answer(f"{compared} counted again: all figures are right.")
