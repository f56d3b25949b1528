"""
Delivery: from claimed rows to outcomes on disk, at most once, whatever happens.

``run`` continues one campaign, under its lock; ``run_due`` each one with rows that are due.
``types`` explains the words of a run.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pushctl import lock
from pushctl.config import Config
from pushctl.errors import BusyError
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.jobs.delivery.gates.approval_gate import Gate
from pushctl.jobs.delivery.postbox import make_journal, open_postbox
from pushctl.jobs.delivery.results import recovery
from pushctl.jobs.delivery.run import Sending
from pushctl.jobs.delivery.signals import Stop
from pushctl.jobs.delivery.types import Options, Report
from pushctl.jobs.ingest import erasures, former_names
from pushctl.model import Campaign, Millis
from pushctl.push import encoder, loopback_targets
from pushctl.store import Store

__all__ = ["Options", "Report", "check_ready", "hold", "is_held", "run", "run_due"]


def lock_path(store: Store, campaign: int) -> Path:
    return store.path.with_name(f"{store.path.name}.campaign-{campaign}.lock")


def name_second_lock(config: Config, campaign: int) -> Path:
    """
    Return the lock of a run that lies where nobody takes it for one that was left behind.

    Who removed the first one by hand, and began a second run, would have it take the rows that
    the first has claimed for a dead process's.
    """
    return config.journal / f"{campaign}.running"


@contextmanager
def hold(
    store: Store, config: Config, campaign: int, what: str | None = None
) -> Iterator[None]:
    """Hold both locks of *campaign*; raises BusyError while another process has one of them."""
    make_journal(config)
    second = name_second_lock(config, campaign)
    with (
        lock.hold(lock_path(store, campaign), what, keep=False),
        lock.hold(second, what, keep=False),
    ):
        yield


def is_held(store: Store, config: Config, campaign: int) -> bool:
    """Return whether a process sends *campaign*, or makes its calls, at this moment."""
    first = lock_path(store, campaign)
    return lock.is_held(first) or lock.is_held(name_second_lock(config, campaign))


def check_ready(store: Store, config: Config) -> None:
    """
    Raise ConfigError or OSError where nothing can be sent now.

    Call it before a campaign is frozen: sweeps continue a frozen one, so a second `send`
    after the fault is mended would send twice.
    """
    restore_guard.check(store, config)
    config.secret()
    postbox = open_postbox(config, "ready")
    loopback_targets.parse_targets(postbox.loopback)
    encoder.choose(postbox.encoder)
    recovery.check_room(postbox.journal)
    if config.cluster.scheduler is not None:
        from pushctl.jobs.delivery.pools import cluster  # at need: most projects have none

        cluster.check_ready(config)


def run(
    store: Store,
    config: Config,
    campaign: Campaign,
    now: Millis,
    options: Options | None = None,
) -> Report:
    """
    Send the due rows of *campaign*, wait for those due soon, return the report.

    Raises BusyError when another process sends it, TemplateError when none of its messages
    can be rendered. Refusals by push services are in the report.
    """
    with hold(store, config, campaign.id, f"sending {campaign.name}"), Stop() as stop:
        # It may have changed before we had the lock.
        campaign = store.campaigns.get_by_id(campaign.id)
        if "channel" in campaign.options:
            # The sweep makes these (jobs/webhooks/channels.py); here nothing is encrypted.
            note = f"{campaign.name} is no push: the next sweep makes its calls."
            return Report(campaign, notes=[note])
        known = former_names.adopt(store, config)
        sending = Sending(store, known, campaign, now, options or Options(), stop)
        restore_guard.check(store, config)
        erasures.erase_returned(store, config, now)
        if not Gate(config).admit(store, campaign, now):
            waiting, due = store.deliveries.count_waiting(campaign.id, now)
            campaign = store.campaigns.get_by_id(campaign.id)
            return Report(campaign, waiting=waiting, next_due=due)
        return sending.run()


def run_due(
    store: Store, config: Config, now: Millis, options: Options | None = None
) -> Iterator[Report]:
    """Continue each campaign with due rows that no other process sends; yield the reports."""
    options = options or Options(patience=0.0)
    for number in store.deliveries.list_due_campaigns(now):
        with suppress(BusyError):
            yield run(store, config, store.campaigns.get_by_id(number), now, options)
