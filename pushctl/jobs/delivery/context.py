"""
What a campaign's messages may speak of beside their receiver and the campaign.

One place for everybody who sends: a broadcast, a sweep, `campaigns resume`.
"""

from collections.abc import Mapping, Sequence

from pushctl.config import Config
from pushctl.jobs.delivery.render import Extras
from pushctl.jobs.subscribers import carts
from pushctl.model import Campaign, Json
from pushctl.store import Store
from pushctl.store.deliveries import ClaimedRow

Context = Mapping[int, Mapping[str, Json]]


def of(store: Store, config: Config, campaign: Campaign) -> Extras | None:
    """
    Return what looks up the context of claimed rows, by delivery; None: they have none.

    A step of a trigger speaks of what its enrolment knows (the basket as it was left, the
    event, the code); beside that everybody's basket is known as it is now.
    """
    led = store.triggers.get_trigger(campaign.id) is not None
    speaks = carts.is_used(campaign.sources)
    if not (led or speaks):
        return None

    def look_up(rows: Sequence[ClaimedRow]) -> Context:
        known = _load_enrolments(store, rows) if led else {}
        if not speaks:
            return known
        without = [row for row in rows if "cart" not in known.get(row.id, ())]
        held = carts.load_extras(store, config, without)
        return {**known, **{row: {**known.get(row, {}), **held[row]} for row in held}}

    return look_up


def _load_enrolments(store: Store, rows: Sequence[ClaimedRow]) -> Context:
    """Return what each row's enrolment knows."""
    listed = [row for row in rows if row.enrolment]
    contexts = store.enrolments.load_contexts({row.enrolment for row in listed})
    return {
        row.id: {
            key: value for key, value in contexts[row.enrolment].items() if value is not None
        }
        for row in listed
        if row.enrolment in contexts
    }
