"""`pushctl stats` on the command line."""

import csv
import io
import json
from pathlib import Path

import pytest

from pushctl.store.deliveries import FinishedRow
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


def test_help_and_an_empty_database(tmp_path: Path) -> None:
    empty = sending.field(tmp_path)
    run = pushctl("stats", cwd=empty.config.folder)
    assert (run.code, run.out, "No campaign yet" in run.err) == (0, "", True)
    assert "pushctl stats --csv" in pushctl("stats", "--help").out
