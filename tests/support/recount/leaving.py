"""
After which messages people leave, said a second time: quarter by quarter, in plain Python.

It reads raw rows, and uses none of the product's code.
"""

from collections import defaultdict
from typing import Any

from pushctl.store import Store
from tests.support.recount.performance import find_person, read

QUARTER = 15 * 60 * 1000
DAY = 96
WINDOW = 2 * DAY


def recount(
    store: Store, since: int, until: int, by: str, titles: dict[int, str] | None = None
) -> tuple[dict[str | None, tuple[int, int, int]], int, int]:
    """
    Return ({group: (left, quarters, gone)}, all losses, all quarters).

    *by* is language, frequency, or title: of *titles* by campaign.
    """
    subscriptions, campaigns = read(store, "subscriptions"), read(store, "campaigns")
    first, last = since // QUARTER, -(-until // QUARTER)
    changes = defaultdict(list)
    for one in sorted(read(store, "subscription_changes").values(), key=_order):
        if one["kind"] in ("revived", "unsubscribed", "gone", "quarantined"):
            changes[one["subscription_id"]].append(one)
    there: dict[object, set[int]] = defaultdict(set)
    left: list[tuple[object, int]] = []
    gone: list[tuple[int, int]] = []
    for row, person in subscriptions.items():
        who = find_person(subscriptions, row)
        begin: int | None = person["subscribed_at"] // QUARTER
        for place, one in enumerate(changes[row]):
            time = one["at"] // QUARTER
            if one["kind"] == "revived":
                begin = time if begin is None or place == 0 else begin
                continue
            if begin is None:
                continue
            there[who].update(range(max(begin, first), min(time + 1, last)))
            begin = None
            if first <= time < last:
                if one["kind"] == "unsubscribed":
                    left.append((who, time))
                elif one["kind"] == "gone":
                    gone.append((row, time))
        if begin is not None and (changes[row] or person["state"] == "active"):
            there[who].update(range(max(begin, first), last))
    sent: dict[object, list[tuple[int, int, dict[str, Any]]]] = defaultdict(list)
    for number, message in read(store, "deliveries").items():
        known = message["subscription_id"] is not None and message["sent_at"] is not None
        test = campaigns[message["campaign_id"]]["is_test"]
        if known and message["status"] == "accepted" and not test:
            who = find_person(subscriptions, message["subscription_id"])
            sent[who].append((message["sent_at"] // QUARTER, number, message))
    found: dict[str | None, list[int]] = defaultdict(lambda: [0, 0, 0])
    for who, several in sent.items():
        several.sort(key=lambda one: one[:2])
        words = [_name(several, place, by, titles or {}) for place in range(len(several))]
        for quarter in there[who]:
            place = _find_last([at for at, *_ in several], quarter)
            if place is not None and quarter - several[place][0] < WINDOW:
                found[words[place]][1] += 1
        for person, quarter in left:
            place = _find_last([at for at, *_ in several], quarter)
            if person == who and place is not None and quarter - several[place][0] < WINDOW:
                found[words[place]][0] += 1
        for row, quarter in gone:
            own = [
                (at, number, place)
                for place, (at, number, message) in enumerate(several)
                if message["subscription_id"] == row and at <= quarter
            ]
            if own:
                found[words[max(own)[2]]][2] += 1
    kept = {word: (one[0], one[1], one[2]) for word, one in found.items() if any(one)}
    return kept, len(left), sum(map(len, there.values()))


def _order(one: dict[str, Any]) -> tuple[int, int]:
    return one["at"], one["id"]


def _find_last(times: list[int], quarter: int) -> int | None:
    earlier = [place for place, at in enumerate(times) if at <= quarter]
    return earlier[-1] if earlier else None


def _name(
    several: list[tuple[int, int, dict[str, Any]]], place: int, by: str, titles: dict[int, str]
) -> str | None:
    at, _, message = several[place]
    if by == "frequency":
        count = sum(at - 7 * DAY < other <= at for other, *_ in several[: place + 1])
        return next(
            word
            for most, word in ((1, "1 a week"), (3, "2-3 a week"), (6, "4-6 a week"),
                               (10**9, "7 or more"))
            if count <= most
        )  # fmt: skip
    if by == "title":
        return titles[message["campaign_id"]]
    word: str | None = message[by]
    return word
