"""
What a terminal shows, as rich draws it: tables, frames, bars. output.py alone uses it.

rich is loaded with this module, so it is imported only where there is a terminal. Texts
come cleaned, and are never read as markup.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, NamedTuple

from rich import box, progress
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pushctl.rules.wording import number


class Heading(NamedTuple):
    """The head and the foot of one column."""

    title: str
    right: bool
    foot: str = ""


def console(stream: IO[str], colours: bool) -> Console:
    """Return a console on *stream* that takes no markup and no emoji codes."""
    return Console(
        file=stream,
        markup=False,
        emoji=False,
        highlight=False,
        color_system="auto" if colours else None,
    )


def table(headings: Sequence[Heading], rows: Iterable[Sequence[str]], title: str = "") -> Table:
    """Return a table without edges, numbers to the right, the foot set apart."""
    made = Table(
        title=Text(title) if title else None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        header_style="bold",
        footer_style="bold",
        border_style="dim",
        show_footer=any(each.foot for each in headings),
        pad_edge=False,
    )
    for each in headings:
        made.add_column(
            Text(each.title),
            footer=Text(each.foot),
            justify="right" if each.right else "left",
            no_wrap=each.right,
            overflow="ellipsis" if each.right else "fold",
        )
    for row in rows:
        made.add_row(*map(Text, row))
    return made


def frame(text: str, title: str, right_to_left: bool) -> Panel:
    """Return *text* in a frame as wide as it; right to left begins at the right."""
    return Panel(
        Text(text, justify="right" if right_to_left else "left"),
        title=Text(title, style="bold") if title else None,
        title_align="right" if right_to_left else "left",
        box=box.ROUNDED,
        border_style="dim",
        expand=False,
        padding=(0, 1),
    )


class Bar:
    """A progress bar with its speed."""

    def __init__(self, bars: progress.Progress, label: str, total: int | None) -> None:
        self._bars = bars
        self._task = bars.add_task(label, total=total, speed="")

    def advance(self, count: int = 1) -> None:
        speed = self._bars.tasks[0].speed
        shown = f"{number(round(speed))}/s" if speed else ""
        self._bars.update(self._task, advance=count, speed=shown)

    def total(self, count: int) -> None:
        self._bars.update(self._task, total=count)

    def end(self) -> None:
        """Show what was done as all there was, where nobody knew beforehand."""
        if self._bars.tasks[0].total is None:
            self.total(int(self._bars.tasks[0].completed))


@contextmanager
def bar(where: Console, label: str, total: int | None) -> Iterator[Bar]:
    """Show a bar on *where* for as long as the block runs."""
    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(complete_style="cyan", finished_style="green"),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[speed]}", style="dim", markup=False),
        progress.TimeRemainingColumn(elapsed_when_finished=True),
    )
    with progress.Progress(*columns, console=where) as bars:
        drawn = Bar(bars, label, total)
        yield drawn
        drawn.end()
