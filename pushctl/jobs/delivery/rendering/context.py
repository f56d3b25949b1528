"""The variables of messages beside subscriber and campaign: cart, event, code, products."""

from collections.abc import Mapping, Sequence

from pushctl.config import Config
from pushctl.jobs.delivery.rendering.render import Extras
from pushctl.jobs.subscribers import carts, recommendations, restore_links
from pushctl.jobs.subscribers.recommendations import Goods
from pushctl.jobs.subscribers.restore_links import RestoreLinks
from pushctl.model import Campaign, Json
from pushctl.rules.shops.promo_codes import POOL
from pushctl.store import Store
from pushctl.store.ledger_rows import ClaimedRow

Context = Mapping[int, Mapping[str, Json]]


def make_loader(store: Store, config: Config, campaign: Campaign) -> Extras | None:
    """
    Return a function that loads the context of claimed rows, by delivery; None: no context.

    A trigger's messages have their enrolment's context (the cart as it was left, the event,
    the code). All others have the subscriber's cart as it is now. With a pool of promo codes
    each has the one that was bound to it.
    """
    is_trigger = store.triggers.get_trigger(campaign.id) is not None
    has_cart = carts.is_used(campaign.sources)
    is_grouped = "grouped" in campaign.options
    has_code = POOL in campaign.options
    shop = Goods(store, config) if recommendations.is_used(campaign.sources) else None
    if not (is_trigger or is_grouped or has_cart or has_code or shop):
        return None
    links = RestoreLinks(store, config) if restore_links.is_used(campaign.sources) else None

    def load(rows: Sequence[ClaimedRow]) -> Context:
        contexts: dict[int, Mapping[str, Json]] = {}
        if is_trigger or is_grouped:
            contexts = (_load_enrolments if is_trigger else _load_messages)(store, rows)
        if has_cart:
            without = [row for row in rows if "cart" not in contexts.get(row.id, ())]
            for row, cart in carts.load_extras(store, config, without, None).items():
                contexts[row] = {**contexts.get(row, {}), **cart}
        if has_code:
            for row, code in store.promo_bindings.load_codes(row.id for row in rows).items():
                contexts[row] = {**contexts.get(row, {}), "promo": code}
        if shop:
            contexts = shop.load(rows, contexts)
        return carts.add_links(links, rows, contexts) if links else contexts

    return load


def _load_messages(store: Store, rows: Sequence[ClaimedRow]) -> dict[int, Mapping[str, Json]]:
    contents = store.messages.load_contents({-row.enrolment for row in rows})
    return {row.id: contents[-row.enrolment] for row in rows if -row.enrolment in contents}


def _load_enrolments(store: Store, rows: Sequence[ClaimedRow]) -> dict[int, Mapping[str, Json]]:
    asked = {(row.enrolment, row.subscription) for row in rows if row.enrolment}
    contexts = store.enrolments.load_contexts(asked)
    digests: dict[str, Json] = {}
    return {
        row.id: {
            name: value
            for name, value in _add_news(store, context, digests).items()
            if value is not None
        }
        for row in rows
        if (context := contexts.get(row.enrolment)) is not None
    }


def _add_news(
    store: Store, context: Mapping[str, Json], digests: dict[str, Json]
) -> Mapping[str, Json]:
    """Return *context* with a digest's items, which the enrolments of all share."""
    if (named := context.get("digest")) is None:
        return context
    trigger, feed, at, most = named
    key = f"{trigger} {feed} {at}"
    if key not in digests:
        digests[key] = store.feed_news.list_told(trigger, feed, at)
    rest = {name: value for name, value in context.items() if name != "digest"}
    return {**rest, "event": {**context["event"], "news": digests[key][:most]}}
