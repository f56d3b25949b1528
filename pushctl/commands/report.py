"""Write what went out and what it brought as one page."""

from datetime import date as Date
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import Text
from pushctl.errors import InputError, UsageError
from pushctl.rules.wording import moment

if TYPE_CHECKING:
    from pushctl.commands.context import Context
    from pushctl.jobs.reports.compose import Period
    from pushctl.rules.reports.content import Report

_MODE = 0o600  # it says what the shop earns


def command(
    ctx: typer.Context,
    since: Annotated[Text, typer.Option(help="First day, such as 2026-11-01.")] = None,
    until: Annotated[Text, typer.Option(help="Last day; default: yesterday.")] = None,
    last: Annotated[
        Text, typer.Option(help="week, month, or the days before today: 30d.")
    ] = None,
    site: Annotated[Text, typer.Option(help="Only this site.")] = None,
    language: Annotated[Text, typer.Option(help="en, ar or tr; default: the site's.")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Its file; - is stdout."),
    ] = None,
    eml: Annotated[
        bool, typer.Option("--eml", help="Write it as an e-mail, too: one MIME file.")
    ] = False,
    sender: Annotated[Text, typer.Option("--from", help="The e-mail's sender.")] = None,
    receiver: Annotated[Text, typer.Option("--to", help="The e-mail's receiver.")] = None,
    every: Annotated[
        Text, typer.Option(help='From now on by the sweeps: "monday", "monday 07:30".')
    ] = None,
) -> None:
    """
    Write what it brought as one page.

    \b
    pushctl report
    pushctl report --last 30d --language ar --output november.html
    pushctl report --eml --from me@shop.example --to boss@shop.example
    pushctl report --every "monday 07:30"

    The page has what went out, what it brought, who came and left. It is one HTML file that
    loads nothing and runs no script: open it, print it, send it. Without dates it is about
    last week, Monday to Sunday. With --every the sweeps write it into the project's folder
    reports/; `schedules cancel` ends that. See docs/report.md.
    """
    here = context.of(ctx)
    language = _check_language(language)
    if every is not None:
        _refuse_dates(since, until, last, out, sender, receiver)
        _begin_series(here, every, site, language, eml)
        return
    if eml and str(out) == "-":
        raise UsageError("--eml is a file beside the page's; give --output a name.")
    period = _find_period(here, since, until, last)
    report = _make(here, period, site, language)
    file = _write_page(report, out or Path(f"report-{period.first}.html"))
    if eml:
        _write_letter(report, file.with_suffix(".eml"), sender or "", receiver or "")


def _refuse_dates(*given: object) -> None:
    if any(given):
        raise UsageError(
            "--every goes with --site, --language and --eml alone: a series writes into "
            "reports/, about the week before."
        )


def _make(
    here: "Context", period: "Period", site: str | None, language: str | None
) -> "Report":
    from pushctl.jobs.reports import schedule

    wish = schedule.Wish(site=site, language=language)
    with output.progress("Counting"):
        return schedule.compose_with_plan(here.store, here.config, wish, period, here.now)


def _write_page(report: "Report", file: Path) -> Path:
    from pushctl import durable
    from pushctl.jobs.reports import page

    content = page.render(report)
    if str(file) == "-":
        output.lines(content.splitlines())
    else:
        durable.replace(file, content.encode(), _MODE)
        output.answer(str(file))
    return file


def _write_letter(report: "Report", file: Path, sender: str, receiver: str) -> None:
    from pushctl import durable
    from pushctl.jobs.reports import letter

    pictures = letter.can_draw()
    made = letter.write_letter(report, sender=sender, receiver=receiver, pictures=pictures)
    durable.replace(file, made.content, _MODE)
    output.answer(str(file))
    if not pictures:
        output.say(f"Without pictures: {letter.NEEDED}")
    if made.left_out:
        output.say(f"Without pictures, for its size: {', '.join(made.left_out)}.")


def _find_period(
    here: "Context", since: str | None, until: str | None, last: str | None
) -> "Period":
    from pushctl.jobs.figures.filters import find_days
    from pushctl.jobs.reports.compose import Period, find_last_week
    from pushctl.rules import timing, units

    today = timing.local(here.now, here.config.zone).date()
    yesterday = today - timedelta(days=1)
    if last is not None:
        if since or until:
            raise UsageError("--last and --since both say when to begin. Keep one.")
        if whole := find_days(last, today):
            return Period(*whole)
        days = timing.duration(last) // units.DAY
        if not 1 <= days <= _MOST_DAYS:
            raise InputError(f"--last {last}: from 1d to {_MOST_DAYS}d")
        return Period(today - timedelta(days=days), yesterday)
    if since is None:
        if until is not None:
            raise UsageError("--until needs --since.")
        return find_last_week(today)
    first = _read_day(since, "--since")
    end = _read_day(until, "--until") if until is not None else yesterday
    if end < first:
        raise InputError(f"the last day, {end}, is before the first, {first}")
    if (end - first).days >= _MOST_DAYS:
        raise InputError(f"from {first} to {end}: a report is of 1 to {_MOST_DAYS} days")
    return Period(first, end)


_MOST_DAYS = 370


def _read_day(text: str, option: str) -> Date:
    try:
        return Date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option} {text!r} is no day such as 2026-11-01") from None


def _check_language(language: str | None) -> str | None:
    if language is None:
        return None
    from pushctl.rules.messages import languages
    from pushctl.rules.reports.words import list_languages

    known = list_languages()
    if not any(tag in known for tag in languages.list_own(language)):
        raise InputError(
            f"a report has no words in {language!r}. There are: {', '.join(known)}."
        )
    return language


def _begin_series(
    here: "Context", every: str, site: str | None, language: str | None, eml: bool
) -> None:
    from pushctl.jobs.figures.filters import find_site
    from pushctl.jobs.reports import schedule

    find_site(here.store, site)
    wish = schedule.Wish(site=site, language=language, eml=eml)
    series = schedule.add(here.store, here.config, every, wish, here.now)
    when = moment(series.next_at or here.now, here.config.zone)
    output.say(f"{series.name}: next {when}. End it: pushctl schedules cancel {series.name!r}")
