"""Release: let a restored or moved database send again, on a person's word."""

from dataclasses import replace

from pushctl.config import Config
from pushctl.jobs.campaigns import recurring
from pushctl.jobs.delivery import restore_guard
from pushctl.jobs.ingest import erasures
from pushctl.model import Millis
from pushctl.rules.triggers.changes import Decision
from pushctl.rules.triggers.enrolment import State
from pushctl.store import Store, restoring


def release(
    store: Store, config: Config, now: Millis, *, moved: bool = False
) -> dict[str, int]:
    """
    Let this database send again; return how many messages and enrolments were put aside.

    *moved*: it is the newest there is, nothing went out that it doesn't know of. Else
    everything that it would still send may have gone out already, and stays back.
    """
    counts: dict[str, int] = {}
    if not moved:
        with store.write():
            counts["enrolments"] = _end_enrolments(store, now)
            counts["messages"] = restoring.hold_back(store, now)
            recurring.skip_due(store, config, now)
        # Erased after the backup was made: it has brought them back.
        counts["forgotten people"] = erasures.again(store, config, now)
    restore_guard.accept(store, config)
    return counts


def _end_enrolments(store: Store, now: Millis) -> int:
    standings = store.triggers.load_states()
    enrolments = store.enrolments.list_without([])
    for enrolment in enrolments:
        ended = replace(enrolment, state=State.CANCELLED, next_at=None)
        store.enrolments.save([(ended, restoring.REASON)], now)
        standing = standings.get(enrolment.trigger)
        if standing and standing.tag:
            store.tags.remove([enrolment.subscription], standing.tag)
    store.enrolments.add_decisions(
        Decision(
            enrolment.trigger,
            enrolment.subscription,
            enrolment.id,
            "cancel",
            None,
            now,
            None,
            restoring.REASON,
        )
        for enrolment in enrolments
    )
    return len(enrolments)
