"""
What a terminal shows, as rich draws it: tables, frames, bars. output.py alone uses it.

rich is loaded with this module, so it is imported only where there is a terminal. Texts
come cleaned, and are never read as markup.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, NamedTuple

from rich import box, progress
from rich.cells import cell_len
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from pushctl.rules.wording import number


class Heading(NamedTuple):
    """
    The head and the foot of one column.

    A *spare* one goes where there is no room; a *whole* one is never broken, and so are
    those to the *right*: figures.
    """

    title: str
    right: bool
    foot: str = ""
    spare: bool = False
    whole: bool = False

    @property
    def unbroken(self) -> bool:
        return self.right or self.whole


# rich shows how long something takes in yellow, which can't be read on white.
_THEME = Theme({"progress.elapsed": "dim", "progress.remaining": "dim"})


def console(stream: IO[str], colours: bool) -> Console:
    """Return a console on *stream* that takes no markup and no emoji codes."""
    return Console(
        file=stream,
        markup=False,
        emoji=False,
        highlight=False,
        color_system="auto" if colours else None,
        theme=_THEME,
    )


def table(
    headings: Sequence[Heading], rows: Sequence[Sequence[str]], room: int, title: str = ""
) -> Table | None:
    """
    Return a table without edges, numbers to the right, the foot set apart.

    Where it is wider than *room* columns it stands closer, its headings in several lines;
    then without its spare columns, so that what names a row stays in one piece; then all
    texts go over several lines. None where even that leaves one less than ten columns.
    """
    wide = [
        max(map(cell_len, (each.title, each.foot, *(row[place] for row in rows))))
        for place, each in enumerate(headings)
    ]
    if sum(wide) + _GAP * (len(wide) - 1) <= room:
        return _filled(headings, rows, dict(enumerate(wide)), title, tight=False)
    narrow = [
        max(
            *map(cell_len, (*each.title.split(), each.foot)),
            *(cell_len(row[place]) for row in rows),
        )
        for place, each in enumerate(headings)
    ]
    for first, others in ((_NAME, _TIME), (_NAME, _LEAST), (_LEAST, _LEAST)):
        kept = dict(enumerate(narrow))
        least = {
            place: width if headings[place].unbroken else min(width, others if place else first)
            for place, width in kept.items()
        }
        while sum(least.values()) + _NARROW_GAP * (len(least) - 1) > room:
            spare = next((place for place in reversed(least) if headings[place].spare), None)
            if spare is None:
                break
            del kept[spare], least[spare]
        else:
            fitting = _shrunk(kept, least, room - _NARROW_GAP * (len(kept) - 1))
            return _filled(headings, rows, fitting, title, tight=True)
    return None


# Between two columns: a border that is not seen, and padding on both sides.
_GAP, _NARROW_GAP = 3, 2
# Columns of a text at least; what a time takes; and the first, which names the row: an id.
_LEAST, _TIME, _NAME = 10, 16, 24


def _shrunk(widths: Mapping[int, int], least: Mapping[int, int], room: int) -> dict[int, int]:
    """Return *widths* with the widest made smaller, not below *least*, until all fit."""
    shrunk = dict(widths)
    while sum(shrunk.values()) > room:
        widest = max(shrunk, key=lambda place: (shrunk[place] > least[place], shrunk[place]))
        shrunk[widest] -= 1
    return shrunk


def _filled(
    headings: Sequence[Heading],
    rows: Sequence[Sequence[str]],
    widths: Mapping[int, int],
    title: str,
    *,
    tight: bool,
) -> Table:
    """Return a table of the columns in *widths*: place -> how wide."""
    made = Table(
        title=Text(title, style="bold") if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        header_style="bold",
        footer_style="bold",
        border_style="dim",
        show_footer=any(each.foot for each in headings),
        pad_edge=False,
        collapse_padding=tight,
    )
    for place, width in widths.items():
        each = headings[place]
        made.add_column(
            Text(each.title.replace(" ", "\n") if tight and each.right else each.title),
            footer=Text(each.foot),
            justify="right" if each.right else "left",
            overflow="fold",
            width=width,
        )
    for row in rows:
        made.add_row(*(Text(row[place]) for place in widths))
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
        self._task = bars.add_task(label, total=total, done="", speed="")
        self._show(0)

    def advance(self, count: int = 1) -> None:
        self._show(count)

    def total(self, count: int) -> None:
        self._bars.update(self._task, total=count)
        self._show(0)

    def _show(self, count: int) -> None:
        task = self._bars.tasks[0]
        done, speed = task.completed + count, task.speed
        of = "" if task.total is None else f"/{number(task.total)}"
        self._bars.update(
            self._task,
            advance=count,
            done=f"{number(int(done))}{of}",
            speed=f" {number(round(speed))}/s" if speed else "",
        )

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
        progress.TextColumn("{task.fields[done]}[dim]{task.fields[speed]}"),
        progress.TimeRemainingColumn(elapsed_when_finished=True),
    )
    # Room for the "^C" of who stops it, which would push the line over the edge.
    where.width -= 2
    with progress.Progress(*columns, console=where) as bars:
        drawn = Bar(bars, label, total)
        yield drawn
        drawn.end()
