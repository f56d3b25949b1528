"""Show the report live in this machine's browser."""

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import Text
from pushctl.errors import UsageError
from pushctl.rules import units

if TYPE_CHECKING:
    from pushctl.commands.context import Context
    from pushctl.config import Config
    from pushctl.dashboard.server import Dashboard
    from pushctl.model import Millis
    from pushctl.rules.reports.content import Section
    from pushctl.rules.reports.words import Words
    from pushctl.store import Store

_MOST_HOURS = 8
_DAYS = 7
_REFRESH_SECONDS, _LIVE_SECONDS = 60, 5


def command(
    ctx: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0: any free one.")] = 0,
    site: Annotated[Text, typer.Option(help="Only this site.")] = None,
    language: Annotated[Text, typer.Option(help="en, ar or tr; default: the site's.")] = None,
    hours: Annotated[
        int, typer.Option(min=1, max=_MOST_HOURS, help="End after this many.")
    ] = _MOST_HOURS,
) -> None:
    """
    Show the last week live in a browser.

    \b
    pushctl dashboard

    It prints an address that is good once, for one browser. The page is that of `pushctl
    report`, with the campaign that is being sent; it shows no single person. It listens on
    127.0.0.1 alone, changes nothing, and ends with Ctrl-C, or after eight hours.
    """
    from pushctl.jobs.figures.filters import find_site

    here = context.of(ctx)
    find_site(here.store, site)  # raises NotFoundError
    dashboard = _open(here, port, site, language)
    output.answer(dashboard.gate.address)
    output.say(f"Good once, in one browser. It ends with Ctrl-C, or after {hours} h.")
    try:
        dashboard.serve(hours * units.HOUR / units.SECOND, threading.Event())
    except KeyboardInterrupt:
        output.say("\nThe dashboard has ended.")


def _open(here: "Context", port: int, site: str | None, language: str | None) -> "Dashboard":
    from pushctl.dashboard.server import Dashboard
    from pushctl.store import Store

    owned: list[Store] = []

    def render() -> str:
        # SQLite's connections stay in their thread: this one has its own.
        if not owned:
            owned.append(Store(here.store.path))
        return render_page(owned[0], here.config, here.later(), site, language)

    try:
        return Dashboard(render, port)
    except OSError as error:
        raise UsageError(f"port {port} can't be listened on: {error.strerror}") from error


def render_page(
    store: "Store", config: "Config", now: "Millis", site: str | None, language: str | None
) -> str:
    """Return the page of the last seven days and of what is under way."""
    from pushctl.jobs.reports import page, schedule
    from pushctl.jobs.reports.compose import Period, find_words
    from pushctl.rules import timing

    today = timing.local(now, config.zone).date()
    wish = schedule.Wish(site=site, language=language)
    live = list_under_way(store, config, find_words(config, site, language), now)
    report = schedule.compose_with_plan(
        store, config, wish, Period(today - timedelta(days=_DAYS - 1), today), now, live
    )
    seconds = _LIVE_SECONDS if live else _REFRESH_SECONDS
    return page.render(report, refresh_seconds=seconds)


def list_under_way(
    store: "Store", config: "Config", words: "Words", now: "Millis"
) -> "list[Section]":
    """Return a section for each campaign that is being sent."""
    from pushctl.jobs.campaigns import progress
    from pushctl.jobs.reports import sections

    return [
        sections.tell_progress(words, found, progress.say_left(found, now, config.zone), number)
        for number, one in enumerate(progress.list_under_way(store))
        for found in [progress.measure(store, one.name, now)]
        if found.waiting
    ]
