"""Show the calendar of what goes out."""

import sys
from dataclasses import asdict
from datetime import date as Date
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption, Text
from pushctl.rules.wording import counted

if TYPE_CHECKING:
    from pushctl.rules.calendars import Entry, Special

_COLUMNS = (
    output.Column("day", "Day"),
    output.Column("time", "Time", usual=""),
    output.Column("kind", "Kind"),
    output.Column("what", "What"),
    output.Column("people", "People", kind=output.Kind.NUMBER),
    output.Column("where", "Countries", usual=""),
    output.Column("sites", "Sites", kind=output.Kind.LIST, spare=True),
    output.Column("note", "Note", usual=""),
)
_EMPTY = "Nothing goes out, and nobody waits for it."
_STYLES = {
    "message": "green",
    "gap": "yellow",
    "holiday": "cyan",
    "overload": "yellow",
    "quiet": "yellow",
}
_INDENT = " " * 14


def command(
    ctx: typer.Context,
    weeks: Annotated[int, typer.Option(min=1, max=26, help="How far to look ahead.")] = 5,
    site: Annotated[Text, typer.Option(help="Only this site.")] = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Show what goes out when, and what is missing.

    \b
    pushctl plan --weeks 5

    It has scheduled messages and series, the public holidays of your subscribers' countries
    with a proposal, weeks in which somebody gets nothing (gap), more messages than
    [frequency] allows (overload), and messages that wait for quiet hours (quiet). Triggers
    answer to what people do, so only their holidays are in it.
    """
    from pushctl.jobs.campaigns import calendar
    from pushctl.rules import timing

    here = context.of(ctx)
    specials = _list_holidays(here, weeks)
    found = calendar.plan_weeks(
        here.store, here.config, here.now, weeks, site=site, specials=specials
    )
    if output.is_for_people(format) and found:
        _show(found, timing.local(here.now, here.config.zone).date())
    else:
        output.rows(map(_build_row, found), _COLUMNS, format, empty=_EMPTY)


def _list_holidays(here: context.Context, weeks: int) -> "list[Special]":
    from pushctl.jobs.triggers import holidays
    from pushctl.rules import holidays as days
    from pushctl.rules.calendars import Special

    if not days.is_installed():
        output.warn("Holidays are not in it: pip install 'pushctl[holidays]'")
        return []
    today = holidays.find_today(here.config, here.now)
    return [
        Special(
            Date.fromisoformat(one.day),
            one.country,
            one.holiday,
            one.people,
            one.state == "estimated",
            bool(one.triggers),
        )
        for one in holidays.list_coming(here.config, here.store, today, weeks * 7 - 1)
    ]


def _show(found: "list[Entry]", today: Date) -> None:
    """Print the calendar by weeks: a line for each entry, its countries and note below."""
    week = None
    for one in found:
        if (number := (one.day - today).days // 7) != week:
            week = number
            first, last = (today + timedelta(days=7 * week + step) for step in (0, 6))
            output.answer(f"{first:%a %d %b} to {last:%a %d %b %Y}", "bold")
        when = f"{one.day:%d %b}" if one.kind == "gap" else f"{one.day:%a %d %b}"
        mark = f"  {when:10}  {one.time or one.kind:12}"
        people = counted(one.people, "person", "people")
        output.answer(f"{mark} {one.what}: {people}", _STYLES.get(one.kind), mark)
        for more in filter(None, (one.where, one.note)):
            output.answer(output.fit(_INDENT + more, sys.stdout, len(_INDENT)), "dim")


def _build_row(one: "Entry") -> dict[str, Any]:
    return asdict(one) | {"where": one.where, "sites": one.sites, "day": one.day.isoformat()}
