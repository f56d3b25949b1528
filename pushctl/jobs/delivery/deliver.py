"""
Delivery: from claimed rows to outcomes on disk, at most once, whatever happens.

``run`` goes on with one campaign, under its lock. ``due`` does so for every campaign
that has something due. How a run works is in ``run``, its words in ``types``.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pushctl import lock
from pushctl.config import Config
from pushctl.errors import BusyError
from pushctl.jobs.delivery import recovery, restore_guard
from pushctl.jobs.delivery.postbox import open_postbox
from pushctl.jobs.delivery.run import Sending
from pushctl.jobs.delivery.signals import Stop
from pushctl.jobs.delivery.types import Options, Report
from pushctl.model import Campaign, Millis
from pushctl.store import Store

__all__ = ["Options", "Report", "due", "lock_path", "ready", "run"]


def lock_path(store: Store, campaign: int) -> Path:
    return store.path.with_name(f"{store.path.name}.campaign-{campaign}.lock")


def ready(store: Store, config: Config) -> None:
    """
    Raise ConfigError, or OSError, where nothing could be sent now.

    To be asked before a campaign is frozen: sweeps go on with a frozen one, so whoever
    mends the fault and sends anew would send twice.
    """
    restore_guard.check(store, config)
    recovery.check_room(open_postbox(config, "ready").journal)


def run(
    store: Store,
    config: Config,
    campaign: Campaign,
    now: Millis,
    options: Options | None = None,
) -> Report:
    """
    Send what is due of *campaign* and wait a little for what will be; return the report.

    Raises BusyError when another process is sending it, TemplateError when nothing of it
    can be rendered. A push service that refuses us stands in the report.
    """
    what = f"sending {campaign.name}"
    with lock.hold(lock_path(store, campaign.id), what, keep=False), Stop() as stop:
        # What it was before we had the lock may be old.
        campaign = store.campaigns.get_by_id(campaign.id)
        sending = Sending(store, config, campaign, now, options or Options(), stop)
        restore_guard.check(store, config)
        return sending.run()


def due(
    store: Store, config: Config, now: Millis, options: Options | None = None
) -> Iterator[Report]:
    """
    Go on with every campaign that has something due; yield a report for each.

    A campaign that another process is sending is left to it.
    """
    options = options or Options(patience=0.0)
    for number in store.deliveries.list_due_campaigns(now):
        with suppress(BusyError):
            yield run(store, config, store.campaigns.get_by_id(number), now, options)
