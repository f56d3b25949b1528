"""Forecast what a message, or a year of messages, will bring."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption, Names, Text
from pushctl.errors import UsageError
from pushctl.output import Column, Format, Kind
from pushctl.rules.wording import counted

if TYPE_CHECKING:
    from pushctl.rules.figures.forecasts.first_year import Assumption

_RANGE = (
    Column("p10", "P10", kind=Kind.NUMBER),
    Column("p50", "P50", kind=Kind.NUMBER),
    Column("p90", "P90", kind=Kind.NUMBER),
)
_CURRENCY = Column("currency", "Currency", usual=None)
_SOURCE = Column("source", "From")
_FORECAST = (
    Column("figure", "Figure"),
    *_RANGE,
    Column("last_three", "Mean of last 3", kind=Kind.NUMBER, usual=None),
    _CURRENCY,
)
_ONE = (
    Column("figure", "Figure"),
    *_RANGE,
    Column("came", "Came", kind=Kind.NUMBER),
    Column("within", "Within"),
    _CURRENCY,
)
_SCORES = (
    Column("figure", "Figure"),
    _CURRENCY,
    Column("forecasts", "Forecasts", kind=Kind.NUMBER),
    Column("within", "Within", kind=Kind.NUMBER, spare=True),
    Column("coverage", "Within P10-P90", kind=Kind.SHARE, bounded=True),
    Column("loss_p10", "Loss P10", kind=Kind.NUMBER, spare=True),
    Column("loss_p50", "Loss P50", kind=Kind.NUMBER, spare=True),
    Column("loss_p90", "Loss P90", kind=Kind.NUMBER, spare=True),
    Column("crps", "CRPS", kind=Kind.NUMBER, spare=True),
    Column("against", "To last 3", kind=Kind.NUMBER),
)
_EXACT = (
    Column("compared", "Compared", kind=Kind.NUMBER),
    Column("p50_loss", "Loss of P50", kind=Kind.NUMBER),
    Column("last_three_loss", "Loss of last 3", kind=Kind.NUMBER),
)
_YEAR = (
    Column("kind", "Kind"),
    Column("name", "Name"),
    Column("meaning", "Meaning"),
    *_RANGE,
    Column("source", "Source"),
)


_INDENT = 2
_AUDIENCE = ("tags", "segments", "where", "everyone")


def command(
    ctx: typer.Context,
    campaign: Annotated[
        Text, typer.Argument(help="A campaign that was sent: forecast, and what came.")
    ] = None,
    tag: Annotated[Names, typer.Option("--tag", "-t", help="Filter by a tag.")] = None,
    segment: Annotated[Names, typer.Option(help="Filter by a segment.")] = None,
    where: Annotated[Names, typer.Option(help="Filter by an expression.")] = None,
    everyone: Annotated[bool, typer.Option("--everyone", help="All active people.")] = False,
    people: Annotated[
        int | None, typer.Option(help="So many people, whoever they are.", min=1)
    ] = None,
    site: Annotated[Text, typer.Option(help="With --people: of this site.")] = None,
    template: Annotated[Text, typer.Option(help="The template that is to be sent.")] = None,
    topic: Annotated[Text, typer.Option(help="What the message is about.")] = None,
    scores: Annotated[
        bool, typer.Option("--scores", help="How good earlier forecasts were.")
    ] = False,
    visits: Annotated[
        int | None, typer.Option(help="A year, for so many new visitors a month.", min=1)
    ] = None,
    carts: Annotated[
        int | None, typer.Option(help="Baskets that are abandoned in a month.", min=1)
    ] = None,
    order: Annotated[
        float | None, typer.Option(help="What an order is worth on average.", min=0.01)
    ] = None,
    opt_in: Annotated[
        Text, typer.Option(help="Your share of new visitors who subscribe: 13%.")
    ] = None,
    churn: Annotated[Text, typer.Option(help="Your loss of subscribers a month: 3%.")] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """
    Forecast what a message will bring.

    \b
    pushctl forecast --everyone --template sale
    pushctl forecast --people 40000 --topic promotion
    pushctl forecast "sale 2026-11-22"
    pushctl forecast --scores
    pushctl forecast --visits 50000 --carts 2000 --order 60

    What comes is below P10 in one case of ten, above P90 in another. It is reckoned from
    campaigns about the same topic, else from all, else from published cases. `send` shows
    it, too, and keeps it to be scored. --visits needs no project and no history.
    """
    if visits is not None:
        _show_year(visits, carts, order, opt_in, churn, format)
    elif carts is not None or order is not None or opt_in or churn:
        raise UsageError("--carts, --order, --opt-in and --churn belong to --visits.")
    elif scores:
        _show_scores(context.of(ctx), format)
    elif campaign is not None:
        _show_one(context.of(ctx), campaign, format)
    else:
        draft = {"tags": tag or (), "segments": segment or (), "where": where or (),
                 "everyone": everyone, "template": template, "topic": topic}  # fmt: skip
        _show(context.of(ctx), draft, people, site, format)


def _show(
    here: context.Context,
    options: dict[str, Any],
    people: int | None,
    site: str | None,
    format: Format,
) -> None:
    from pushctl.jobs.campaigns.draft import Draft
    from pushctl.jobs.campaigns.forecast import forecast_draft
    from pushctl.jobs.figures.forecasts.table import list_rows

    if people is not None and any(options[name] for name in _AUDIENCE):
        raise UsageError("--people stands for an audience. Leave one of them out.")
    if people is None and site is not None:
        raise UsageError("--site belongs to --people; audiences are filtered by --where.")
    told = forecast_draft(here.store, here.config, Draft(**options), people, here.now, site)
    _warn_of_topic(here, options["topic"])
    rows = list_rows(told)
    if format is not Format.TABLE:
        output.rows(rows, (*_FORECAST, _SOURCE), format)
        return
    output.answer(f"To {counted(told.people, 'person', 'people')}, {told.about}", "bold")
    output.rows(rows, _FORECAST, format)
    for row in rows:
        _explain(f"{row['figure']}: {row['source']}")
    output.answer("What comes is between P10 and P90 in 8 of 10 cases.")


def _warn_of_topic(here: context.Context, topic: str | None) -> None:
    """Warn of a topic that no campaign had: it may be misspelt."""
    known = here.store.campaigns.list_topics()
    if topic is None or topic in known or not known:
        return
    from pushctl.rules.wording import ask_nearest

    hint = ask_nearest(topic, known) or f"There are: {', '.join(known)}."
    output.warn(f"no campaign was about {topic!r} yet. {hint}")


def _show_one(here: context.Context, name: str, format: Format) -> None:
    from pushctl.jobs.figures.forecasts import accuracy

    rows = accuracy.load_one(here.store, here.config, name, here.now)
    output.rows(rows, _ONE if format is Format.TABLE else (*_ONE, _SOURCE), format)


def _show_scores(here: context.Context, format: Format) -> None:
    from pushctl.jobs.figures.forecasts import accuracy

    rows = accuracy.load_scores(here.store, here.config, here.now)
    shown = _SCORES if format is Format.TABLE else (*_SCORES, *_EXACT)
    if format is Format.TABLE:
        rows = [{**row, **_round(row)} for row in rows]
    output.rows(rows, shown, format, empty="No forecast can be scored yet.")
    waiting = accuracy.count_waiting(here.store, here.now)
    if waiting:
        output.say(
            f"{counted(waiting, 'forecast')} can be scored two days after the campaign's end."
        )
    if rows and format is Format.TABLE:
        output.say(
            "80 % should be within P10 and P90. To last 3: the loss of P50 over that of "
            "the mean of the topic's last three campaigns; below 1 is better."
        )


def _round(row: Mapping[str, Any]) -> dict[str, float]:
    from pushctl.rules.figures.forecasts.forecast import round_sensibly

    names = ("loss_p10", "loss_p50", "loss_p90", "crps", "against")
    return {name: round_sensibly(row[name]) for name in names if row[name] is not None}


def _show_year(
    visits: int,
    carts: int | None,
    order: float | None,
    opt_in: str | None,
    churn: str | None,
    format: Format,
) -> None:
    from pushctl.rules.figures.forecasts import first_year
    from pushctl.rules.messages.arms import read_share

    assumed = first_year.list_assumptions(
        read_share(opt_in, "--opt-in") if opt_in else None,
        read_share(churn, "--churn") if churn else None,
    )
    brings = [
        {"kind": "brings", "name": one.name, "meaning": one.meaning, "source": one.lacking,
         **_spread(one.range)}
        for one in first_year.reckon(assumed, visits, carts, order)
    ]  # fmt: skip
    assumes = [
        {"kind": "assumes", "name": one.name, "meaning": one.meaning, "source": one.source,
         **_spread(one.range)}
        for one in assumed
    ]  # fmt: skip
    if format is not Format.TABLE:
        output.rows([*brings, *assumes], _YEAR, format)
        return
    heading = f"Twelve months with {visits:,} new visitors a month"
    if carts is not None:
        heading += f", {carts:,} abandoned baskets"
    output.answer(heading, "bold")
    output.rows(brings, (Column("meaning", "It brings"), *_RANGE), format)
    output.gap()
    _list_assumptions(assumed)


def _list_assumptions(assumed: "tuple[Assumption, ...]") -> None:
    shares = [{"meaning": one.meaning, **_spread(one.range)} for one in assumed]
    columns = [Column(one.key, one.title, kind=Kind.SHARE) for one in _RANGE]
    output.rows(shares, (Column("meaning", "It assumes"), *columns))
    for one in assumed:
        _explain(f"{one.meaning}: {one.source}")


def _explain(text: str) -> None:
    output.answer(output.fit(text, sys.stdout, _INDENT), "dim")


def _spread(found: object) -> dict[str, object]:
    return {name: getattr(found, name, None) for name in ("p10", "p50", "p90")}
