"""Watch a campaign while it is being sent."""

from typing import TYPE_CHECKING, Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.errors import UsageError
from pushctl.model import CampaignStatus
from pushctl.rules.wording import number, share

if TYPE_CHECKING:
    from pushctl.jobs.campaigns.progress import Progress

_EVERY_SECONDS = 2.0
_BAR = 40  # columns
_HOST = 34
_SLOW_PER_SECOND = 10  # below it a digit behind the point counts

Line = tuple[str, str | None]


def watch(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="The campaign's name; default: what is being sent.")
    ] = None,
) -> None:
    """
    Watch a campaign: rates, errors, time left.

    \b
    pushctl campaigns watch "sale 2026-11-22"

    The key p pauses it, q ends watching. It only looks: closing it stops nothing.
    """
    from pushctl.jobs.campaigns import manage, progress

    here = context.of(ctx)
    found = name or _find(here)
    ended = False

    def look() -> list[Line] | None:
        nonlocal ended
        if ended:
            return None
        shown = progress.measure(here.store, found, here.later())
        ended = shown.is_over
        said = progress.say_left(shown, here.later(), here.config.zone)
        return list_lines(shown, said)

    def press(key: str) -> str | None:
        if key not in "pP":
            return None
        try:
            manage.pause(here.store, found, here.later())
        except UsageError as error:
            return str(error)
        return f"Paused. Go on with: pushctl campaigns resume {found!r}"

    output.watch(look, press, _EVERY_SECONDS)


def _find(here: context.Context) -> str:
    from pushctl.jobs.campaigns import progress

    going = progress.list_under_way(here.store)
    if not going:
        raise UsageError("no campaign is under way. pushctl campaigns list shows all.")
    return going[0].name


def list_lines(shown: "Progress", said: str) -> list[Line]:
    """Return the lines that show *shown*; the first says all of it in short."""
    part = shown.done / shown.planned if shown.planned else 1.0
    rate = "" if shown.per_second is None else f", {say_rate(shown.per_second)} a second"
    head = (
        f"{shown.campaign.name}: {number(shown.done)} of {number(shown.planned)} "
        f"({share(part)}){rate}, {said}"
    )
    filled = int(part * _BAR)
    drawn: list[Line] = [
        (head, "bold"),
        ("█" * filled + "░" * (_BAR - filled), "cyan"),
        (
            f"accepted {number(shown.accepted)}   failed {number(shown.failed)}   "
            f"skipped {number(shown.skipped)}   in doubt {number(shown.in_doubt)}   "
            f"waiting {number(shown.waiting)}",
            None,
        ),
    ]
    for one in shown.services:
        text = f"  {one.host[:_HOST]:<{_HOST}} {say_rate(one.per_second):>9}/s"
        text += f"   {number(one.refused)} refused" if one.refused else ""
        text += f"   {one.note}" if one.note else ""
        drawn.append((text, "yellow" if one.note else None))
    is_paused = shown.campaign.status is CampaignStatus.PAUSED
    keys = "q ends watching" if is_paused else "p pauses it, q ends watching"
    return [*drawn, (keys, "dim")]


def say_rate(per_second: float) -> str:
    if per_second < _SLOW_PER_SECOND:
        return f"{per_second:.1f}"
    return number(round(per_second))
