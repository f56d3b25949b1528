"""What files of campaigns/ plan and nobody has applied yet: the calendar's drafts."""

from collections.abc import Iterator
from dataclasses import dataclass

from pushctl.config import Config
from pushctl.errors import PushctlError
from pushctl.jobs.campaigns import files
from pushctl.jobs.campaigns.draft import Draft
from pushctl.model import Millis
from pushctl.rules import schedule, timing
from pushctl.rules.campaign_files import CampaignFile
from pushctl.store import Store


@dataclass(frozen=True)
class Coming:
    """One time of a campaign whose file was not applied, or was changed since."""

    name: str
    at: Millis  # *local*: when it comes where the day begins first (``schedule.FIRST``)
    local: bool  # on each person's own clock
    draft: Draft  # its audience: ``recipients.find_receivers(store, config, draft, now)``
    is_change: bool  # another version of it is scheduled already


def list_coming(store: Store, config: Config, now: Millis, until: Millis) -> Iterator[Coming]:
    """Yield what is to go out from *now* to *until*; files with mistakes are left out."""
    current = {row.file: row for row in store.applied.list_current()}
    for name in files.list_names(config):
        file, _ = files.load(config, name)
        row = current.get(name)
        if file is None or (row is not None and row.settings_hash == file.settings_hash):
            continue
        if row is not None and row.campaign and store.applied.has_begun(row.campaign):
            continue
        try:
            times = list(_list_times(config, file, now, until))
        except PushctlError:
            continue
        for at in times:
            yield Coming(name, at, file.local, files.make_draft(file), row is not None)


def _list_times(
    config: Config, file: CampaignFile, now: Millis, until: Millis
) -> Iterator[Millis]:
    if file.every:
        starts = timing.local(now, config.zone).replace(tzinfo=None, second=0, microsecond=0)
        rule = schedule.rule(file.every, starts, config.zone)
        yield from schedule.iterate_following(
            rule, starts, config.zone, now, until, local=file.local
        )
    for local, typed in file.list_times(config.zone):
        zone = schedule.FIRST if file.local else typed or config.zone
        at = timing.instant(local.date(), local.time(), zone)
        if now <= at < until:
            yield at
