"""`pushctl stats` on the command line."""

import csv
import io
import json
from pathlib import Path

import pytest

from pushctl import output
from pushctl.commands import stats_subscribers, stats_times
from pushctl.rules.figures.figure import Row
from pushctl.store.ledger_rows import FinishedRow
from tests.support import NOON, sending
from tests.support.program import pushctl
from tests.support.sending import Field

WHEN = {"PUSHCTL_NOW": "2026-04-28T10:00:00+02:00"}


@pytest.fixture
def field(tmp_path: Path) -> Field:
    made = sending.field(tmp_path)
    made.people(3)
    campaign = made.freeze(name="=cmd|'sale'")
    rows, _ = made.store.deliveries.claim_fresh(campaign.id, 0, 9, NOON)
    made.store.deliveries.finish(
        (FinishedRow(row.id, "accepted", http_status=201, language="en") for row in rows),
        NOON,
    )
    return made


def test_csv_alone_stands_on_stdout_and_holds_no_formula(field: Field) -> None:
    run = pushctl("stats", "--csv", cwd=field.config.folder)
    assert (run.code, run.err) == (0, "")
    (row,) = csv.DictReader(io.StringIO(run.out))
    assert (row["accepted"], row["ctr"], row["ctr_shown"]) == ("3", "0.0", "")
    assert not row["name"].startswith("=")


def test_json_has_a_row_a_campaign(field: Field) -> None:
    (row,) = json.loads(pushctl("stats", "--json", cwd=field.config.folder).out)
    assert (row["name"], row["planned"], row["shown"]) == ("=cmd|'sale'", 3, 0)


def test_check_ends_with_one_and_names_what_is_kept_wrongly(field: Field) -> None:
    folder = field.config.folder
    run = pushctl("stats", "--check", cwd=folder)
    assert (run.code, run.out) == (0, "1 campaign counted again: all figures are right.\n")
    field.store.connection.execute(
        "UPDATE kept_columns SET about = json_set(about, '$.accepted', 9) WHERE name = 'counts'"
    )
    assert json.loads(pushctl("stats", "--json", cwd=folder).out)[0]["accepted"] == 9
    run = pushctl("stats", "--check", cwd=folder)
    assert (run.code, run.out) == (1, "")
    assert "=cmd|'sale': accepted: 9 kept, 3 counted\n" in run.err
    assert json.loads(pushctl("stats", "--json", cwd=folder).out)[0]["accepted"] == 3


def test_one_campaign_in_detail(field: Field) -> None:
    folder = field.config.folder
    run = pushctl("stats", "campaign", "=cmd|'sale'", "--json", cwd=folder)
    rows = {(row["by"], row["value"]): row for row in json.loads(run.out)}
    assert rows["language", "en"]["accepted"] == 3
    assert pushctl("stats", "campaign", "nothing", cwd=folder).code == 4


def test_subscribers_by_period(field: Field) -> None:
    folder = field.config.folder
    run = pushctl(
        *("stats", "subscribers", "--every", "week", "--last", "2", "--json"),
        cwd=folder,
        **WHEN,
    )
    this, before = json.loads(run.out)
    assert (this["start"], this["active"], this["new"], this["net"]) == ("2026-04-27", 0, 3, 3)
    assert (before["new"], before["churn"]) == (0, None)
    assert pushctl("stats", "subscribers", "--site", "x", cwd=folder).code == 4
    assert pushctl("stats", "subscribers", "--every", "year", cwd=folder).code == 2


def test_times_are_drawn_below_their_table(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[list[tuple[str, float | None]]] = []
    grids: list[list[list[float | None]]] = []
    monkeypatch.setattr(output, "bars", lambda _title, points, _show: drawn.append(points))
    monkeypatch.setattr(output, "heat", lambda _t, _r, _c, grid, _show: grids.append(grid))
    rows: list[Row] = [
        {"value": "Sunday 23", "accepted": 200, "ctr": 0.05},
        {"value": "Monday 00", "accepted": 199, "ctr": 0.5},
        {"value": None, "accepted": 900, "ctr": 0.1},
    ]
    stats_times.draw("weekday", rows)
    assert drawn == [[("Sunday 23", 0.05), ("Monday 00", None)]]
    stats_times.draw("cell", rows)
    (grid,) = grids
    assert grid[6][23] == 0.05
    assert sum(value is not None for row in grid for value in row) == 1
    stats_times.draw("hour", rows[1:])  # nothing is known: no picture
    assert (len(drawn), len(grids)) == (1, 1)


def test_a_terminal_has_the_active_from_the_oldest_to_the_newest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines: list[list[tuple[str, float | None]]] = []
    monkeypatch.setattr(output, "sparkline", lambda _title, points, _show: lines.append(points))
    stats_subscribers.draw(
        [{"start": "2026-05-04", "active": 3}, {"start": "2026-04-27", "active": 0}],
        chart=False,
    )
    assert lines == [[("2026-04-27", 0), ("2026-05-04", 3)]]


def test_help_and_an_empty_database(tmp_path: Path) -> None:
    empty = sending.field(tmp_path)
    run = pushctl("stats", cwd=empty.config.folder)
    assert (run.code, run.out, "No campaign yet" in run.err) == (0, "", True)
    assert "pushctl stats --csv" in pushctl("stats", "--help").out
