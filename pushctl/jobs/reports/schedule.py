"""
Reports that come by themselves: `report --every monday`, written by the sweeps.

A series stands beside those of messages (``schedules list`` shows both). Its file is on disk
before the series moves on: after a kill it is written again, over the same name.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pushctl import durable
from pushctl.config import Config
from pushctl.errors import InputError, PushctlError
from pushctl.jobs.campaigns import recurring
from pushctl.model import Json, Millis
from pushctl.rules import schedule, timing
from pushctl.rules.reports.content import Report, Section
from pushctl.store import Store
from pushctl.store.faults import DATABASE_FAULTS, concerns_one
from pushctl.store.recurring import Series

if TYPE_CHECKING:
    # Each sweep loads this module: figures and their numpy wait until a report is due.
    from pushctl.jobs.reports.compose import Period

FOLDER = "reports"
_MODE = 0o600  # it says what the shop earns
_PLANNED_WEEKS = 1


@dataclass(frozen=True, slots=True)
class Wish:
    """What a report is to be; *eml*: an e-mail, too. *days*: so many, else the last week."""

    report: bool = True
    site: str | None = None
    language: str | None = None
    eml: bool = False
    days: int | None = None


def add(store: Store, config: Config, every: str, wish: Wish, now: Millis) -> Series:
    """Add a series; raises InputError for a bad rule, UsageError for one that is there."""
    zone = config.zone
    starts = timing.local(now, zone).replace(tzinfo=None, second=0, microsecond=0)
    rule = schedule.rule(every, starts, zone)
    found = schedule.following(rule, starts, zone, now)
    if found is None:
        raise InputError(f"{every!r} never comes again: its only time is now.")
    name = f"report of {wish.site} every {every}" if wish.site else f"report every {every}"
    recurrings = store.schedules.recurring
    with store.write():
        recurrings.add(name, every, rule, starts, asdict(wish), now=now, next_at=found[1])
    return recurrings.get(name)


def make(store: Store, config: Config, wish: Wish, now: Millis) -> "tuple[Period, Report]":
    """Return the report that *wish* asks for, as of *now*, and its period."""
    from pushctl.jobs.reports.compose import Period, find_last_week

    today = timing.local(now, config.zone).date()
    period = find_last_week(today)
    if wish.days:
        period = Period(today - timedelta(days=wish.days), today - timedelta(days=1))
    return period, compose_with_plan(store, config, wish, period, now)


def compose_with_plan(
    store: Store,
    config: Config,
    wish: Wish,
    period: "Period",
    now: Millis,
    live: Sequence[Section] = (),
) -> Report:
    """Return the report of *period*, with what goes out in the week after *now*."""
    from pushctl.jobs.campaigns import calendar
    from pushctl.jobs.reports.compose import compose

    plan = calendar.plan_weeks(store, config, now, _PLANNED_WEEKS, site=wish.site)
    where = {"site": wish.site, "language": wish.language}
    return compose(store, config, now, period, plan, live=live, **where)


def carry_out(store: Store, config: Config, now: Millis) -> Iterator[str]:
    """
    Write the reports that are due; yield errors, each with its series.

    Raises what concerns all of them, such as DatabaseBusyError and DamagedError.
    """
    for series in store.schedules.recurring.list_reports(now):
        note = None
        try:
            write(store, config, Wish(**series.wish), series.next_at or now)
        except DATABASE_FAULTS:
            raise  # it is still due when the database is free again
        except Exception as error:
            if not (isinstance(error, PushctlError | OSError) or concerns_one(error)):
                raise
            note = str(error)
            yield f"{series.name}: {note}"
        with store.write():
            if store.schedules.recurring.is_current(series):
                following = recurring.find_following(config, series, now)
                store.schedules.recurring.reschedule(series.id, following, note)


def write(store: Store, config: Config, wish: Wish, now: Millis) -> list[Path]:
    """Write the report that *wish* asks for into the project's folder; return its files."""
    from pushctl.jobs.reports import letter, page

    period, report = make(store, config, wish, now)
    folder = config.folder / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    stem = f"{wish.site}-{period.first}" if wish.site else str(period.first)
    files = [folder / f"{stem}.html"]
    durable.replace(files[0], page.render(report).encode(), _MODE)
    if wish.eml:
        files.append(folder / f"{stem}.eml")
        pictures = letter.can_draw()
        content = letter.write_letter(report, pictures=pictures).content
        durable.replace(files[1], content, _MODE)
    return files


def list_all(store: Store, config: Config) -> list[dict[str, Json]]:
    """Return all that is scheduled, messages and reports, the next first."""
    rows = recurring.list_scheduled(store, config)
    for series in store.schedules.recurring.list_reports():
        kind = "file and e-mail" if series.wish.get("eml") else "file"
        at = series.next_at or 0
        there = f"{timing.local(at, config.zone):%a %Y-%m-%d %H:%M} {config.zone}"
        rows.append(
            {
                "name": series.name,
                "when": f"every {series.said.removeprefix('every ')}",
                "next_at": series.next_at,
                "there": there,
                "whom": f"report: {kind} in {FOLDER}/",
                "note": series.note,
            }
        )
    return sorted(rows, key=lambda row: row["next_at"] or 0)
