"""
What has become of the API's messages, as it is published for the receiver (``status``).

A message is looked at again while anything of it waits, then when a browser reports.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pushctl import status
from pushctl.config import Config
from pushctl.jobs.ingest import publishing
from pushctl.model import CampaignStatus, DeliveryStatus, Json, Millis
from pushctl.rules import units
from pushctl.store import Store
from pushctl.store.messages import ApiMessage

ROUTE = "messages"
# Looked at again after a quarter of the time that it has waited, in these bounds.
_SOON: Millis = units.SECOND
_LATEST: Millis = 5 * units.MINUTE
_COUNTED = 5_000  # deliveries for each second of the pause

_WAITS = (DeliveryStatus.PLANNED.value, DeliveryStatus.SENDING.value)
_FIGURES = (*(one.value for one in DeliveryStatus if one.value not in _WAITS),)


class _Found(NamedTuple):
    message: ApiMessage
    look_at: Millis | None


def follow(store: Store, config: Config, messages: Sequence[ApiMessage], now: Millis) -> None:
    """
    Look what has become of *messages*, write it, and publish what is new.

    For use in the transaction of a batch, at its end: files are written before the commit.
    """
    listed: list[status.MessageResult] = []
    for before in messages:
        if before.state == "received":  # it is left to a sweep
            store.messages.save(before, before.at)
            continue
        after, look_at = _look(store, before, now)
        is_filed = before.filed or after.own or after.reason is not None
        is_filed = is_filed or not status.can_list(after.counts)
        after = after._replace(filed=is_filed)
        result = make_result(store, after)
        if is_filed:
            with publishing.tolerate(store, now):
                status.publish_request(config.status, after.request, result)
        else:
            listed.append(
                status.MessageResult(after.request, after.at, after.state, after.counts)
            )
        store.messages.save(after, look_at)
        # The row of most says no more than its message's own.
        kept = result if is_filed else {"route": ROUTE}
        is_refused = after.state == "refused"
        store.api_requests.set_result(after.request, after.state, kept, refused=is_refused)
    if listed:
        with publishing.tolerate(store, now):
            status.publish_messages(config.status, listed)


def make_result(store: Store, one: ApiMessage) -> Mapping[str, Json]:
    """Return what ``GET /v1/messages/{id}`` answers, with the key's id."""
    result: dict[str, Json] = {
        "id": one.request, "key": one.key, "state": one.state, "at": one.at, "route": ROUTE,
    }  # fmt: skip
    if one.state == "refused":
        return {**result, "items": 1, "reason": one.reason}
    if one.reason is not None:
        result["reason"] = one.reason
    if one.own and one.campaign is not None:
        result["campaign"] = store.campaigns.get_by_id(one.campaign).name
    if one.state == "scheduled":
        result["due"] = one.due_at
    return {**result, "counts": one.counts}


def _look(store: Store, one: ApiMessage, now: Millis) -> _Found:
    """Return a message as it is now, and when to look at it again."""
    if one.campaign is None:
        return _Found(one, None)  # refused, or cancelled before it was planned
    found = store.messages.count_deliveries(one)
    waiting = sum(found.get(name, 0) for name in _WAITS)
    counts = {name: found.get(name, 0) for name in _FIGURES}
    counts |= {"waiting": waiting, "shown": found["shown"], "clicked": found["clicked"]}
    campaign = store.campaigns.get_by_id(one.campaign)
    state, reason = one.state, None
    if state == "cancelled" or campaign.status is CampaignStatus.CANCELLED:
        state = "cancelled"
    elif not waiting:
        state = "done"
    elif campaign.status is CampaignStatus.PAUSED:
        state, reason = "waiting", campaign.note or "its campaign is paused"
    elif one.due_at is not None and one.due_at > now:
        state = "scheduled"
    else:
        state = "sending"
    if not waiting:
        reason = _find_reason(store, one, counts)
    changed = now if (state, counts) != (one.state, one.counts) else one.changed_at
    content = {} if not waiting and not counts["in_doubt"] else one.content
    after = one._replace(
        state=state, counts=counts, reason=reason, changed_at=changed, content=content
    )
    return _Found(after, _plan_look(after, waiting, now))


def _find_reason(store: Store, one: ApiMessage, counts: Mapping[str, int]) -> str | None:
    """Return why nobody got a message that is over, None where somebody did."""
    if counts["accepted"] or counts["in_doubt"] or one.state == "cancelled":
        return None
    return store.messages.find_reason(one)


def _plan_look(one: ApiMessage, waiting: int, now: Millis) -> Millis | None:
    if not waiting:
        return None
    due = one.due_at or one.at
    if one.state == "waiting":
        return now + units.MINUTE
    if due > now:
        return due + _SOON
    # Counting many takes its time.
    soon = _SOON * (1 + sum(one.counts.values()) // _COUNTED)
    return now + min(max((now - due) // 4, soon), _LATEST)
