"""Let a restored or moved database send again."""

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
    Let this database send again; return counts of what was set aside, by kind.

    A *moved* database is the newest: it knows of every message. After a restore its
    waiting messages may have gone out, so they are held back.
    """
    counts: dict[str, int] = {}
    if not moved:
        with store.write():
            counts["enrolments"] = _end_enrolments(store, now)
            counts["messages"] = restoring.hold_back(store, now)
            recurring.skip_due(store, config, now)
        # The backup has brought back people who were erased after it was made.
        counts["forgotten people"] = erasures.erase_again(store, config, now)
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
            it.trigger, it.subscription, it.id, "cancel", None, now, None, restoring.REASON
        )
        for it in enrolments
    )
    return len(enrolments)
