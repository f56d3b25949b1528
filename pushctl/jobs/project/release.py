"""Let a restored or moved database send again."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pushctl import inbox
from pushctl.config import Config
from pushctl.jobs.campaigns import approvals, recurring
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.jobs.delivery.types import CLAIM
from pushctl.jobs.ingest import erasures, revocations
from pushctl.jobs.ingest.drain import drain
from pushctl.model import Cause, Millis
from pushctl.rules.triggers import restored
from pushctl.rules.triggers.changes import Decision
from pushctl.rules.triggers.enrolment import Enrolment, State
from pushctl.store import Store, restoring

_ENDED = "the database was restored: what came after the backup is not known"


@dataclass(frozen=True)
class Waiting:
    """What waits in a restored database, for one campaign, trigger or series."""

    kind: str  # "campaign" and "message": messages, "trigger": people, "series": times
    name: str
    set_aside: int  # it may have gone out after the backup
    to_come: int  # it goes out at its own time
    next_at: Millis | None  # the first of these


def list_waiting(store: Store, config: Config, now: Millis) -> list[Waiting]:
    """Return what ``release`` after a restore sets aside, and what is still to come."""
    found = [Waiting("campaign", **row) for row in restoring.list_waiting(store, now)]
    if unplanned := store.messages.count_unplanned():
        found.append(Waiting("message", "of the server API", unplanned, 0, None))
    ended, kept = _sort_enrolments(store, config, now)
    gone, going = Counter(one.trigger for one in ended), Counter(one.trigger for one in kept)
    for name in sorted(gone.keys() | going.keys()):
        times = [one.next_at for one in kept if one.trigger == name and one.next_at]
        first = min(times, default=None)
        found.append(Waiting("trigger", name, gone[name], going[name], first))
    for series in store.schedules.recurring.list_all():
        due = series.next_at is not None and series.next_at <= now
        following = recurring.find_following(config, series, now) if due else series.next_at
        to_come = 0 if following is None else 1
        found.append(Waiting("series", series.name, int(due), to_come, following))
    return found


def release(
    store: Store, config: Config, now: Millis, *, moved: bool = False
) -> dict[str, int]:
    """
    Let this database send again; return counts of what was set aside, by kind.

    A *moved* database is the newest: it knows of every message. After a restore the messages
    that were due by *now* or waited for the network may have gone out, so they are held back.
    What else is due later goes out at its own time. The inbox is drained first: what stands in
    it may have been drained, and answered by a message, since the backup; so its events start
    nothing either. Raises BusyError while another run drains it.
    """
    counts: dict[str, int] = {}
    if not moved:
        # By their numbers calls of webhooks are known.
        restoring.skip_numbers(store)
        if inbox.list_segments(config.inbox):
            drain(store, config, config.secret(), now)
        # It freezes campaigns: the texts are rendered outside the transaction.
        recurring.skip_due(store, config, now)
        with store.write():
            ended, _ = _sort_enrolments(store, config, now)
            counts["enrolments"] = _end_enrolments(store, ended, now)
            counts["messages"] = restoring.hold_back(store, now)
            counts["messages of the API"] = store.messages.hold_back(restoring.REASON, now)
            store.enrolments.withdraw(((one.id, _ENDED) for one in ended), now)
            counts["promo codes"] = _set_codes_aside(store, config)
            counts["approvals"] = approvals.void_all(store, config, now)
        # The backup has brought back people who were erased after it was made.
        counts["forgotten people"] = 0
        if erasures.measure(config):
            secret = config.secret()
            counts["forgotten people"] = erasures.erase_again(store, config, secret, now)
        counts["consents that were revoked since"] = revocations.revoke_returned(store)
    restore_guard.accept(store, config)
    return counts


def _set_codes_aside(store: Store, config: Config) -> int:
    """Set aside what may have been given out after the backup; return how many."""
    store.promo_bindings.hold_back(Cause.DATABASE_RESTORED)
    lost = restore_guard.count_lost(store, config)
    return store.promo_codes.set_aside(None if lost is None else lost * CLAIM)


def _sort_enrolments(
    store: Store, config: Config, now: Millis
) -> tuple[list[Enrolment], list[Enrolment]]:
    """Return the active enrolments that end with a restore, and those that go on."""
    ended: list[Enrolment] = []
    kept: list[Enrolment] = []
    for one in store.enrolments.list_without([]):
        trigger = config.triggers.get(one.trigger)
        goes_on = trigger is not None and restored.goes_on(trigger, one, now)
        (kept if goes_on else ended).append(one)
    return ended, kept


def _end_enrolments(store: Store, enrolments: Sequence[Enrolment], now: Millis) -> int:
    standings = store.triggers.load_states()
    for enrolment in enrolments:
        ended = replace(enrolment, state=State.CANCELLED, next_at=None)
        store.enrolments.save([(ended, _ENDED)], now)
        standing = standings.get(enrolment.trigger)
        if standing and standing.tag:
            store.tags.remove([enrolment.subscription], standing.tag)
    store.enrolments.add_decisions(
        Decision(it.trigger, it.subscription, it.id, "cancel", None, now, None, _ENDED)
        for it in enrolments
    )
    return len(enrolments)
