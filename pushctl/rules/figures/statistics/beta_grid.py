"""
Densities of several rates on one grid, and their sums from below.

One grid of 4,001 points, over nine standard deviations on both sides of every arm, serves
all arms. Where one arm is known much better than another, or two are far apart, the grid
is laid in pieces that begin and end with the arms, so that none falls between two points.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import add

_POINTS = 4001
_PIECE_POINTS = 801
_DEVIATIONS = 9
# The tail of a rate with few events falls like exp(-x), not like exp(-x^2): after so many
# events more it is below 1e-13.
_TAIL_EVENTS = 30
_POINTS_PER_DEVIATION = 50  # at least, in one grid

Shape = tuple[int, int]  # alpha and beta of a Beta distribution, both at least 1


@dataclass(frozen=True, slots=True)
class Piece:
    """Points *step* apart; *first* to *last* are their places in the grid's lists."""

    step: float
    first: int
    last: int

    def cut(self, values: Sequence[float]) -> Sequence[float]:
        return values[self.first : self.last + 1]


@dataclass(frozen=True, slots=True)
class Grid:
    """*densities* and *below* have a list for each arm: the density, P(rate <= x)."""

    pieces: tuple[Piece, ...]
    densities: tuple[list[float], ...]
    below: tuple[list[float], ...]

    @property
    def points(self) -> int:
        return self.pieces[-1].last + 1

    def integrate(self, values: Sequence[float]) -> float:
        """Return the integral of *values*, one for each point."""
        return math.fsum(_integrate(piece.cut(values), piece.step) for piece in self.pieces)


def make_grid(shapes: Sequence[Shape]) -> Grid:
    """Return the grid of all arms with these *shapes*."""
    ends = [_find_ends(shape) for shape in shapes]
    low, high = min(each[0] for each in ends), max(each[1] for each in ends)
    narrowest = min(_compute_deviation(shape) for shape in shapes)
    if (high - low) / (_POINTS - 1) <= narrowest / _POINTS_PER_DEVIATION:
        borders, count = [low, high], _POINTS
    else:
        borders, count = sorted({end for pair in ends for end in pair}), _PIECE_POINTS

    pieces, points = _lay(borders, count)
    densities, below = [], []
    for shape in shapes:
        row = _list_densities(points, shape)
        sums = _accumulate(row, pieces)
        whole = sums[-1]
        densities.append([each / whole for each in row])
        below.append([each / whole for each in sums])
    return Grid(pieces, tuple(densities), tuple(below))


def _lay(borders: Sequence[float], count: int) -> tuple[tuple[Piece, ...], list[float]]:
    pieces: list[Piece] = []
    points: list[float] = []
    for start, end in pairwise(borders):
        step, first = (end - start) / (count - 1), len(points)
        points += [min(1.0, start + i * step) for i in range(count)]
        pieces.append(Piece(step, first, len(points) - 1))
    return tuple(pieces), points


def _find_ends(shape: Shape) -> tuple[float, float]:
    alpha, beta = shape
    mean, tail = alpha / (alpha + beta), _TAIL_EVENTS / (alpha + beta)
    reach = _DEVIATIONS * _compute_deviation(shape) + tail
    return max(0.0, mean - reach), min(1.0, mean + reach)


def _compute_deviation(shape: Shape) -> float:
    alpha, beta = shape
    whole = alpha + beta
    return math.sqrt(alpha * beta / (whole + 1)) / whole


def _list_densities(points: Sequence[float], shape: Shape) -> list[float]:
    """
    Return the densities at *points*, as multiples of that at the mode.

    By log1p of the distance from the mode: lgamma loses digits where counts are large.
    """
    hits, misses = shape[0] - 1, shape[1] - 1
    if not hits + misses:
        return [1.0] * len(points)
    mode = hits / (hits + misses)
    exp, log1p, never = math.exp, math.log1p, -math.inf
    logs = [0.0] * len(points)
    # A point may be 0 or 1, or be rounded to it.
    if hits:
        ups = [(x - mode) / mode for x in points]
        logs = [hits * log1p(up) if up > -1 else never for up in ups]
    if misses:
        downs = [(mode - x) / (1 - mode) for x in points]
        parts = [misses * log1p(down) if down > -1 else never for down in downs]
        logs = list(map(add, logs, parts))
    return list(map(exp, logs))


def _accumulate(values: Sequence[float], pieces: Sequence[Piece]) -> list[float]:
    """Return the integrals up to each point."""
    sums = [0.0]
    for piece in pieces:
        # The last point of a piece is the first of the next.
        begun = sums[piece.first - 1] if piece.first else 0.0
        parts = _list_parts(piece.cut(values), piece.step)
        sums[piece.first :] = accumulate(parts, initial=begun)
    return sums


def _list_parts(row: Sequence[float], step: float) -> list[float]:
    """Return the integrals between neighbours: of the cubic through the four nearest points."""
    unit = step / 24
    inner = zip(row, row[1:], row[2:], row[3:], strict=False)
    parts = [unit * (13 * (b + c) - a - d) for a, b, c, d in inner]
    first = unit * (9 * row[0] + 19 * row[1] - 5 * row[2] + row[3])
    last = unit * (9 * row[-1] + 19 * row[-2] - 5 * row[-3] + row[-4])
    return [first, *parts, last]


def _integrate(row: Sequence[float], step: float) -> float:
    """Return the sum of ``_list_parts``: every value once, but for the ends (Gregory)."""
    ends = zip((-16, 7, -4, 1), row, reversed(row), strict=False)
    return step * (math.fsum(row) + sum(by * (a + b) for by, a, b in ends) / 24)
