"""The columns of declared figures (rules/figures), each printed as its unit demands."""

from pushctl.output import Column, Format, Kind
from pushctl.rules.figures.figure import Table, Unit

_KINDS = {
    Unit.COUNT: Kind.NUMBER,
    Unit.SHARE: Kind.SHARE,
    Unit.MILLISECONDS: Kind.DURATION,
    Unit.MOMENT: Kind.TIME,
    Unit.TEXT: Kind.TEXT,
}


def of(table: Table, format: Format) -> tuple[Column, ...]:
    """Return the columns of *table* in *format*, in their order."""
    left_out = table.unlisted if format is Format.TABLE else ()
    return tuple(
        Column(it.name, it.title, kind=_KINDS[it.unit], spare=it.spare, usual=it.usual)
        for it in (*table.dimensions, *table.figures)
        if it not in left_out
    )
