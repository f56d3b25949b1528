"""store.base_rates: how often earlier messages were clicked."""

from pathlib import Path

import pytest

from pushctl.model import Campaign, InteractionKind
from pushctl.rules.units import DAY
from pushctl.store import base_rates
from pushctl.store.interactions import Interaction
from pushctl.store.ledger_rows import FinishedRow
from tests.support import NOON, sending
from tests.support.sending import Field


@pytest.fixture
def field(tmp_path: Path) -> Field:
    made = sending.field(tmp_path)
    made.people(10)
    return made


def send(field: Field, name: str, *, clicks: int, now: int = NOON) -> Campaign:
    """Freeze a campaign; all but its first row are accepted, the next *clicks* are clicked."""
    campaign = field.freeze(now, name=name)
    first, *rest = field.store.deliveries.claim_fresh(campaign.id, 0, 99, now)[0]
    done = [FinishedRow(row.id, "accepted", language="en") for row in rest]
    field.store.deliveries.finish([FinishedRow(first.id, "gone"), *done], now)
    for row in rest[:clicks]:
        for kind, key in (("shown", 1), ("clicked", 2), ("clicked", 3)):
            shown = Interaction(row.id, InteractionKind(kind), None, now, f"{row.id}-{key}")
            field.store.interactions.add(shown)
    return campaign


def test_clickers_of_the_template_are_counted_once(field: Field) -> None:
    send(field, "one", clicks=4)
    send(field, "two", clicks=1)
    send(field, "today", clicks=9, now=NOON + DAY)
    assert field.store.base_rates.count_clickers(NOON, template="sale") == (5, 18)
    assert field.store.base_rates.count_clickers(NOON, template="other") == (0, 0)


def test_messages_that_report_nothing_are_left_out(field: Field) -> None:
    campaign = send(field, "one", clicks=2)
    field.store.connection.execute(
        "INSERT INTO foreign_deliveries SELECT max(id) FROM deliveries WHERE campaign_id = ?",
        (campaign.id,),
    )
    assert field.store.base_rates.count_clickers(NOON, template="sale") == (2, 8)


def test_only_the_newest_campaigns_count(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_rates, "_CAMPAIGNS", 1)
    send(field, "one", clicks=4)
    send(field, "two", clicks=1)
    assert field.store.base_rates.count_clickers(NOON, template="sale") == (1, 9)


def test_of_many_a_sample_is_counted(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_rates, "_SAMPLE", 3)
    send(field, "one", clicks=9)
    assert field.store.base_rates.count_clickers(NOON, template="sale") == (3, 3)


def test_campaigns_about_the_same_stand_in_for_a_new_template(field: Field) -> None:
    field.freeze(name="silent", topic="promotion")
    send(field, "one", clicks=4)
    field.store.connection.execute("UPDATE campaigns SET topic = 'news' WHERE name = 'one'")
    assert field.store.base_rates.count_clickers(NOON, topic="news") == (4, 9)
    assert field.store.base_rates.count_clickers(NOON, topic="promotion") == (0, 0)
