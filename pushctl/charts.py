"""
Pictures made of letters: sparklines, bars and heat maps, and the same in words.

A value of None is unknown: it is drawn as "·", and no picture takes it for zero. Each chart
can also be described in sentences, for whoever has it read aloud. The caller cleans labels.
rich only measures here: like terminal.py, this is loaded where a terminal shows something.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

UNKNOWN = "·"
_LEVELS = "▁▂▃▄▅▆▇█"
_PLAIN_LEVELS = "_.-=+*#@"  # where the terminal has no other letters
_EIGHTHS = " ▏▎▍▌▋▊▉"
_SHADES = "░▒▓█"
_PLAIN_SHADES = ".:*#"

Show = Callable[[float], str]  # a value as people read it
Point = tuple[str, float | None]  # its label, and its value


@dataclass(frozen=True, slots=True)
class Grid:
    """
    Values in rows and columns, such as weekdays and hours.

    *values* has a list for each of *rows*, with a value for each of *columns*.
    """

    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float | None]]


def draw_sparkline(
    values: Sequence[float | None], room: int, *, ascii_only: bool = False
) -> str:
    """
    Return one letter for each of *values*, the lowest and the highest at the ends.

    More values than *room* columns are drawn as means of neighbours.
    """
    levels = _PLAIN_LEVELS if ascii_only else _LEVELS
    drawn = _merge(values, max(room, 1))
    known = [value for value in drawn if value is not None]
    if not known:
        return _unknown(ascii_only) * len(drawn)
    low, high = min(known), max(known)

    def draw(value: float | None) -> str:
        if value is None:
            return _unknown(ascii_only)
        if high == low:
            return levels[len(levels) // 2 - 1]
        return levels[round((value - low) / (high - low) * (len(levels) - 1))]

    return "".join(map(draw, drawn))


def draw_bars(
    points: Sequence[Point], show: Show, room: int, *, ascii_only: bool = False
) -> list[str]:
    """
    Return a line for each of *points*: label, bar, value; the bars begin at zero.

    Negative values have a bar of their size after a minus. Labels give way first where
    *room* is small.
    """
    if not points:
        return []
    texts = [UNKNOWN if value is None else show(value) for _, value in points]
    if ascii_only:
        texts = [text.replace(UNKNOWN, "?") for text in texts]
    right = max(map(cell_len, texts))
    left = min(max(cell_len(label) for label, _ in points), max((room - right) // 2, 8))
    bar = max(room - left - right - 2, 4)
    most = max((abs(value) for _, value in points if value is not None), default=0)
    lines = []
    for (label, value), text in zip(points, texts, strict=True):
        drawn = "" if value is None or not most else _draw_bar(value / most, bar, ascii_only)
        name = _cut(label, left)
        gaps = " " * (left - cell_len(name)), " " * (bar - len(drawn) + right - cell_len(text))
        lines.append(f"{name}{gaps[0]} {drawn}{gaps[1]} {text}")
    return lines


def _draw_bar(share: float, room: int, ascii_only: bool) -> str:
    sign = "-" if share < 0 else ""
    eighths = round(abs(share) * (room - len(sign)) * 8)
    if ascii_only:
        return sign + "#" * round(eighths / 8)
    full, rest = divmod(eighths, 8)
    return sign + "█" * full + (_EIGHTHS[rest] if rest else "")


def rank_grid(grid: Grid) -> list[list[int | None]]:
    """
    Return the level of each value, 0 to 3 between the lowest and the highest.

    Levels are of one width in value, so that two of the same shade are alike.
    """
    known = [value for row in grid.values for value in row if value is not None]
    if not known:
        return [[None for _ in row] for row in grid.values]
    low, high = min(known), max(known)
    steps = len(_SHADES)

    def rank(value: float | None) -> int | None:
        if value is None:
            return None
        return (
            steps // 2
            if high == low
            else min(int((value - low) / (high - low) * steps), steps - 1)
        )

    return [[rank(value) for value in row] for row in grid.values]


Piece = tuple[str, int | None]  # a text, and its level; None: no cell, or unknown


def draw_grid(
    grid: Grid, show: Show, room: int, *, ascii_only: bool = False
) -> list[list[Piece]]:
    """
    Return a heat map as lines of pieces: heading, rows, and what the shades mean.

    A cell is 3 columns wide, or 2, or 1, as *room* allows. Without colour the shades say
    it all.
    """
    shades = _PLAIN_SHADES if ascii_only else _SHADES
    left = max((cell_len(row) for row in grid.rows), default=0) + 1
    cell = max(1, min(3, (room - left) // max(len(grid.columns), 1)))
    lines: list[list[Piece]] = [[(" " * left + _draw_heading(grid.columns, cell), None)]]
    for name, levels in zip(grid.rows, rank_grid(grid), strict=True):
        line: list[Piece] = [(name + " " * (left - cell_len(name)), None)]
        for level in levels:
            mark = _unknown(ascii_only) if level is None else shades[level]
            line.append((mark * cell if level is not None else mark.ljust(cell), level))
        lines.append(line)
    return [*lines, *_draw_legend(grid, show, shades, ascii_only)]


def _draw_heading(columns: Sequence[str], cell: int) -> str:
    """Return the columns' names above their cells, as many as have room."""
    text = ""
    for place, name in enumerate(columns):
        if len(text) <= place * cell:
            text = text.ljust(place * cell) + name + " "
    return text.rstrip()


def _draw_legend(grid: Grid, show: Show, shades: str, ascii_only: bool) -> list[list[Piece]]:
    known = [value for row in grid.values for value in row if value is not None]
    unknown = any(value is None for row in grid.values for value in row)
    note: list[Piece] = []
    if known and min(known) < max(known):
        low, step = min(known), (max(known) - min(known)) / len(shades)
        for level, shade in enumerate(shades):
            note.append((shade * 2, level))
            note.append((f" from {show(low + level * step)}  ", None))
    elif known:
        note.append((f"all {show(known[0])}  ", None))
    if unknown:
        note.append((f"{_unknown(ascii_only)} too few", None))
    return [note] if note else []


def describe_points(title: str, points: Sequence[Point], show: Show) -> str:
    """Return what a sparkline shows: first, last, lowest, highest."""
    known = [(label, value) for label, value in points if value is not None]
    missing = len(points) - len(known)
    if not known:
        return f"{title}: nothing is known yet."
    first, last = known[0], known[-1]
    low = min(known, key=lambda point: point[1])
    high = max(known, key=lambda point: point[1])
    text = f"{title}: {show(first[1])} at {first[0]}, {show(last[1])} at {last[0]}"
    if high[1] > low[1]:
        text += f"; lowest {show(low[1])} at {low[0]}, highest {show(high[1])} at {high[0]}"
    return f"{text}; {missing} unknown." if missing else f"{text}."


def describe_grid(title: str, grid: Grid, show: Show, count: int = 3) -> list[str]:
    """Return the *count* highest and lowest cells of *grid* in words."""
    cells = [
        (value, f"{row} {column}")
        for row, values in zip(grid.rows, grid.values, strict=True)
        for column, value in zip(grid.columns, values, strict=True)
        if value is not None
    ]
    if not cells:
        return [f"{title}: too few to tell."]
    ranked = sorted(cells, key=lambda cell: cell[0], reverse=True)

    def name(some: Sequence[tuple[float, str]]) -> str:
        return ", ".join(f"{show(value)} ({label})" for value, label in some)

    unknown = sum(len(values) for values in grid.values) - len(cells)
    lines = [f"{title}: highest {name(ranked[:count])}."]
    if len(ranked) > count:
        lines.append(f"Lowest {name(ranked[::-1][:count])}.")
    if unknown:
        lines.append(f"{unknown} cells have too few to tell.")
    return lines


def _merge(values: Sequence[float | None], room: int) -> list[float | None]:
    """Return at most *room* values: means of neighbours that are known."""
    if len(values) <= room:
        return list(values)
    merged: list[float | None] = []
    for place in range(room):
        first, last = place * len(values) // room, (place + 1) * len(values) // room
        known = [value for value in values[first:last] if value is not None]
        merged.append(sum(known) / len(known) if known else None)
    return merged


def _cut(text: str, room: int) -> str:
    if cell_len(text) <= room:
        return text
    return set_cell_size(text, room - 1).rstrip() + "…"


def _unknown(ascii_only: bool) -> str:
    return "?" if ascii_only else UNKNOWN
