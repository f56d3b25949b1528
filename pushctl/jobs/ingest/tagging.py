"""
Tags from browsers: how many one subscription may have, and how many new names it may bring.

Whoever was never shown a message is unproved and may be made up: what such people of one
address bring in a day, and all of them together, is bounded (``[unproved]``).
"""

from collections.abc import Sequence

from pushctl.errors import InputError
from pushctl.jobs.ingest.verify import Body, Context, authenticate
from pushctl.model import InboxRecord, Millis
from pushctl.rules import limits
from pushctl.rules.web import bodies, reserved_tags
from pushctl.store.tags import NoRoomError, Share


def change_tags(ctx: Context, record: InboxRecord, body: Body) -> str:
    add, remove = bodies.timed_tags(body, "add"), bodies.tags(body, "remove")
    known = authenticate(ctx, record, body)
    set_tags(ctx, record, known.id, add, proved=known.proved)
    for name in remove:
        if not reserved_tags.is_reserved(name):
            ctx.store.tags.remove([known.id], name)
    return "tagged"


def set_tags(
    ctx: Context,
    record: InboxRecord,
    subscription: int,
    tags: Sequence[tuple[str, Millis | None]],
    *,
    proved: bool,
) -> None:
    """Set tags, each with its life; names beyond a bound are left out and counted."""
    if not tags:
        return
    store, share = ctx.store.tags, None if proved else _find_share(ctx, record)
    before = store.count_held(subscription)
    left_out = set()
    for name, life in tags:
        if reserved_tags.is_reserved(name):
            continue
        try:
            tag = store.ensure(name, share, limits.MAX_TAG_NAMES)
        except NoRoomError as error:
            left_out.add(str(error))
            continue
        until = None if life is None else record.at + life
        store.put(tag, [subscription], record.at, until)
    # Tags that it has may be sent again, however many there are.
    if store.count_held(subscription) > max(limits.MAX_SUBSCRIPTION_TAGS, before):
        raise InputError(f"more than {limits.MAX_SUBSCRIPTION_TAGS} tags on one subscription")
    ctx.left_out.update(left_out)


def _find_share(ctx: Context, record: InboxRecord) -> Share:
    return Share(
        sender=record.hints.get("sender", ""),
        most_of_sender=ctx.unproved.tag_names_per_address,
        most_of_all=ctx.unproved.tag_names,
    )
