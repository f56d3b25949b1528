"""List and show orders."""

from dataclasses import replace
from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption, Text
from pushctl.jobs.figures.tables import orders as figures
from pushctl.output import Column, Format, Kind
from pushctl.rules import wording

app = typer.Typer(no_args_is_help=True, help="List and show orders.")

_HEAD = (
    Column("at", "Time", kind=Kind.TIME),
    Column("number", "Order"),
    Column("site", "Site", spare=True),
    Column("source", "Source", spare=True),
    Column("state", "State", usual="paid"),
    Column("amount", "Amount", kind=Kind.NUMBER),
    Column("currency", "Currency"),
    Column("refunded", "Given back", kind=Kind.NUMBER, usual=None),
    Column("test", "Test", spare=True, usual=False),
)
_EXACT = (
    Column("minor", "Minor units"),
    Column("exponent", "Exponent"),
    Column("refunded_minor", "Minor units given back"),
)
_ITEMS = Column("items", "Items", kind=Kind.NUMBER, spare=True)
_REASON = Column("unmatched", "Unmatched", usual=None)
_CAMPAIGN = Column("campaign", "Campaign", usual=None)
_BECAUSE = (
    Column("credit", "Credit", spare=True, usual=None),
    Column("because", "Because", spare=True, usual=None),
)
_SUBSCRIBER = Column("subscriber", "Subscriber", spare=True)
_LIST = (
    *_HEAD, _ITEMS, _CAMPAIGN, _SUBSCRIBER, replace(_REASON, spare=True), *_BECAUSE
)  # fmt: skip
_UNMATCHED = (*_HEAD, Column("alias", "Alias", usual=None), _REASON)
_ONE = (
    *_LIST,
    Column("found_by", "Found by", usual=None),
    Column("codes", "Promo codes", kind=Kind.LIST, usual=[]),
)
_LINES = (
    Column("id", "Product"),
    Column("name", "Name"),
    Column("quantity", "Quantity", kind=Kind.NUMBER),
    Column("price", "Price", kind=Kind.NUMBER),
    Column("currency", "Currency"),
)

_SiteOption = Annotated[Text, typer.Option(help="Only this site.")]
_SinceOption = Annotated[Text, typer.Option(help="Only of this time: 30d.")]
_LastOption = Annotated[int | None, typer.Option(help="Only the newest ones.", min=1)]


@app.command("list")
def list_(
    ctx: typer.Context,
    site: _SiteOption = None,
    since: _SinceOption = None,
    last: _LastOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """
    List orders, newest first, and their sums.

    \b
    pushctl orders list --since 30d
    pushctl orders list --site shop --csv

    Campaign is the one whose message has brought the order about, by a click or a promo
    code ("direct"), or that was only shown ("influenced"): docs/attribution.md. In CSV and
    JSON, amount is minor divided by 10 to the power of exponent.
    """
    found = _load(ctx, site, since, last)
    output.rows(found, _add_exact(_LIST, format), format, empty="No order yet.")
    output.say(figures.describe_sums(found) if found else _HOW)


_HOW = (
    "A purchase with an order number becomes one: "
    'pushctl.track("purchase", { order: "1007", total: 49, currency: "EUR" })'
)


@app.command()
def unmatched(
    ctx: typer.Context,
    site: _SiteOption = None,
    since: _SinceOption = None,
    last: _LastOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """
    List orders that belong to no subscriber, with the reason.

    \b
    pushctl orders unmatched --since 7d

    Somebody who subscribes or logs in within 60 days still gets theirs. Orders of pages
    always belong to the subscriber whose browser sent them. Orders of people who are
    erased or asked not to be tracked are not listed.
    """
    found = _load(ctx, site, since, last, unmatched=True)
    shown = _add_exact(_UNMATCHED, format)
    output.rows(found, shown, format, empty="Every order belongs to a subscriber.")


@app.command()
def show(
    ctx: typer.Context,
    number: Annotated[str, typer.Argument(help="The shop's number of the order.")],
    site: _SiteOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """
    Show an order and what was bought.

    \b
    pushctl orders show 1007
    pushctl orders show 1007 --site shop --json

    Several sites may have an order of that number; all are shown.
    """
    here = context.of(ctx)
    found = figures.find(here.config, here.store, number, site)
    if format is not Format.TABLE:
        if format in (Format.CSV, Format.EXCEL):
            found = [{**one, "lines": wording.json_text(one["lines"])} for one in found]
        output.rows(found, (*_add_exact(_ONE, format), Column("lines", "Lines")), format)
        return
    for order in found:
        output.record(order, _ONE)
        output.gap()
        if order["lines"]:
            output.rows(order["lines"], _LINES)


def _load(
    ctx: typer.Context, site: str | None, since: str | None, last: int | None,
    *, unmatched: bool = False,
) -> list[figures.Shown]:  # fmt: skip
    from pushctl.rules import timing

    here = context.of(ctx)
    begin = here.now - timing.duration(since) if since else 0
    return figures.load(
        here.config, here.store, site=site, since=begin, last=last, unmatched=unmatched
    )


def _add_exact(columns: tuple[Column, ...], format: Format) -> tuple[Column, ...]:
    return columns if format is Format.TABLE else (*columns, *_EXACT)
