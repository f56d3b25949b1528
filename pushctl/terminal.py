"""
Tables, frames and progress bars for output/, drawn by rich.

rich is loaded with this module, so it is imported only where there is a terminal. Texts
come cleaned, and are never read as markup.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import IO, TYPE_CHECKING, Literal, NamedTuple

from rich import box, progress
from rich.cells import cell_len
from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from pushctl.rules.wording import number

if TYPE_CHECKING:
    from rich.markdown import Markdown


class Heading(NamedTuple):
    title: str
    right: bool  # figures: never broken
    foot: str = ""
    spare: bool = False  # left out where there is no room
    whole: bool = False  # never broken
    bounded: bool = False  # may have an interval as a part of its own

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

    A line break in a cell is a place where it may be broken. A wide table gets narrow gaps
    and headings over several lines; then cells are broken at these places; then it loses its
    spare columns, then intervals; then all texts go over several lines, of ten columns at
    least.
    """
    flat = _change(headings, rows, lambda cell, _: cell.replace("\n", " "))
    wide = [
        max(map(cell_len, (each.title, each.foot, *(row[place] for row in flat[1]))))
        for place, each in enumerate(flat[0])
    ]
    if sum(wide) + _GAP * (len(wide) - 1) <= room:
        return _fill(*flat, dict(enumerate(wide)), title, tight=False)

    # Without intervals: the last part of a cell that has one.
    bare = _change(headings, rows, lambda cell, it: _cut(cell) if it.bounded else cell)
    for (heads, cells), lossy, least in (
        (flat, False, (_NAME, _TIME)),
        ((headings, rows), True, (_NAME, _TIME)),
        ((headings, rows), True, (_NAME, _LEAST)),
        ((headings, rows), True, (_SHORT_NAME, _LEAST)),
        (bare, True, (_NAME, _LEAST)),
        ((headings, rows), True, (_LEAST, _LEAST)),
        (bare, True, (_LEAST, _LEAST)),
    ):
        fitting = _fit(heads, cells, room, least, lossy=lossy)
        if fitting is not None:
            return _fill(heads, cells, fitting, title, tight=True)
    return None


def _change(
    headings: Sequence[Heading],
    rows: Sequence[Sequence[str]],
    change: Callable[[str, Heading], str],
) -> tuple[list[Heading], list[list[str]]]:
    heads = [each._replace(foot=change(each.foot, each)) for each in headings]
    return heads, [list(map(change, row, headings)) for row in rows]


def _cut(cell: str) -> str:
    """Return *cell* without its last part, if that is an interval."""
    head, _, last = cell.rpartition("\n")
    return head if last.startswith("(") else cell


def _fit(
    headings: Sequence[Heading],
    rows: Sequence[Sequence[str]],
    room: int,
    texts: tuple[int, int],
    *,
    lossy: bool,
) -> dict[int, int] | None:
    """
    Return the columns (place -> width) that *room* has space for, or None.

    *texts*: how narrow the first column's texts may get, and those of others. *lossy*: spare
    columns may be left out.
    """
    kept = {
        place: max(
            cell_len(line)
            for cell in (*each.title.split(), each.foot, *(row[place] for row in rows))
            for line in cell.splitlines() or [""]
        )
        for place, each in enumerate(headings)
    }
    least = {
        place: width if headings[place].unbroken else min(width, texts[min(place, 1)])
        for place, width in kept.items()
    }
    while sum(least.values()) + _NARROW_GAP * (len(least) - 1) > room:
        spare = next((place for place in reversed(least) if headings[place].spare), None)
        if spare is None or not lossy:
            return None
        del kept[spare], least[spare]
    return _shrink(kept, least, room - _NARROW_GAP * (len(kept) - 1))


# Between two columns: an invisible border, and padding on both sides.
_GAP, _NARROW_GAP = 3, 2
# Widths of a text at least, of a time, and of the first column, which has an id.
_LEAST, _TIME, _NAME = 10, 16, 24
_SHORT_NAME = 14  # rather than a table without intervals


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


Line = tuple[str, str | None]  # its text, and its style
_FRAME = 38  # columns of a frame: two fit side by side in 80


def frames(
    frames: Sequence[tuple[str, Sequence[Line], Sequence[Line]]],
    room: int,
    right_to_left: bool,
) -> Table:
    """
    Return frames of one width side by side, as many as *room* columns have room for.

    Each is (title, lines with their styles, notes).
    """
    beside = max((room + 2) // (_FRAME + 2), 1)
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(beside):
        grid.add_column(width=min(_FRAME, room), vertical="top")
    made = [_draw_frame(*each, right_to_left) for each in frames]
    for at in range(0, len(made), beside):
        grid.add_row(*made[at : at + beside])
    return grid


def _draw_frame(
    title: str,
    lines: Sequence[Line],
    notes: Sequence[Line],
    right_to_left: bool,
) -> Group:
    side: Literal["right", "left"] = "right" if right_to_left else "left"
    texts = [Text(text, style=style or "", justify=side) for text, style in lines]
    panel = Panel(
        Group(*texts),
        title=Text(title, style="bold"),
        title_align="left",
        box=box.ROUNDED,
        border_style="dim",
        padding=(0, 1),
    )
    below = [Padding(Text(note, style=style or ""), (0, 1)) for note, style in notes]
    return Group(panel, *below, Text(""))


class Bar:
    def __init__(
        self, bars: progress.Progress, label: str, total: int | None, estimated: bool
    ) -> None:
        self._bars = bars
        self._estimated = estimated or total is None
        self._task = bars.add_task(label, total=total, done="", speed="")
        self._show(0)

    def advance(self, count: int = 1) -> None:
        self._show(count)

    def total(self, count: int) -> None:
        self._estimated = False
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
        """Set an unknown total to the work done; where there was none, show nothing."""
        task = self._bars.tasks[0]
        if self._estimated:
            self.total(int(task.completed))
        if not task.total:
            self._bars.update(self._task, visible=False)


@contextmanager
def bar(where: Console, label: str, total: int | None, estimated: bool) -> Iterator[Bar]:
    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(complete_style="cyan", finished_style="green"),
        progress.TextColumn("{task.fields[done]}[dim]{task.fields[speed]}"),
        progress.TimeRemainingColumn(elapsed_when_finished=True),
    )
    # Room for the "^C" of a stop, which would push the line over the edge.
    where.width -= 2
    with progress.Progress(*columns, console=where) as bars:
        drawn = Bar(bars, label, total, estimated)
        yield drawn
        drawn.end()


class Document(NamedTuple):
    """A page of Markdown, and the console that draws it."""

    console: Console
    markdown: "Markdown"


def open_document(text: str, width: int, colours: bool) -> Document:
    """Return a page of Markdown for the console's ``print``."""
    from rich.markdown import Markdown  # as slow to load as all the rest of rich

    drawn = Console(
        file=StringIO(),
        width=width,
        force_terminal=colours,
        color_system="standard" if colours else None,
        emoji=False,
    )
    # A terminal's own link would show a path that leads nowhere.
    return Document(drawn, Markdown(text, hyperlinks=False))
