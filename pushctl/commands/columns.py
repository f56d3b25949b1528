"""Columns of the tables in rules/figures."""

from pushctl.output import Column, Kind
from pushctl.rules.figures.figure import Bounds, Table


def of(table: Table) -> tuple[Column, ...]:
    return tuple(
        Column(
            it.name,
            it.title,
            kind=Kind(it.unit),
            spare=it.spare,
            usual=it.usual,
            bounded=it.bounds is not Bounds.NONE,
        )
        for it in (*table.dimensions, *table.figures)
    )
