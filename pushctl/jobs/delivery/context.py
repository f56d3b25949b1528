"""The variables of messages beside subscriber and campaign: cart, event, code."""

from collections.abc import Mapping, Sequence

from pushctl.config import Config
from pushctl.jobs.delivery.render import Extras
from pushctl.jobs.subscribers import carts
from pushctl.model import Campaign, Json
from pushctl.store import Store
from pushctl.store.deliveries import ClaimedRow

Context = Mapping[int, Mapping[str, Json]]


def make_loader(store: Store, config: Config, campaign: Campaign) -> Extras | None:
    """
    Return a function that loads the context of claimed rows, by delivery; None: no context.

    A trigger's messages have their enrolment's context (the cart as it was left, the event,
    the code). All others have the subscriber's cart as it is now.
    """
    is_trigger = store.triggers.get_trigger(campaign.id) is not None
    has_cart = carts.is_used(campaign.sources)
    if not (is_trigger or has_cart):
        return None

    def load(rows: Sequence[ClaimedRow]) -> Context:
        contexts = _load_enrolments(store, rows) if is_trigger else {}
        if has_cart:
            without = [row for row in rows if "cart" not in contexts.get(row.id, ())]
            for row, cart in carts.load_extras(store, config, without).items():
                contexts[row] = {**contexts.get(row, {}), **cart}
        return contexts

    return load


def _load_enrolments(store: Store, rows: Sequence[ClaimedRow]) -> dict[int, Mapping[str, Json]]:
    asked = {(row.enrolment, row.subscription) for row in rows if row.enrolment}
    contexts = store.enrolments.load_contexts(asked)
    return {
        row.id: {name: value for name, value in context.items() if value is not None}
        for row in rows
        if (context := contexts.get(row.enrolment)) is not None
    }
