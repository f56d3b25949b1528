"""
Charts beside tables, on a terminal only: pipes, CSV and JSON have the numbers.

With ``--plain`` each is a sentence or two, as a screen reader reads it.
"""

import sys
from collections.abc import Callable, Sequence

from pushctl.errors import UsageError
from pushctl.output.streams import answer, clean, fit, has_colours, is_plain, lines, paint

Point = tuple[str, float | None]  # a label, and a value; None is unknown
Show = Callable[[float], str]  # a value as people read it: wording.share, wording.number

# Blue to yellow by brightness, so that those who see no red or green see all of it.
_HEAT = ((24, 15), (31, 15), (73, 16), (221, 16))  # background, letters
_CURVE_LINES = 12


def sparkline(title: str, points: Sequence[Point], show: Show) -> None:
    """Print how a value went, in one line: its first, the line, its last."""
    if not sys.stdout.isatty() or not points:
        return
    from pushctl import charts

    named = [(clean(label), value) for label, value in points]
    if is_plain():
        _print_sentence(charts.describe_points(clean(title), named, show))
        return
    known = [value for _, value in named if value is not None]
    ends = [show(each) for each in (known[0], known[-1])] if known else ["-", "-"]
    before, behind = f"{clean(title)} {ends[0]} ", f" {ends[1]}"
    room = _measure() - len(before) - len(behind)
    drawn = charts.draw_sparkline(
        [value for _, value in named], room, ascii_only=_is_ascii_only()
    )
    lines([before + paint(drawn, "cyan", sys.stdout) + behind])


def bars(title: str, points: Sequence[Point], show: Show) -> None:
    """Print a bar for each of *points*; with --plain, their values alone."""
    if not sys.stdout.isatty() or not points:
        return
    from pushctl import charts

    named = [(clean(label), value) for label, value in points]
    answer(title, "bold")
    if is_plain():
        lines(f"{name}: {'unknown' if value is None else show(value)}" for name, value in named)
        return
    lines(charts.draw_bars(named, show, _measure(), ascii_only=_is_ascii_only()))


def heat(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    show: Show,
) -> None:
    """Print a heat map: a list of *values* for each of *rows*, one for each of *columns*."""
    if not sys.stdout.isatty():
        return
    from pushctl import charts

    grid = charts.Grid(list(map(clean, rows)), list(map(clean, columns)), values)
    if is_plain():
        for sentence in charts.describe_grid(clean(title), grid, show):
            _print_sentence(sentence)
        return
    answer(title, "bold")
    drawn = charts.draw_grid(grid, show, _measure(), ascii_only=_is_ascii_only())
    lines("".join(_paint_piece(*piece) for piece in line) for line in drawn)


def curve(title: str, points: Sequence[Point], show: Show) -> None:
    """
    Print a curve with its axes by plotext; raises UsageError where that is missing.

    Unknown values leave a gap in it.
    """
    if not sys.stdout.isatty() or not points:
        return
    if is_plain():
        sparkline(title, points, show)
        return
    try:
        import plotext
    except ImportError:
        raise UsageError("curves need another package: pip install 'pushctl[charts]'") from None

    known = [(place, value) for place, (_, value) in enumerate(points) if value is not None]
    if not known:
        answer(f"{clean(title)}: nothing is known yet")
        return
    answer(title, "bold")
    figure = plotext.figure
    figure.clear()
    figure.theme("clear")
    figure.plot_size(_measure() - 1, _CURVE_LINES)
    marker = "*" if _is_ascii_only() else "braille"
    for run in _split_runs(known):
        figure.draw(figure.signal(*map(list, zip(*run, strict=True)), marker=marker).lines())
    places = sorted({round(share * (len(points) - 1)) for share in (0, 1 / 3, 2 / 3, 1)})
    figure.ruler("x").ticks(places, [clean(points[place][0]) for place in places])
    low, high = min(value for _, value in known), max(value for _, value in known)
    steps = [low + (high - low) * part / 3 for part in range(4)] if high > low else [low]
    figure.ruler("y").ticks(steps, [show(step) for step in steps])
    lines(line.rstrip() for line in plotext.uncolorize(str(figure.build())).splitlines())


def _split_runs(known: Sequence[tuple[int, float]]) -> list[list[tuple[int, float]]]:
    """Return *known* (place, value) in runs without a gap."""
    runs: list[list[tuple[int, float]]] = []
    for place, value in known:
        if not runs or runs[-1][-1][0] != place - 1:
            runs.append([])
        runs[-1].append((place, value))
    return runs


def _paint_piece(text: str, level: int | None) -> str:
    if level is None or not has_colours(sys.stdout):
        return text
    background, letters = _HEAT[level]
    return f"\x1b[38;5;{letters};48;5;{background}m{text}\x1b[0m"


def _print_sentence(text: str) -> None:
    lines([fit(text, sys.stdout)])


def _measure() -> int:
    import shutil

    return shutil.get_terminal_size().columns


def _is_ascii_only() -> bool:
    """Return whether the terminal's encoding has no blocks and shades."""
    try:
        "▁█░·⠿".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return True
    return False
