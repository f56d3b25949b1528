"""The word by which all devices of a person draw the same lot, for many people at once."""

from collections.abc import Sequence

from pushctl.store import Store

PAGE = 20_000


def find_lots(store: Store, subscriptions: Sequence[int]) -> list[str]:
    """
    Return the word of each of *subscriptions*: the public id of their person's first one.

    A person is a signed alias, else the hash of an address, else the subscription alone
    (``store.enrolments.list_devices``), as for triggers.
    """
    found: list[str] = []
    for start in range(0, len(subscriptions), PAGE):
        page = subscriptions[start : start + PAGE]
        words = store.enrolments.load_public_ids(page)
        several = [one for one, (_, has_person) in words.items() if has_person]
        firsts = _find_firsts(store, several) if several else {}
        found += [firsts.get(one) or words[one][0] if one in words else "" for one in page]
    return found


def _find_firsts(store: Store, subscriptions: Sequence[int]) -> dict[int, str]:
    """Return the public id of the first device of each one's person."""
    devices = store.enrolments.list_devices(subscriptions)
    firsts: dict[str, tuple[int, str]] = {}
    for one in devices:
        known = firsts.get(one.key)
        if known is None or one.subscription < known[0]:
            firsts[one.key] = one.subscription, one.public_id
    return {one.subscription: firsts[one.key][1] for one in devices}
