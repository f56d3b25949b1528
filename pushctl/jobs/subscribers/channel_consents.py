"""Revokes a person's consent to a channel, on all their devices."""

from pushctl.errors import InputError, NotFoundError
from pushctl.jobs.ingest import revocations
from pushctl.model import Millis
from pushctl.rules.triggers.consents import Revocation, fold_channel
from pushctl.store import Store


def revoke(store: Store, who: str, channel: str, now: Millis) -> int:
    """Revoke the consent of *who* (an id or alias:NAME); return how many rows it had."""
    name = fold_channel(channel)
    if name is None:
        raise InputError(f"{channel!r} is no channel. pushctl consents list shows them.")
    found = store.subscriptions.get(who, now)
    devices = [one.subscription for one in store.enrolments.list_devices({found.id})]
    with store.write():
        count = revocations.note(store, [Revocation(devices, name, now)])
    if not count:
        raise NotFoundError(f"{who} has no consent to {name}. pushctl consents list shows all.")
    return count
