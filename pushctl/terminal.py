"""
Tables, frames and progress bars for output.py, drawn by rich.

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
    title: str
    right: bool  # figures: never broken
    foot: str = ""
    spare: bool = False  # left out where there is no room
    whole: bool = False  # never broken

    @property
    def unbroken(self) -> bool:
        return self.right or self.whole


# rich's yellow can't be read on white.
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
    Return a table that is at most *room* columns wide, or None.

    A wide table gets narrow gaps and headings over several lines; then it loses its spare
    columns; then all texts go over several lines, of ten columns at least.
    """
    wide = [
        max(map(cell_len, (each.title, each.foot, *(row[place] for row in rows))))
        for place, each in enumerate(headings)
    ]
    if sum(wide) + _GAP * (len(wide) - 1) <= room:
        return _fill(headings, rows, dict(enumerate(wide)), title, tight=False)
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
            fitting = _shrink(kept, least, room - _NARROW_GAP * (len(kept) - 1))
            return _fill(headings, rows, fitting, title, tight=True)
    return None


# Between two columns: an invisible border, and padding on both sides.
_GAP, _NARROW_GAP = 3, 2
# Widths of a text at least, of a time, and of the first column, which has an id.
_LEAST, _TIME, _NAME = 10, 16, 24


def _shrink(widths: Mapping[int, int], least: Mapping[int, int], room: int) -> dict[int, int]:
    """Return *widths* with the widest made smaller, not below *least*, until all fit."""
    shrunk = dict(widths)
    while sum(shrunk.values()) > room:
        widest = max(shrunk, key=lambda place: (shrunk[place] > least[place], shrunk[place]))
        shrunk[widest] -= 1
    return shrunk


def _fill(
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
        """Set an unknown total to the work done."""
        if self._bars.tasks[0].total is None:
            self.total(int(self._bars.tasks[0].completed))


@contextmanager
def bar(where: Console, label: str, total: int | None) -> Iterator[Bar]:
    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(complete_style="cyan", finished_style="green"),
        progress.TextColumn("{task.fields[done]}[dim]{task.fields[speed]}"),
        progress.TimeRemainingColumn(elapsed_when_finished=True),
    )
    # Room for the "^C" of a stop, which would push the line over the edge.
    where.width -= 2
    with progress.Progress(*columns, console=where) as bars:
        drawn = Bar(bars, label, total)
        yield drawn
        drawn.end()
