"""
Charts as SVG: small, without script, and readable by a screen reader.

Colours come from the page's style by class names. Each chart has its title and what it shows
in words. Time runs from the side where reading begins: *mirrored* for right to left. Values
of None are unknown and leave a gap.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape as escape_html
from math import ceil

from pushctl.rules import wording

Show = Callable[[float], str]
Point = tuple[str, float | None]

_WIDTH = 640
_MARGIN = 8
_LABELS = 62  # of the value axis, at least
_LETTER = 6.4  # how wide one of its letters is, about
_HEAD = 24  # of a chart that shows its own title
_ROW = 26  # of a chart of rows
LEVELS = 4  # shades of a heat map


@dataclass(frozen=True, slots=True)
class Frame:
    """
    What all charts have: *title*, *about* in words, and which way they run.

    *headed*: the title stands above it, for its section has another.
    """

    title: str
    about: str
    mirrored: bool = False
    headed: bool = False

    def x(self, value: float) -> float:
        return _WIDTH - value if self.mirrored else value

    def box(self, x: float, width: float) -> float:
        """Return the left edge of a box that begins at *x*."""
        return _WIDTH - x - width if self.mirrored else x

    def draw(self, height: float, parts: Sequence[str], kind: str) -> str:
        body, top = "".join(parts), 0
        if self.headed:
            body, top = self.text(0, 8 - _HEAD / 2, self.title, "value") + body, _HEAD
        return (
            f'<svg class="chart {kind}" viewBox="0 {-top} {_WIDTH} {_trim(height + top)}" '
            f'role="img" '
            f'aria-label="{escape(f"{self.title}. {self.about}")}" '
            f'xmlns="http://www.w3.org/2000/svg"><title>{escape(self.title)}</title>'
            f"<desc>{escape(self.about)}</desc>{body}</svg>"
        )

    def text(
        self, x: float, y: float, text: str, kind: str = "label", anchor: str = "start"
    ) -> str:
        """Return a text; *anchor* start, middle or end, as reading goes."""
        # The text's own direction must not move it: its place is that of its page.
        if self.mirrored and anchor != "middle":
            anchor = "end" if anchor == "start" else "start"
        return (
            f'<text class="{kind}" x="{_trim(self.x(x))}" y="{_trim(y)}" '
            f'text-anchor="{anchor}" direction="ltr">{_isolate(text)}</text>'
        )


def draw_columns(
    frame: Frame,
    points: Sequence[Point],
    show: Show,
    *,
    second: Sequence[float | None] = (),
    height: float = 200,
) -> str:
    """
    Draw a column for each of *points*; those of *second* stand beside them, as outlines.

    Values below zero hang from the zero line.
    """
    values = [value for _, value in points] + list(second)
    axis = _Axis.over(values, height, show)
    parts = axis.draw(frame)
    room = (_WIDTH - axis.left - _MARGIN) / max(len(points), 1)
    wide = room * (0.38 if second else 0.7)
    for place, (label, value) in enumerate(points):
        left = axis.left + place * room + (room - wide * (2 if second else 1)) / 2
        parts.append(_draw_column(frame, axis, left, wide, value, "bar", label, show))
        if second:
            other = second[place]
            parts.append(
                _draw_column(frame, axis, left + wide, wide, other, "other", label, show)
            )
    parts += _draw_dates(frame, axis, [label for label, _ in points], room)
    return frame.draw(height, parts, "columns")


def _draw_column(
    frame: Frame,
    axis: "_Axis",
    left: float,
    wide: float,
    value: float | None,
    kind: str,
    label: str,
    show: Show,
) -> str:
    if value is None:
        return frame.text(left + wide / 2, axis.y(0) - 4, "·", "dim", "middle")
    top, foot = axis.y(max(value, 0)), axis.y(min(value, 0))
    kind = f"{kind} loss" if value < 0 else kind
    return (
        f'<rect class="{kind}" x="{_trim(frame.box(left, wide))}" y="{_trim(top)}" '
        f'width="{_trim(max(wide - 1, 1))}" height="{_trim(max(foot - top, 0))}">'
        f"<title>{escape(f'{label}: {show(value)}')}</title></rect>"
    )


def draw_line(frame: Frame, points: Sequence[Point], show: Show, *, height: float = 180) -> str:
    """Draw a line through *points*, with a gap where a value is unknown."""
    axis = _Axis.over([value for _, value in points], height, show, from_zero=False)
    parts = axis.draw(frame)
    room = (_WIDTH - axis.left - _MARGIN) / max(len(points), 1)
    run: list[str] = []
    runs = [run]
    for place, (_, value) in enumerate(points):
        if value is None:
            runs.append(run := [])
            continue
        x = frame.x(axis.left + (place + 0.5) * room)
        run.append(f"{_trim(x)},{_trim(axis.y(value))}")
    for run in runs:
        if len(run) == 1:
            across, down = run[0].split(",")
            parts.append(f'<circle class="bar" cx="{across}" cy="{down}" r="3"/>')
        elif run:
            parts.append(f'<polyline class="line" points="{" ".join(run)}"/>')
    parts += _draw_dates(frame, axis, [label for label, _ in points], room)
    return frame.draw(height, parts, "curve")


@dataclass(frozen=True, slots=True)
class Range:
    """A rate with its interval: a dot and its whiskers; None where it is unknown."""

    label: str
    value: float | None
    low: float | None
    high: float | None
    note: str = ""  # behind the value: "1,203 of 17,480"


def draw_ranges(
    frame: Frame, rows: Sequence[Range], show: Show, *, mark: float | None = None
) -> str:
    """Draw *rows* below each other on one scale from zero; *mark*: a line at a known rate."""
    most = max([row.high or 0 for row in rows] + [mark or 0], default=0) or 1
    left, right = 210, _WIDTH - 170

    def place(value: float) -> float:
        return left + value / most * (right - left)

    height = len(rows) * _ROW + 8
    parts = []
    if mark is not None:
        at = _trim(frame.x(place(mark)))
        parts.append(f'<line class="mark" x1="{at}" x2="{at}" y1="0" y2="{_trim(height)}"/>')
    for number, row in enumerate(rows):
        y = number * _ROW + _ROW / 2 + 4
        parts.append(frame.text(0, y + 4, _shorten(row.label, 30)))
        if row.value is None:
            parts.append(frame.text(right + 12, y + 4, "–", "dim"))
            continue
        if row.low is not None and row.high is not None:
            ends = frame.x(place(row.low)), frame.x(place(row.high))
            parts.append(
                f'<line class="whisker" x1="{_trim(ends[0])}" x2="{_trim(ends[1])}" '
                f'y1="{_trim(y)}" y2="{_trim(y)}"/>'
            )
        x = _trim(frame.x(place(row.value)))
        parts.append(f'<circle class="bar" cx="{x}" cy="{_trim(y)}" r="4.5"/>')
        parts.append(frame.text(right + 12, y + 4, show(row.value), "value"))
        parts.append(frame.text(right + 62, y + 4, row.note, "dim"))
    return frame.draw(height, parts, "ranges")


def draw_funnel(
    frame: Frame, stages: Sequence[tuple[str, float | None, str]], show: Show
) -> str:
    """Draw *stages* (name, how many, note) as bars below each other, the first is whole."""
    most = max((value for _, value, _ in stages if value is not None), default=0) or 1
    left, right = 150, _WIDTH - 220
    parts = []
    for number, (name, value, note) in enumerate(stages):
        y = number * (_ROW + 6) + 4
        parts.append(frame.text(0, y + 18, _shorten(name, 22)))
        wide = 0.0 if value is None else max(value / most * (right - left), 1)
        parts.append(
            f'<rect class="bar" x="{_trim(frame.box(left, wide))}" y="{_trim(y)}" '
            f'width="{_trim(wide)}" height="{_ROW}"/>'
        )
        text = "–" if value is None else show(value)
        parts.append(frame.text(right + 12, y + 18, text, "value"))
        parts.append(frame.text(right + 82, y + 18, note, "dim"))
    return frame.draw(len(stages) * (_ROW + 6) + 4, parts, "funnel")


def draw_heat(
    frame: Frame,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    show: Show,
) -> str:
    """Draw a cell for each value, shaded in four levels; unknown ones are empty."""
    left, top, cell = 56.0, 22.0, 22.0
    wide = (_WIDTH - left - _MARGIN) / max(len(columns), 1)
    known = [value for row in values for value in row if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    parts = [
        frame.text(left + (place + 0.5) * wide, 14, name, "dim", "middle")
        for place, name in enumerate(columns)
        if len(columns) <= 12 or place % 2 == 0
    ]
    for number, (name, line) in enumerate(zip(rows, values, strict=True)):
        y = top + number * cell
        parts.append(frame.text(0, y + 15, name))
        for place, value in enumerate(line):
            kind = "unknown" if value is None else f"h{_rank(value, low, high)}"
            said = "–" if value is None else show(value)
            x = frame.box(left + place * wide, wide - 1)
            about = escape(f"{name} {columns[place]}: {said}")
            parts.append(
                f'<rect class="{kind}" x="{_trim(x)}" y="{_trim(y)}" width="{_trim(wide - 1)}" '
                f'height="{_trim(cell - 1)}"><title>{about}</title></rect>'
            )
    height = top + len(rows) * cell
    if high > low:
        parts += _draw_legend(frame, low, high, height + 6, show)
        height += 30
    return frame.draw(height, parts, "heat")


def _draw_legend(frame: Frame, low: float, high: float, y: float, show: Show) -> list[str]:
    parts, step = [], (high - low) / LEVELS
    for level in range(LEVELS):
        x = 56 + level * 130
        parts.append(
            f'<rect class="h{level}" x="{_trim(frame.box(x, 18))}" y="{_trim(y)}" '
            f'width="18" height="14"/>'
        )
        parts.append(frame.text(x + 24, y + 12, f"≥ {show(low + level * step)}", "dim"))
    return parts


def draw_spark(values: Sequence[float | None], *, mirrored: bool = False) -> str:
    """Draw a small line without axes; it stands beside its figure, which says it all."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    wide, high_px = 120, 28
    points = []
    for place, value in enumerate(values):
        if value is None:
            continue
        x = place / (len(values) - 1) * (wide - 4) + 2
        y = high_px - 2 - ((value - low) / (high - low) if high > low else 0.5) * (high_px - 4)
        points.append(f"{_trim(wide - x if mirrored else x)},{_trim(y)}")
    return (
        f'<svg class="spark" viewBox="0 0 {wide} {high_px}" aria-hidden="true" '
        f'xmlns="http://www.w3.org/2000/svg">'
        f'<polyline class="line" points="{" ".join(points)}"/></svg>'
    )


@dataclass(frozen=True, slots=True)
class _Axis:
    """The value axis: round steps from *low* to *high*."""

    low: float
    high: float
    height: float
    show: Show

    @classmethod
    def over(
        cls, values: Sequence[float | None], height: float, show: Show, from_zero: bool = True
    ) -> "_Axis":
        known = [value for value in values if value is not None] or [0.0]
        low, high = min(known), max(known)
        if from_zero:
            low, high = min(low, 0.0), max(high, 0.0)
        if high == low:
            high = low + 1
        step = _round_step((high - low) / 3)
        low = low // step * step
        high = -(-high // step) * step
        return cls(low, high, height, show)

    def y(self, value: float) -> float:
        room = self.height - 34
        return 8 + room - (value - self.low) / (self.high - self.low) * room

    @property
    def steps(self) -> list[float]:
        step = _round_step((self.high - self.low) / 3)
        return [
            self.low + place * step for place in range(int((self.high - self.low) / step + 1.5))
        ]

    @property
    def left(self) -> float:
        """Return where the longest of its labels ends, and the columns begin."""
        longest = max(len(self.show(value)) for value in self.steps)
        return min(max(_LABELS, longest * _LETTER + 12), _WIDTH / 3)

    def draw(self, frame: Frame) -> list[str]:
        step = _round_step((self.high - self.low) / 3)
        parts = []
        for value in self.steps:
            y = _trim(self.y(value))
            kind = "zero" if abs(value) < step / 1000 else "grid"
            first, last = frame.x(self.left), frame.x(_WIDTH - _MARGIN)
            parts.append(
                f'<line class="{kind}" x1="{_trim(first)}" x2="{_trim(last)}" y1="{y}" '
                f'y2="{y}"/>'
            )
            parts.append(
                frame.text(self.left - 6, self.y(value) + 4, self.show(value), "dim", "end")
            )
        return parts


def _round_step(least: float) -> float:
    """Return the next of 1, 2, 5 times a power of ten."""
    least, power = max(least, 1e-12), 1.0
    while power > least:
        power /= 10
    while power * 10 <= least:
        power *= 10
    return next(power * step for step in (1, 2, 5, 10) if power * step >= least)


def _draw_dates(frame: Frame, axis: "_Axis", labels: Sequence[str], room: float) -> list[str]:
    """Return the labels below the columns, as many as have room; the last ends inside."""
    every = max(1, ceil(56 / room))
    middles = [axis.left + (place + 0.5) * room for place in range(len(labels))]
    return [
        frame.text(min(middle, _WIDTH - 28), axis.height - 6, label, "dim", "middle")
        for place, (middle, label) in enumerate(zip(middles, labels, strict=True))
        if place % every == 0
    ]


def _rank(value: float, low: float, high: float) -> int:
    if high == low:
        return LEVELS // 2
    return min(int((value - low) / (high - low) * LEVELS), LEVELS - 1)


def _shorten(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1].rstrip()}…"


def escape(text: str) -> str:
    return escape_html(wording.clean(text))


def _isolate(text: str) -> str:
    # First strong isolate: a name in Arabic does not turn the numbers around it.
    return f"\u2068{escape(text)}\u2069" if not text.isascii() else escape(text)


def _trim(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
