"""
Messages that servers ask for: taken in here, planned by the sweep (jobs/campaigns).

The receiver has checked key, scope and form. A request that comes twice has one effect.
"""

from collections.abc import Callable, Mapping

from pushctl.jobs.ingest.server_requests import KNOWN, MESSAGES, begin, finish, note
from pushctl.jobs.ingest.verify import Body, Context
from pushctl.model import CampaignStatus, InboxRecord, Millis
from pushctl.rules.web import bodies
from pushctl.store.messages import ApiMessage

_OVER = {
    "refused": "it was refused",
    "done": "it was sent already, or its time was over",
    "cancelled": "it is cancelled already",
}


def _take(ctx: Context, record: InboxRecord, body: Body) -> str:
    """Write the message down: the sweep that follows finds who gets it."""
    request, message = begin(ctx, record, body), bodies.table(body, "message")
    if request is None:
        return KNOWN
    note(ctx, record, body, MESSAGES, "received")
    key, site = bodies.text(body, "key"), ctx.sites[record.site]
    ctx.store.messages.add(request, key, site, record.at, message)
    return "API messages"


def _cancel(ctx: Context, record: InboxRecord, body: Body) -> str:
    """Take back what was not sent of a message of this key."""
    if begin(ctx, record, body) is None:
        return KNOWN
    message = ctx.store.messages.find(bodies.text(body, "message"))
    if message is None or message.key != bodies.text(body, "key"):
        finish(ctx, record, body, "cancel", "refused", reason="there is no such message")
    elif why := _OVER.get(message.state):
        finish(ctx, record, body, "cancel", "refused", reason=why)
    else:
        _withdraw(ctx, message, record.at)
        finish(ctx, record, body, "cancel", "applied", items=1, applied=1, refused=[])
    return "API cancel"


def _withdraw(ctx: Context, message: ApiMessage, now: Millis) -> None:
    """Skip the deliveries that are not begun."""
    store = ctx.store
    if message.own and message.campaign is not None:
        store.campaigns.change_status(message.campaign, CampaignStatus.CANCELLED, now)
        store.deliveries.cancel(message.campaign, now)
    elif message.campaign is not None:
        store.messages.cancel(message, now)
    store.messages.save(message._replace(state="cancelled", changed_at=now), now)


HANDLERS: Mapping[str, Callable[[Context, InboxRecord, Body], str]] = {
    "/v1/messages": _take,
    "/v1/messages/cancel": _cancel,
}
