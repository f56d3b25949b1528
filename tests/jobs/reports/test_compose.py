"""A report says what `pushctl stats` says, and of small groups nothing single."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from html import unescape
from pathlib import Path

import pytest

from pushctl import config as configs
from pushctl.jobs.figures.tables import breakdowns
from pushctl.jobs.reports import compose, page, schedule
from pushctl.jobs.reports.compose import Period
from pushctl.rules import timing
from pushctl.rules.figures.figure import read_count
from pushctl.rules.reports.content import Report
from pushctl.rules.reports.words import Words
from pushctl.store import Store
from tests.jobs.reports.test_page import Reader
from tests.support import DAY, HOUR, NOON, project
from tests.support.histories import History, make_random_history

HOSTILE = "<script>x</script>\x1b[31m\u202e'); DROP"


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    made = make_random_history(11, tmp_path_factory.mktemp("report") / "shop", people=60)
    yield made
    made.close()


def make(history: History, days: int = 120, **more: str) -> Report:
    today = timing.local(NOON, history.config.zone).date()
    period = Period(today - timedelta(days=days), today - timedelta(days=1))
    wish = schedule.Wish(**more)  # type: ignore[arg-type]
    return schedule.compose_with_plan(history.store, history.config, wish, period, NOON)


def test_its_figures_are_those_of_stats(history: History) -> None:
    report = make(history)
    today = timing.local(NOON, history.config.zone).date()
    period = Period(today - timedelta(days=120), today - timedelta(days=1))
    asked = compose._ask(history.store, history.config, NOON, period, None)
    total = breakdowns.compare_campaigns(history.store, history.config, asked).total
    assert total is not None
    words = Words("en")
    values = [card.value for card in report.cards]
    assert values[:3] == [
        words.count(read_count(total, name)) for name in ("accepted", "clicked", "orders")
    ]
    (sent,) = (it for it in report.sections if it.slug == "sent")
    accepted = sum(int(row[1].replace(",", "")) for row in sent.tables[0].rows)
    assert accepted == read_count(total, "accepted")


def test_no_group_of_few_people_stands_by_itself(history: History) -> None:
    with history.store.write() as connection:
        connection.execute("UPDATE subscriptions SET country = iif(id % 20, 'TR', 'LI')")
    report = make(history)
    today = timing.local(NOON, history.config.zone).date()
    period = Period(today - timedelta(days=120), today - timedelta(days=1))
    asked = compose._ask(history.store, history.config, NOON, period, None)
    rows = breakdowns.compare_groups(history.store, history.config, asked, "country").rows
    small = {str(row["value"]) for row in rows if read_count(row, "ctr_n") < 5}
    large = {str(row["value"]) for row in rows if read_count(row, "ctr_n") >= 5}
    assert small and large
    (places,) = (it for it in report.sections if it.slug == "places")
    shown = {row[0]: row for row in places.tables[0].rows}
    assert "other" in shown and not small & set(shown)
    # Of those who are merged no rate is told.
    assert shown["other"][2] == shown["other"][3] == "–"


def test_every_language_has_its_direction_and_words(history: History) -> None:
    arabic = make(history, language="ar")
    assert arabic.mirrored and "الاشتراك" not in arabic.title
    assert {it.title for it in arabic.sections}.isdisjoint(
        it.title for it in make(history).sections
    )
    assert not make(history, language="tr").mirrored


def test_names_of_others_come_out_harmless(history: History) -> None:
    with history.store.write() as connection:
        connection.execute("UPDATE campaigns SET name = name || ?", (HOSTILE,))
        connection.execute("UPDATE subscriptions SET country = ?", (HOSTILE,))
    made = page.render(make(history))
    assert "script" not in Reader(made).tags
    assert "\x1b" not in made and "\u202e" not in unescape(made)
    assert "DROP" in made  # it is there, as text


def test_an_empty_project_has_a_report_that_says_so(tmp_path: Path) -> None:
    folder = project.make(tmp_path / "shop")
    config = configs.load(folder / "pushctl.toml", {})
    with Store(config.database) as store:
        report = make(History(folder, config, store, NOON, 0), days=7)
    assert all(section.empty or section.slug == "plan" for section in report.sections)
    assert "0" not in [card.value for card in report.cards[3:4]]  # revenue is unknown


def test_last_week_is_monday_to_sunday() -> None:
    for day in range(7):
        found = compose.find_last_week(date(2026, 11, 30) + timedelta(days=day))
        assert (found.first, found.last) == (date(2026, 11, 23), date(2026, 11, 29))


def test_a_series_writes_its_files_once_and_says_what_failed(history: History) -> None:
    store, config = history.store, history.config
    added = schedule.add(store, config, "monday 07:00", schedule.Wish(eml=True), NOON)
    assert added.next_at is not None
    (row,) = (it for it in schedule.list_all(store, config) if it["name"] == added.name)
    assert row["whom"] == "report: file and e-mail in reports/"
    assert list(schedule.carry_out(store, config, added.next_at - 1)) == []
    folder = config.folder / schedule.FOLDER
    assert not folder.exists()
    assert list(schedule.carry_out(store, config, added.next_at)) == []
    kinds = sorted(it.suffix for it in folder.iterdir())
    assert kinds == [".eml", ".html"]
    assert all(it.stat().st_mode & 0o777 == 0o600 for it in folder.iterdir())
    (after,) = store.schedules.recurring.list_reports()
    assert after.next_at == added.next_at + 7 * DAY
    assert list(schedule.carry_out(store, config, added.next_at + HOUR)) == []
    # A folder that can't be written stops nothing else, and the list says why.
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    folder.write_text("a file in its place")
    (error,) = schedule.carry_out(store, config, after.next_at)
    assert added.name in error
    (row,) = (it for it in schedule.list_all(store, config) if it["name"] == added.name)
    assert row["note"] and re.search("exists|directory", row["note"])
    folder.unlink()
    # No sweep takes it for a message.
    assert store.schedules.recurring.list_due(after.next_at + 9 * DAY) == []
