"""One declaration is enough: the figure is in SQL, table, CSV, JSON and docs."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from zoneinfo import ZoneInfo

import pytest

from pushctl import output
from pushctl.commands import columns
from pushctl.jobs.figures.tables import funnels
from pushctl.jobs.figures.tables.subscribers import load_growth
from pushctl.output import Format, Kind
from pushctl.rules.figures.figure import Figure, Rate, Row, Table, Unit
from pushctl.rules.figures.tables import campaigns, prompts, subscribers
from pushctl.rules.money import Money
from pushctl.store.ledger_rows import FinishedRow
from pushctl.store.prompts import STAGES
from tests.support import NOON, sending
from tests.support.sending import Field

# Two figures more, and nothing else: store/reports.py has SQL for "rejected".
REJECTED = Figure("rejected", "messages that a push service refused")
REFUSAL = Rate("refusal", numerator=REJECTED, denominator=campaigns.PLANNED)
EXTRA = replace(campaigns.STATS, figures=(*campaigns.STATS.figures, REJECTED, REFUSAL))


@pytest.fixture
def field(tmp_path: Path) -> Field:
    """A campaign of four, one of which was rejected."""
    made = sending.field(tmp_path)
    made.people(4)
    rows, _ = made.store.deliveries.claim_fresh(made.freeze(name="sale").id, 0, 9, NOON)
    states = ("rejected", "accepted", "accepted", "accepted")
    made.store.deliveries.finish(
        (
            FinishedRow(row.id, status, http_status=201, language="en")
            for status, row in zip(states, rows, strict=True)
        ),
        NOON,
    )
    return made


def printed(
    rows: Sequence[Row], table: Table, format: Format, capsys: pytest.CaptureFixture[str]
) -> str:
    output.rows(rows, columns.of(table), format)
    return capsys.readouterr().out


def test_a_declared_figure_is_in_table_csv_and_json(
    field: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = funnels.load_funnel(field.store, table=EXTRA)
    head, line = printed(rows, EXTRA, Format.TABLE, capsys).splitlines()
    assert head.split("\t")[-2:] == ["Rejected", "Refusal"]
    assert line.split("\t")[-2:] == ["1", "0.25"]
    (row,) = csv.DictReader(io.StringIO(printed(rows, EXTRA, Format.CSV, capsys)))
    assert (row["rejected"], row["refusal"]) == ("1", "0.25")
    (row,) = json.loads(printed(rows, EXTRA, Format.JSON, capsys))
    assert (row["rejected"], row["refusal"]) == (1, 0.25)


def test_a_declared_figure_is_in_the_docs(generate: ModuleType) -> None:
    lines = generate.columns([EXTRA, campaigns.LIST]).splitlines()
    refused = "messages that a push service refused"
    assert f"| Rejected | `rejected` | count | {refused} | `stats` |" in lines
    assert "| Refusal | `refusal` | share | rejected / planned | `stats` |" in lines


def test_each_unit_is_printed_as_it_demands(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("units", (), tuple(Figure(unit, "", unit) for unit in Unit))
    row = {
        "text": "=1+1",
        "count": 1234,
        "share": 0.5,
        "milliseconds": 90_000,
        "moment": NOON,
    }
    amounts = {"money": (Money(1250, 2, "EUR"), Money(3, 0, "JPY"))}
    assert [*row, *amounts] == [figure.name for figure in table.figures]
    (found,) = json.loads(printed([row | amounts], table, Format.JSON, capsys))
    euros = {"money_minor": 1250, "money_exponent": 2, "money_currency": "EUR"}
    assert found == row | {
        "moment": "2026-04-28T08:00:00Z",
        **euros,
        "money_more": ["3 JPY"],
    }
    kinds = [column.kind for column in columns.of(table)]
    assert kinds == [Kind.TEXT, Kind.NUMBER, Kind.SHARE, Kind.DURATION, Kind.TIME, Kind.MONEY]


def test_every_declared_count_is_counted(field: Field) -> None:
    store = field.store
    every = {*campaigns.STATS.sources, *campaigns.LIST.sources}
    (row,) = store.reports.load_funnel(every)
    assert row.keys() == {"name", "status", "at", *every}
    assert set(row.values()) - {0}, "each of them has a value"
    assert None not in row.values()
    for table in prompts.PROMPTS.values():
        assert set(table.sources) == set(STAGES)
    (growth,) = load_growth(store, NOON, ZoneInfo("UTC"), last=1)
    assert growth.keys() >= {figure.name for figure in subscribers.GROWTH.figures}


def test_a_count_without_sql_is_refused(field: Field) -> None:
    with pytest.raises(KeyError, match="unheard_of"):
        field.store.reports.load_funnel(("unheard_of",))
