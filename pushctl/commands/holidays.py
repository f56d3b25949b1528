"""List the public holidays of the subscribers' countries; confirm estimated days."""

from datetime import date as Date
from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption
from pushctl.errors import InputError
from pushctl.rules.wording import counted

app = typer.Typer(
    no_args_is_help=True,
    help="""
    List and confirm public holidays.

    \b
    pushctl holidays list
    pushctl holidays confirm "Eid al-Fitr" 2027-03-10 --country EG
    """,
)

_COLUMNS = (
    output.Column("day", "Day"),
    output.Column("country", "Country"),
    output.Column("holiday", "Holiday"),
    output.Column("people", "People", kind=output.Kind.NUMBER),
    output.Column("state", "State", usual="known"),
    output.Column("triggers", "Triggers", usual="", spare=True),
)
_NONE = "No holiday in this time, or no country of your subscribers is known."

CountryOption = Annotated[
    list[str] | None, typer.Option("--country", help="Only this country: TR. May be repeated.")
]


@app.command("list")
def list_(
    ctx: typer.Context,
    country: CountryOption = None,
    days: Annotated[
        int, typer.Option("--days", min=1, max=730, help="How far to look ahead.")
    ] = 90,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    List coming public holidays where your subscribers are.

    \b
    pushctl holidays list --days 365 --country TR

    "estimated" is a day that hangs on the moon: triggers send nothing on it until you
    confirm it.
    """
    from pushctl.jobs.triggers import holidays

    here = context.of(ctx)
    today = holidays.find_today(here.config, here.now)
    found = holidays.list_coming(here.config, here.store, today, days, country or ())
    output.rows(found, _COLUMNS, format, empty=_NONE)


@app.command()
def confirm(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="A holiday, as `list` has it.")],
    day: Annotated[str, typer.Argument(help="Its first day: 2027-03-10.")],
    country: CountryOption = None,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Take the confirmation back.")
    ] = False,
) -> None:
    """
    Confirm the day of an estimated holiday.

    \b
    pushctl holidays confirm "Eid al-Fitr" 2027-03-10 --country EG

    Its messages go out on that day. Without --country it holds for each country of your
    subscribers that has this holiday within three days of that day. A later word replaces
    an earlier one.
    """
    from pushctl.jobs.triggers import holidays

    here, on = context.of(ctx), _read_day(day)
    where = holidays.confirm(
        here.config, here.store, name, on, country or (), here.now, withdraw=withdraw
    )
    said = "is not confirmed any more" if withdraw else f"is on {on}"
    many = counted(len(where), "country", "countries")
    output.say(f"{name} {said} in {many}: {', '.join(where)}.")


def _read_day(text: str) -> Date:
    try:
        return Date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text!r} is no day. Write it like 2027-03-10.") from None
