"""
After which messages people leave, said a second time: quarter by quarter, in plain Python.

It reads raw rows, and uses none of the product's code.
"""

import json
import math
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.tables import leaving as product
from pushctl.jobs.figures.tables import penalties
from pushctl.store import Store
from tests.support.recount.performance import find_person, read

if TYPE_CHECKING:
    from tests.support.histories import History

Message = dict[str, Any]
QUARTER = 15 * 60 * 1000
DAY = 96
WINDOW = 2 * DAY


def check(history: "History") -> int:
    """Compare what ``stats leaving`` counts, by five kinds; return how many cells."""
    store, now = history.store, history.now
    people, campaigns = read(store, "subscriptions"), read(store, "campaigns")
    kinds: dict[str, str | Callable[[Message], str | None]] = {
        "language": "language",
        "variant": "variant",
        "frequency": "frequency",
        "browser": lambda message: people[message["subscription_id"]]["browser"],
        "form": lambda message: _find_form(campaigns[message["campaign_id"]], message),
    }
    cells = 0
    for since in (now - 90 * DAY * QUARTER, now - 30 * DAY * QUARTER):
        asked = Filter(since=since, now=now)
        for kind, by in kinds.items():
            expected, left, quarters = recount(store, since, now, by)
            rows = product.load(store, history.config, asked, [kind]).rows
            assert {row["value"] for row in rows} == set(expected), kind
            for row in rows:
                cells += _compare(row, expected[_word(row["value"])], left, quarters)
    return cells + _check_penalties(history)


def _find_form(campaign: dict[str, Any], message: Message) -> str | None:
    """Return whether the title asks; histories have titles in English alone."""
    if message["language"] != "en":
        return None
    title = json.loads(campaign["sources"])["en.toml"].splitlines()[0]
    return "question" if title.endswith('?"') else "statement"


def _word(value: Any) -> str | None:
    return None if value is None else str(value)


def _compare(row: Any, own: tuple[int, int, int], left: int, quarters: int) -> int:
    lost, here, gone = own
    days, others = here / DAY, (quarters - here) / DAY
    counts = row["unsubscribed"], row["days"], row["gone"]
    assert counts == (lost, round(days), gone), (row["by"], row["value"])
    assert row["rate"] == (round(1000 * lost / days, 2) if days else None)
    if days and others and left > lost:
        ratio = lost / days / ((left - lost) / others)
        assert math.isclose(row["ratio"], ratio, abs_tol=0.006), (row["by"], row["value"])
    return 5


def _check_penalties(history: "History") -> int:
    """Compare the browsers that are near to ending it themselves."""
    store, now = history.store, history.now // QUARTER
    people, campaigns = read(store, "subscriptions"), read(store, "campaigns")
    reports = defaultdict(set)
    for one in read(store, "interactions").values():
        reports[one["delivery_id"]].add(one["kind"])
    bridged = {
        row for (row,) in store.connection.execute("SELECT delivery_id FROM foreign_deliveries")
    }
    sent: dict[int, list[Message]] = defaultdict(list)
    for number, one in read(store, "deliveries").items():
        campaign, row = campaigns[one["campaign_id"]], one["subscription_id"]
        began = campaign["started_at"] or campaign["created_at"]
        other = campaign["is_test"] or "channel" in json.loads(campaign["options"])
        old = campaign["trigger"] is None and began <= history.now - 60 * DAY * QUARTER
        if one["status"] != "accepted" or one["sent_at"] is None or other or old:
            continue
        if row is None or people[row]["state"] != "active":
            continue
        if one["sent_at"] // QUARTER < now - 30 * DAY:
            continue
        if number not in bridged or reports[number]:
            sent[row].append(one)
    expected: dict[str, list[int]] = {}
    for row, own in sent.items():
        browser = people[row]["browser"]
        told = [reports[one["id"]] for one in own]
        aged = [one for one in own if one["sent_at"] // QUARTER <= now - DAY]
        aged.sort(key=lambda one: (one["sent_at"] // QUARTER, one["id"]))
        if browser == "Chrome":
            near = len(own) >= 4 and not any(kinds & {"clicked", "closed"} for kinds in told)
        elif browser == "Safari":
            near = len(aged) >= 3 and not any(reports[one["id"]] for one in aged[-3:])
        else:
            continue
        sums = expected.setdefault(browser, [0, 0, 0])
        for place, count in enumerate((1, len(own), near)):
            sums[place] += count
    rows = penalties.load(store, Filter(now=history.now))
    assert {
        row["browser"]: [row["browsers"], row["messages"], row["ignored"]] for row in rows
    } == expected
    return 3 * len(rows)


def recount(
    store: Store,
    since: int,
    until: int,
    by: str | Callable[[Message], str | None],
    titles: dict[int, str] | None = None,
) -> tuple[dict[str | None, tuple[int, int, int]], int, int]:
    """
    Return ({group: (left, quarters, gone)}, all losses, all quarters).

    *by* is frequency, title (of *titles* by campaign), a column, or what names a message.
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
        campaign = campaigns[message["campaign_id"]]
        other = campaign["is_test"] or "channel" in json.loads(campaign["options"])
        if known and message["status"] == "accepted" and not other:
            who = find_person(subscriptions, message["subscription_id"])
            sent[who].append((message["sent_at"] // QUARTER, number, message))
    found: dict[str | None, list[int]] = defaultdict(lambda: [0, 0, 0])
    for who, several in sent.items():
        several.sort(key=lambda one: (one[0], one[2]["campaign_id"], one[1]))
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
                (at, message["campaign_id"], number, place)
                for place, (at, number, message) in enumerate(several)
                if message["subscription_id"] == row and at <= quarter
            ]
            if own:
                found[words[max(own)[3]]][2] += 1
    kept = {word: (one[0], one[1], one[2]) for word, one in found.items() if any(one)}
    return kept, len(left), sum(map(len, there.values()))


def _order(one: dict[str, Any]) -> tuple[int, int]:
    return one["at"], one["id"]


def _find_last(times: list[int], quarter: int) -> int | None:
    earlier = [place for place, at in enumerate(times) if at <= quarter]
    return earlier[-1] if earlier else None


def _name(
    several: list[tuple[int, int, Message]],
    place: int,
    by: str | Callable[[Message], str | None],
    titles: dict[int, str],
) -> str | None:
    at, _, message = several[place]
    if callable(by):
        return by(message)
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
