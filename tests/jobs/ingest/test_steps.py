"""What the triggers of figures add to lines of the inbox: steps of SQLite, not time."""

from collections.abc import Callable, Sequence
from itertools import count

import pytest

from pushctl.model import InboxRecord
from tests.support import NOON
from tests.support.posting import Browser, Project

_TRIGGERS = """
    SELECT name FROM sqlite_master
     WHERE type = 'trigger' AND (name LIKE 'kept_%' OR name LIKE 'attribution_%')
"""
PAGE = "https://shop.example/shoes?utm_source=letter"
_numbers = count(100)
Made = Callable[[Project, Sequence[Browser]], list[InboxRecord]]


def subscribe(project: Project, browsers: Sequence[Browser]) -> list[InboxRecord]:
    return [one.subscribe(page=PAGE) for one in browsers]


def report(project: Project, browsers: Sequence[Browser]) -> list[InboxRecord]:
    project.drain(*subscribe(project, browsers))
    rows = [project.plan(one, one.endpoint) for one in browsers]
    project.store.connection.execute("UPDATE deliveries SET status = 'accepted'")
    return [one.report(row, "shown", at=NOON) for one, row in zip(browsers, rows, strict=True)]


def count_steps(project: Project, make: Made) -> int:
    """Return the steps of a line, drained in a batch of twenty others each time."""
    lines = make(project, [Browser(next(_numbers), project.key) for _ in range(20)])
    steps: list[int] = []
    connection = project.store.connection
    connection.set_progress_handler(lambda: steps.append(1), 1)
    found = project.drain(*lines)
    connection.set_progress_handler(None, 0)
    assert found.applied.total() == len(lines)
    return len(steps) // len(lines)


@pytest.mark.parametrize(("make", "most"), [(subscribe, 70), (report, 115)])
def test_triggers_of_figures_add_few_steps_to_a_line(
    inbox_project: Project, make: Made, most: int
) -> None:
    count_steps(inbox_project, make)  # whatever is written once
    whole = count_steps(inbox_project, make)
    connection = inbox_project.store.connection
    for (name,) in connection.execute(_TRIGGERS).fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    assert whole - count_steps(inbox_project, make) < most


def test_no_table_is_made_for_each_row_whose_attributes_change(inbox_project: Project) -> None:
    sql = "EXPLAIN UPDATE subscriptions SET attributes = '{}' WHERE id = 1"
    steps = [row[1] for row in inbox_project.store.connection.execute(sql)]
    assert "Program" in steps and "OpenEphemeral" not in steps
