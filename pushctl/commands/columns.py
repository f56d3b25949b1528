"""Columns of the tables in rules/figures."""

from pushctl.output import Column, Format, Kind
from pushctl.rules.figures.figure import Table


def of(table: Table, format: Format) -> tuple[Column, ...]:
    return tuple(
        Column(it.name, it.title, kind=Kind(it.unit), spare=it.spare, usual=it.usual)
        for it in (*table.dimensions, *table.figures)
        if format is not Format.TABLE or it not in table.unlisted
    )
