"""After which messages people leave: every cell equals a slow recount over raw rows."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from pushctl.config import Config
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.tables import leaving, penalties
from pushctl.rules.figures.statistics.rate_ratio import compare
from pushctl.store import Store
from tests.support import sending
from tests.support.recount import leaving as recount
from tests.support.sales import DAY, START, Sales

SINCE, NOW = START + 3 * DAY + 1, START + 25 * DAY + 123_456
TITLES = {0: "Seen our lamps?", 1: "New lamps", 2: "هل رأيت مصابيحنا؟"}


def make(folder: Path, seed: int) -> tuple[Store, Config, dict[int, str]]:
    field, chance = sending.field(folder), random.Random(seed)
    sales = Sales(field.store)
    titles = {}
    campaigns = []
    for number in range(5):
        text = TITLES[number % 3]
        row = sales.campaign(f"c{number}", is_test=1 if number == 4 else None)
        sales.change(
            "UPDATE campaigns SET sources = json_object('en.toml', ?, 'tr.toml', ?) "
            "WHERE id = ?",
            f'title = "{text}"', f'title = "{text}"', row,
        )  # fmt: skip
        titles[row] = "question" if number % 3 != 1 else "statement"
        campaigns.append(row)
    people = [
        sales.person(chance.choice([None, None, f"p{number // 2}"])) for number in range(30)
    ]
    for row in people:
        at = START + chance.randrange(12 * DAY)
        state = chance.choice(["active"] * 4 + ["unsubscribed"])
        sales.change("UPDATE subscriptions SET subscribed_at = ? WHERE id = ?", at, row)
        changes = chance.randrange(3) if state == "active" else chance.randrange(4)
        for _ in range(changes):
            at += chance.randrange(6 * DAY)
            kind = chance.choice(["unsubscribed", "unsubscribed", "gone", "revived", "moved"])
            sales.change(
                "INSERT INTO subscription_changes (subscription_id, kind, at) VALUES (?, ?, ?)",
                row, kind, at,
            )  # fmt: skip
        sales.change("UPDATE subscriptions SET state = ? WHERE id = ?", state, row)
    for _ in range(160):
        message = sales.message(chance.choice(campaigns), chance.choice(people))
        sent = chance.choice([None] + [START + chance.randrange(24 * DAY)] * 8)
        status = chance.choice(["accepted"] * 6 + ["gone"])
        sales.change(
            "UPDATE deliveries SET sent_at = ?, status = ?, language = ? WHERE id = ?",
            sent, status, chance.choice(["en", "tr"]), message,
        )  # fmt: skip
    sales.change("UPDATE deliveries SET subscription_id = NULL WHERE id % 40 = 0")
    return field.store, field.config, titles


@pytest.mark.parametrize("seed", range(6))
def test_every_cell_equals_the_recount(tmp_path: Path, seed: int) -> None:
    store, config, titles = make(tmp_path, seed)
    asked = Filter(since=SINCE, now=NOW)
    for kind, name in (("language", "language"), ("frequency", "frequency"), ("form", "title")):
        expected, left, quarters = recount.recount(store, SINCE, NOW, name, titles)
        rows = leaving.load(store, config, asked, [kind]).rows
        assert {row["value"] for row in rows} == set(expected)
        for row in rows:
            events, own, gone = expected[row["value"]]  # type: ignore[index]
            assert (row["unsubscribed"], row["days"], row["gone"]) == (
                events,
                round(own / 96),
                gone,
            )
            found = compare(events, own / 96, left - events, (quarters - own) / 96)
            known = None if found is None else round(found.low, 2)
            assert row["ratio_low"] == known
    store.close()


def test_a_browser_that_is_gone_is_booked_to_the_message_before(tmp_path: Path) -> None:
    field = sending.field(tmp_path)
    sales = Sales(field.store)
    one, two = sales.campaign("one"), sales.campaign("two")
    person = sales.person()
    for campaign, day, status in ((one, 1, "accepted"), (two, 9, "gone")):
        message = sales.message(campaign, person)
        sales.change(
            "UPDATE deliveries SET sent_at = ?, status = ? WHERE id = ?",
            START + day * DAY, status, message,
        )  # fmt: skip
    sales.change(
        "INSERT INTO subscription_changes (subscription_id, kind, at) VALUES (?, 'gone', ?)",
        person, START + 9 * DAY,
    )  # fmt: skip
    asked = Filter(since=START, now=NOW)
    rows = leaving.load(field.store, field.config, asked, ["campaign"]).rows
    assert [(row["value"], row["gone"], row["unsubscribed"]) for row in rows] == [("one", 1, 0)]
    field.store.close()


def test_browsers_near_to_a_penalty_are_told(tmp_path: Path) -> None:
    field = sending.field(tmp_path)
    sales = Sales(field.store)
    campaign = sales.campaign("daily")
    sales.change("UPDATE campaigns SET started_at = ?", NOW - 10 * DAY)
    people = {
        name: sales.person(browser=name.split()[0])
        for name in ("Chrome ignored", "Chrome closed", "Safari dark", "Safari shown")
    }
    for day in range(2, 7):
        for name, row in people.items():
            message = sales.message(campaign, row)
            at = NOW - day * DAY
            sales.change("UPDATE deliveries SET sent_at = ? WHERE id = ?", at, message)
            if name != "Safari dark":
                sales.report(message, "shown", at)
            if name == "Chrome closed" and day == 3:
                sales.report(message, "closed", at)
    rows = penalties.load(field.store, replace(Filter(), now=NOW))
    assert [(row["browser"], row["browsers"], row["ignored"]) for row in rows] == [
        ("Chrome", 2, 1), ("Safari", 2, 1),
    ]  # fmt: skip
    chrome, safari = penalties.warn(rows)
    assert "1 browser of 2 (50 %)" in chrome and "[frequency]" in chrome
    assert "last 3 messages" in safari
    field.store.close()
