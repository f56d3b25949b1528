"""`pushctl best-time` and `send --at best`: which messages count, and what is chosen."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pushctl.errors import InputError, UsageError
from pushctl.jobs.campaigns import best_time as best
from pushctl.jobs.campaigns import broadcast
from pushctl.jobs.campaigns.draft import Draft
from pushctl.jobs.figures import filters
from pushctl.jobs.figures.columns import local_times
from pushctl.jobs.figures.send_times import best_time
from pushctl.rules import campaign_files, timing
from pushctl.rules.figures.send_times import best_hours
from pushctl.rules.figures.send_times.best_hours import BLOCKS
from tests.support import DAY, HOUR, NOON, sending
from tests.support.sending import Field

ZONES = ("Europe/Berlin", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe", None)


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    made = sending.field(tmp_path)
    made.people(200)
    for place, zone in enumerate(ZONES):
        sql = "UPDATE subscriptions SET timezone = ? WHERE id % 5 = ?"
        made.store.connection.execute(sql, (zone, place))
    yield made
    made.store.close()


def add(
    field: Field, at: int, rate: float, draw: random.Random, drawn: bool = False
) -> list[tuple[int, int, bool, float | None]]:
    """Write a campaign that went out at *at*; return (person, sent, clicked, probability)."""
    store = field.store
    campaign = store.campaigns.create(
        name=store.campaigns.find_free_name("sale"), template="sale", audience="everyone",
        sources={}, options={"explore": "50%"} if drawn else {}, now=at,
        expires_at=at + DAY,
    )  # fmt: skip
    people = [row for (row,) in store.connection.execute("SELECT id FROM subscriptions")]
    store.deliveries.plan(campaign.id, people, now=at, expires_after=DAY)
    rows, clicks = [], []
    for one in people:
        sent = at + (draw.randrange(24) * HOUR if drawn else 0)
        clicked, chance = draw.random() < rate, 1 / 24 if drawn else None
        rows.append((one, sent, clicked, chance))
        if clicked:
            clicks.append((sent, campaign.id, one))
    with store.write() as connection:
        sql = """
            UPDATE deliveries SET status = 'accepted', sent_at = ?, hour_probability = ?
             WHERE campaign_id = ? AND subscription_id = ?
        """
        values = [(sent, chance, campaign.id, one) for one, sent, _, chance in rows]
        connection.executemany(sql, values)
        sql = """
            INSERT INTO interactions (delivery_id, kind, at, dedupe_key)
            SELECT id, 'clicked', ?, 'c' || id FROM deliveries
             WHERE campaign_id = ? AND subscription_id = ?
        """
        connection.executemany(sql, clicks)
    return rows


def find(field: Field, **wish: object) -> best_time.BestTime:
    asked = filters.Filter(**wish)  # type: ignore[arg-type]
    return best_time.find_best_time(field.store, field.config, asked)


def recount(rows: list[tuple[int, int, bool, float | None]]) -> Counter[tuple[str, bool]]:
    """Count messages by block and click, in plain Python."""
    found: Counter[tuple[str, bool]] = Counter()
    for person, sent, clicked, _ in rows:
        local = timing.local(sent, timing.zone(ZONES[person % 5]))
        if local.weekday() >= 5:
            block = "weekend"
        elif local.hour < 9:
            block = "before work"
        else:
            block = "at work" if local.hour < 17 else "after work"
        found[block, clicked] += 1
    return found


def test_messages_count_by_the_receivers_own_clock(field: Field) -> None:
    draw = random.Random(4)
    rows = [
        row
        for number in range(8)
        for row in add(field, NOON + number * (DAY + 5 * HOUR), 0.3, draw)
    ]
    found = find(field)
    assert not found.by_lots
    expected = recount(rows)
    for block, one in zip(BLOCKS, found.blocks.measured, strict=True):
        assert one.sends == expected[block, True] + expected[block, False]
        if one.sends:
            assert one.rate.value == pytest.approx(expected[block, True] / one.sends)
    assert found.blocks.best is None
    said = " ".join(best_time.describe(found))
    assert "compares campaigns, not hours" in said
    assert "of the 300 that" in said


def test_what_has_no_time_and_who_was_erased_is_left_out_and_counted(field: Field) -> None:
    add(field, NOON, 0.3, random.Random(1))
    run = field.store.connection.execute
    run("UPDATE deliveries SET sent_at = NULL WHERE id IN (SELECT id FROM deliveries LIMIT 7)")
    run("UPDATE deliveries SET subscription_id = NULL WHERE id > 190")
    found = find(field)
    assert found.unknown == 7
    assert found.erased == 10
    assert sum(one.sends for one in found.blocks.measured) == 183
    said = " ".join(best_time.describe(found))
    assert "7 messages of before the upgrade" in said
    assert "10 messages to people who were erased" in said


def test_hours_that_were_drawn_answer_alone(field: Field) -> None:
    draw = random.Random(2)
    add(field, NOON, 0.9, draw)
    rows = add(field, NOON, 0.2, draw, drawn=True)
    found = find(field)
    assert found.by_lots
    expected = recount(rows)
    for block, one in zip(BLOCKS, found.blocks.measured, strict=True):
        assert one.sends == expected[block, True] + expected[block, False]
    said = " ".join(best_time.describe(found))
    assert "of the 50,000 that it takes. Until then `pushctl send --at best` takes" in said
    assert find(field, since=NOON + 30 * DAY).blocks.measured[0].sends == 0


def test_with_enough_sends_the_best_block_is_taken(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(best_hours, "SENDS_FOR_BLOCKS", 500)
    monkeypatch.setattr(best_hours, "LEAST_OF_CELL", 20)
    draw = random.Random(3)
    for number in range(7):
        add(field, NOON + number * DAY, 0.1, draw, drawn=True)
    evening = """
        INSERT OR IGNORE INTO interactions (delivery_id, kind, at, dedupe_key)
        SELECT d.id, 'clicked', d.sent_at, 'e' || d.id FROM deliveries AS d
         WHERE d.subscription_id % 5 = 4 AND (d.sent_at / 3600000) % 24 BETWEEN 17 AND 23
    """
    field.store.connection.execute(evening)
    found = find(field)
    assert found.blocks.best == BLOCKS.index(best_hours.Block.AFTER)
    draft, why = best.resolve(field.store, field.config, Draft(at="best"), NOON)
    assert why is not None
    assert why.startswith("after work, at ")
    assert draft.local
    assert set(draft.weekdays) == {0, 1, 2, 3, 4}
    day, _ = best.resolve(field.store, field.config, Draft(at="2026-12-26 best"), NOON)
    assert day.at is not None
    assert day.at.startswith("2026-12-26 ")  # a Saturday: the weekend is all there is


def test_without_evidence_it_is_before_or_after_work(field: Field) -> None:
    wish = Draft(everyone=True, template="sale", at="best")
    made = broadcast.plan(field.store, field.config, wish, NOON)
    assert made.best is not None
    assert "not known yet" in made.best
    assert "18:00" in made.best
    zone = field.config.zone
    zones = {row: timing.zone(ZONES[row % 5]) for row in made.receivers}
    for row, at in zip(made.receivers, made.at, strict=True):
        local = timing.local(at, zones[row])
        assert (local.hour, local.minute) == (18, 0)
        assert local.weekday() < 5
        assert at >= NOON
    evening = timing.instant(timing.local(NOON, zone).date(), timing.clock("18:30"), zone)
    later, _ = best.resolve(field.store, field.config, wish, evening)
    assert later.at == "08:00"


@pytest.mark.parametrize(
    "wish", [{"every": "day 09:00"}, {"variants": "09:00,18:00"}, {"at": "tomorrow UTC best"}]
)
def test_what_chooses_the_hour_itself_is_refused(field: Field, wish: dict[str, str]) -> None:
    draft = replace(Draft(at="best"), **wish)  # type: ignore[arg-type]
    with pytest.raises((UsageError, InputError)):
        best.resolve(field.store, field.config, draft, NOON)


def test_a_file_says_the_day_of_its_best_hour(field: Field) -> None:
    zone = field.config.zone
    text = 'everyone = true\ntemplate = "sale"\nat = "2026-12-24 best"\n'
    found, faults = campaign_files.read("sale", text, zone, {})
    assert faults == []
    assert found is not None
    eve = timing.moment("2026-12-23T09:00:00+00:00")
    assert campaign_files.find_phase(found, zone, eve) == "to come"
    assert campaign_files.find_phase(found, zone, eve + DAY) == "under way"
    assert campaign_files.find_phase(found, zone, eve + 3 * DAY) == "over"
    _, faults = campaign_files.read("sale", text.replace("2026-12-24 ", ""), zone, {})
    assert "2026-12-24 best" in faults[0].remedy


def test_the_hour_of_the_week_is_that_of_each_clock() -> None:
    draw = random.Random(6)
    zones = [timing.zone(name) for name in (*ZONES[:4], "Africa/Casablanca", "Asia/Kathmandu")]
    begin = timing.moment("2026-01-01T00:00:00+00:00")
    times = [begin + draw.randrange(365 * 96) * 15 * 60_000 for _ in range(4_000)]
    places = [draw.randrange(len(zones)) for _ in times]
    quarters = np.array(times) // local_times.QUARTER
    found = local_times.find_week_hours(quarters, np.array(places), zones)
    for at, place, hour in zip(times, places, found, strict=True):
        local = timing.local(at, zones[place])
        assert hour == local.weekday() * 24 + local.hour
