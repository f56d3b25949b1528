"""A database that is held by another program is no fault of a recurring campaign."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pushctl import store as store_module
from pushctl.demo.pushservice import PushService
from pushctl.errors import DatabaseBusyError
from pushctl.jobs.campaigns import recurring
from pushctl.jobs.campaigns.draft import Draft
from pushctl.rules.schedule import Passed
from tests.support import HOUR, NOON, sending
from tests.support.sending import Field


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    with PushService(checks=False) as service:
        made = sending.field(tmp_path, service)
        yield made
        made.store.close()


def add_series(field: Field, **wish: Any) -> None:
    draft = Draft(everyone=True, template="sale", every="day 09:00", **wish)
    recurring.add_series(field.store, field.config, draft, NOON)


@contextmanager
def held_once(field: Field, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have another program hold the database until a write of *field* has failed for it."""
    monkeypatch.setattr(store_module, "BUSY_SECONDS", 0.05)
    own = field.store.connection
    foreign = sqlite3.connect(field.store.path, isolation_level=None)

    def let_go(statement: str) -> None:
        # This is what the store does when it has found the database held.
        if statement == "PRAGMA busy_timeout = 0" and foreign.in_transaction:
            foreign.execute("ROLLBACK")

    foreign.execute("BEGIN EXCLUSIVE")
    own.set_trace_callback(let_go)
    try:
        yield
    finally:
        own.set_trace_callback(None)
        foreign.close()


@pytest.mark.parametrize("late", [0, 13 * HOUR])
def test_a_held_database_is_no_fault_of_the_series(
    field: Field, monkeypatch: pytest.MonkeyPatch, late: int
) -> None:
    field.people(1)
    add_series(field)
    now = NOON + HOUR + late
    with held_once(field, monkeypatch), pytest.raises(DatabaseBusyError):
        list(recurring.carry_out(field.store, field.config, now))
    (due,) = field.store.schedules.recurring.list_due(now)
    assert (due.next_at, due.note) == (NOON + HOUR, None)
    assert list(recurring.carry_out(field.store, field.config, NOON + HOUR)) == []
    (campaign,) = field.store.campaigns.list_newest()
    assert field.store.deliveries.count_waiting(campaign.id, 0)[0] == 1


def test_a_held_database_does_not_cost_a_restored_series_its_occurrence(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One on each person's own clock: in New York it is still to come."""
    field.people(1)
    with field.store.write() as connection:
        connection.execute("UPDATE subscriptions SET timezone = 'America/New_York'")
    add_series(field, local=True, passed=Passed.SKIP)
    now = NOON + 11 * HOUR
    with held_once(field, monkeypatch), pytest.raises(DatabaseBusyError):
        recurring.skip_due(field.store, field.config, now)
    recurring.skip_due(field.store, field.config, now)
    (campaign,) = field.store.campaigns.list_newest()
    assert field.store.deliveries.count_waiting(campaign.id, 0)[0] == 1
