"""Do all due work; cron runs it every minute."""

import sys
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import ClusterOption, DryRunOption, Text
from pushctl.errors import BusyError, DatabaseBusyError, UsageError
from pushctl.model import Millis
from pushctl.rules import timing

if TYPE_CHECKING:
    from pushctl.jobs.sweep.sweep import Options, Summary
    from pushctl.jobs.webhooks.ping import Start

_COLUMNS = (output.Column("who", "Subscriber"), output.Column("what", "Message"))


def command(
    ctx: typer.Context,
    dry_run: DryRunOption = False,
    now: Annotated[
        str | None,
        typer.Option(help="Dry run at another time: 2026-04-28T10:00:00+02:00."),
    ] = None,
    max_seconds: Annotated[
        float | None,
        typer.Option(min=1, help="Stop after these seconds; the next sweep continues."),
    ] = None,
    ping_url: Annotated[
        Text, typer.Option(help="Address to call at the end. Default: sweep.ping_url.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay, and do at once what comes in or is due.")
    ] = False,
    accept_clock: Annotated[
        bool, typer.Option("--accept-clock", help="The clock jumped, and it is correct.")
    ] = False,
    cluster: ClusterOption = None,
) -> None:
    """
    Do all due work. Cron runs it every minute.

    \b
    pushctl sweep
    pushctl sweep --dry-run --now 2026-12-24T18:00:00+01:00
    pushctl cron install
    pushctl sweep --watch

    It prints one line when it has done something, else nothing. While another sweep is
    running, it ends at once with exit code 75.

    --watch stays until Ctrl-C or SIGTERM: who buys or leaves a basket is heard at once, and
    messages of the server API are on their way within two seconds. Let cron's sweeps go on
    beside it: they leave the sending to it, and take over when it has ended.

    --dry-run lists the messages that the sweep would send. Nothing is sent, and nothing
    changes; the inbox is not read. --now is a dry run too, as if no sweep ran before that
    time: messages that are due earlier and too late by then expire.
    """
    from pushctl.jobs.sweep import sweep

    here = context.of(ctx, cluster)
    if watch:
        _watch(here, ping_url, dry_run or now or max_seconds or accept_clock)
    dry_run = dry_run or now is not None
    if here.rehearsed and not dry_run:
        output.warn("PUSHCTL_NOW sets the clock, but this sweep really sends messages")
    at = here.now if now is None else timing.moment(now)
    pings = _Pings(None if dry_run else ping_url or here.config.sweep.ping_url, here)
    begun = pings.begin if pings.start else None
    rehearsal = bool(now) or here.rehearsed
    options = sweep.Options(dry_run, max_seconds, accept_clock, rehearsal, begun=begun)
    _conclude(_run(here, at, options, pings), dry_run, pings)


class _Pings:
    """Calls to the address that watches over sweeps; there may be none."""

    def __init__(self, url: str | None, here: context.Context) -> None:
        self._url = url
        self._begun: Start | None = None
        self.start = url is not None and here.config.sweep.ping_start

    def begin(self) -> None:
        """Call /start, beside the sweep."""
        from pushctl.jobs.webhooks import ping

        if self._url:
            self._begun = ping.Start(self._url)

    def end(self, *, good: bool) -> None:
        from pushctl.jobs.webhooks import ping

        if self._begun is not None:
            self._begun.wait()
        trouble = ping.send(self._url, good=good) if self._url else None
        if trouble:
            output.warn(trouble)


def _conclude(summary: "Summary", dry_run: bool, pings: _Pings) -> NoReturn:
    _show(summary, dry_run)
    pings.end(good=summary.exit_code == 0)
    raise typer.Exit(summary.exit_code)


def _watch(here: context.Context, ping_url: str | None, other: object) -> NoReturn:
    """Sweep until a signal comes; *other* options are refused."""
    from pushctl import config
    from pushctl.commands import send_results
    from pushctl.jobs.sweep import watch

    if other or here.rehearsed:
        raise UsageError("--watch goes by the clock, as long as it runs: leave out the rest")
    send_results.warn_of_loopback(here)
    file = here.config.file
    front = watch.Front(
        load=lambda: config.load(file, here.environment),
        show=lambda summary: _show(summary, dry_run=False),
        ping_url=ping_url,
    )
    output.say("Watching the inbox. Ctrl-C ends it.")
    watch.run(here.config, front)
    raise typer.Exit


def _run(here: context.Context, now: Millis, options: "Options", pings: _Pings) -> "Summary":
    """Sweep; report a failed sweep to who watches over them, too."""
    from pushctl.jobs.sweep import sweep

    try:
        return sweep.run(here.config, here.store, now, options)
    except BusyError as error:
        # Another sweep is at work, as often; a database that is held is nothing usual.
        if here.verbose or isinstance(error, DatabaseBusyError):
            raise
        raise typer.Exit(BusyError.exit_code) from None
    except Exception:
        pings.end(good=False)
        raise


def _show(summary: "Summary", dry_run: bool) -> None:
    if dry_run:
        rows = ({"who": who, "what": what} for who, what in summary.messages)
        output.rows(rows, _COLUMNS, empty="Nothing would be sent.")
        if str(summary):
            output.say(f"The sweep would do: {summary}.")
    elif str(summary):
        took = f" ({summary.seconds:.1f} s)" if summary.seconds else ""  # a watch never ends
        output.answer(f"sweep: {summary}{took}")
        sys.stdout.flush()
    for note in summary.notes:
        output.warn(note)
    for news in summary.remarks:
        output.say(news)
    if summary.refused:
        output.error(summary.refused)
