"""The rows behind every figure of every table: as many as it says, and their SELECT agrees."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from pushctl.errors import PushctlError, UsageError
from pushctl.jobs.figures import filters
from pushctl.jobs.figures.attribution import credits
from pushctl.jobs.figures.columns import campaign_counts
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.raw_rows import free_sql, rows_behind
from pushctl.jobs.figures.raw_rows.rows_behind import World
from pushctl.jobs.figures.tables import (
    ab,
    breakdowns,
    campaign_details,
    funnels,
    holdout,
    leaving,
    optin,
    penalties,
    promo,
    reach,
    segment_sizes,
    subscribers,
    triggers,
)
from pushctl.rules.figures.figure import Row, Table, read_count
from pushctl.rules.figures.tables import ab as arm_tables
from pushctl.rules.figures.tables import basket, campaigns, groups, prompts
from pushctl.rules.figures.tables import holdout as holdout_table
from pushctl.rules.figures.tables import leaving as leaving_tables
from pushctl.rules.figures.tables import promo as promo_table
from pushctl.rules.figures.tables import segments as segment_table
from pushctl.rules.figures.tables import subscribers as tables
from pushctl.rules.figures.tables import triggers as trigger_tables
from pushctl.rules.units import DAY, HOUR
from pushctl.store.segment_sizes import Size
from tests.support.histories import History, make_random_history

Load = Callable[[History, Filter], list[Row]]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    made = make_random_history(
        4, tmp_path_factory.mktemp("behind") / "h", people=50, campaigns=12
    )
    for place in range(20):
        at = made.now - place * 20 * HOUR
        for name in ("vip", "new"):
            made.store.segment_sizes.note(Size(name, at, 30 - place, 50))
    pester(made)
    credits.refresh(made.store, made.config, campaign_counts.no_progress)
    yield made
    made.close()


def pester(made: History) -> None:
    """Write to some Chromes and Safaris every other day; a third of them show it, or click."""
    with made.store.write() as connection:
        people = "SELECT id FROM subscriptions WHERE state = 'active' AND browser IN "
        rows = connection.execute(f"{people} ('Chrome', 'Safari') ORDER BY id").fetchall()
        for place in range(5):
            at = made.now - (2 * place + 1) * DAY
            campaign = connection.execute(
                """INSERT INTO campaigns (name, template, audience, sources, options,
                                          created_at, started_at, status)
                   VALUES (?, 't', 'e', '{}', '{}', ?, ?, 'finished')""",
                (f"pest {place}", at, at),
            ).lastrowid
            for (row,) in rows:
                seen = at + HOUR if row % 3 == 0 and place == 1 else None
                connection.execute(
                    """INSERT INTO deliveries (campaign_id, subscription_id, status, attempts,
                                               changed_at, sent_at, shown_at, clicked_at)
                       VALUES (?, ?, 'accepted', 1, ?, ?, ?, ?)""",
                    (campaign, row, at, at, seen, seen),
                )


@dataclass(frozen=True)
class Shown:
    """A table as a command shows it: its figures that count rows, its filter, how it loads."""

    table: Table
    figures: tuple[str, ...]
    load: Load
    asked: Mapping[str, Any] = field(default_factory=dict)
    by: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    name: Callable[[Row], str] = lambda row: "=".join(map(str, row.values()))

    @property
    def is_of_kinds(self) -> bool:
        return self.table.dimensions[0].name == "by" and self.by is None

    @property
    def title(self) -> str:
        given = " ".join(map(str, self.asked.values()))
        return f"{self.table.command} {self.by or ''} {given}".replace("  ", " ").strip()

    def find(self, history: History, figure: str, of: str | None = None) -> rows_behind.Behind:
        return rows_behind.find(self.world(history), self.table, figure, of)

    def world(self, history: History) -> World:
        asked = read(history, **self.asked)
        return World(history.store, history.config, asked, self.by, self.more)


def read(history: History, **asked: Any) -> Filter:
    return filters.read(history.config, history.store, history.now, **asked)


_REACH = ("planned", "accepted", "gone", "unreported", "bought", "shown", "clicked", "clicks")
_BROUGHT = ("orders", "influenced")
_STEPS = ("sent", "accepted", "shown", "clicked", "unreported", "orders")
_LIVES = ("active", "new", "shown", "back", "unsubscribed", "gone", "quarantined")
_STAGES = ("seen", "accepted", "allowed", "denied", "dismissed", "failed")


def say(value: object) -> str:
    return "-" if value is None else str(value)


def of(*names: str) -> Callable[[Row], str]:
    return lambda row: "=".join(say(row[name]) for name in names)


def compare(by: str) -> Load:
    return lambda at, asked: breakdowns.compare(at.store, at.config, asked, by).rows


def split(by: str, **asked: Any) -> Shown:
    figures = ("campaigns", *_REACH, *_BROUGHT)
    return Shown(groups.GROUPS, figures, compare(by), asked, by, name=of("value"))


def times(by: str) -> Shown:
    def load(at: History, asked: Filter) -> list[Row]:
        return breakdowns.compare_times(at.store, at.config, asked, by).rows

    figures = ("campaigns", *_REACH, *_BROUGHT)
    return Shown(groups.TIMES, figures, load, {"since": "60d"}, by, name=of("value"))


def detail(campaign: str, **asked: Any) -> Shown:
    def load(at: History, asked: Filter) -> list[Row]:
        return campaign_details.load_details(at.store, at.config, campaign, asked)[1]

    return Shown(
        groups.DETAILS, (*_REACH, *_BROUGHT), load, asked, None,
        {"campaign": campaign}, of("by", "value"),
    )  # fmt: skip


def growth(every: str, count: int) -> Shown:
    def load(at: History, asked: Filter) -> list[Row]:
        zone = asked.zone
        return subscribers.load_growth(at.store, at.now, zone, every=every, last=count)

    more = {"every": every, "count": count}
    return Shown(tables.GROWTH, _LIVES, load, {}, None, more, of("start"))


def lives(by: str, **asked: Any) -> Shown:
    def load(at: History, asked: Filter) -> list[Row]:
        return subscribers.load_split(at.store, asked, by)

    figures = ("reached", *(_LIVES if "since" in asked else _LIVES[1:]))
    return Shown(tables.SPLIT, figures, load, asked, by, name=of("value"))


def cohorts(by: str, **asked: Any) -> Shown:
    def load(at: History, asked: Filter) -> list[Row]:
        return subscribers.load_cohorts(at.store, asked, by)

    return Shown(tables.COHORTS, ("joined",), load, asked, by, name=of("cohort"))


def sizes(every: str, count: int) -> Shown:
    def load(at: History, asked: Filter) -> list[Row]:
        return segment_sizes.load_sizes(at.config, at.store, at.now, every=every, last=count)

    more = {"every": every, "count": count}
    return Shown(
        segment_table.SEGMENTS, ("subscribers", "everybody"), load, {}, None, more,
        of("segment", "start"),
    )  # fmt: skip


def left(by: str, **asked: Any) -> Shown:
    def load(at: History, asked: Filter) -> list[Row]:
        return leaving.load(at.store, at.config, asked, [by]).rows

    return Shown(
        leaving_tables.LEAVING, ("unsubscribed", "gone"), load, asked, by, name=of("value"),
    )  # fmt: skip


def invited(by: str, **asked: Any) -> Shown:
    def load(at: History, asked: Filter) -> list[Row]:
        return optin.load_optin(at.store, asked, by)

    return Shown(
        prompts.OPTIN[by], ("visit", *_STAGES[:3]), load, asked, by, {"visits": True}, of(by)
    )


SHOWN = (
    Shown(
        campaigns.STATS, _REACH, lambda at, _: funnels.load_funnel(at.store), name=of("name")
    ),
    Shown(
        campaigns.STATS, _REACH, lambda at, _: funnels.load_latest(at.store, "4", at.now),
        {"last": "4"}, name=of("name"),
    ),
    Shown(
        groups.CAMPAIGNS, (*_REACH, *_BROUGHT), compare("campaign"), {"last": "5"},
        name=of("name"),
    ),
    split("site", since="70d", until="10d"),
    split("topic", topic="news"),
    split("browser", site="souk"),
    split("variant"),
    split("age", since="100d"),
    split("week"),
    split("day", site="carsi"),
    split("month", since="90d"),
    times("hour"),
    times("weekday"),
    times("cell"),
    detail("campaign 5 <i>"),
    detail("campaign 2 <i>", site="shop"),
    Shown(
        groups.SITES, ("subscribers", "campaigns", *_REACH, *_BROUGHT),
        lambda at, asked: breakdowns.compare_sites(at.store, at.config, asked).rows,
        {"since": "80d"}, name=of("site"),
    ),
    Shown(
        arm_tables.STATS, ("assigned", "accepted", "shown", "clicked", "orders"),
        lambda at, asked: ab.list_arms(at.store, at.config, asked),
        name=lambda row: f"{row['test']}={str(row['arm'])[0]}",
    ),
    Shown(
        promo_table.PROMO,
        ("codes", "free", "bound", "given", "redeemed", "orders", "shared"),
        lambda at, asked: promo.load_pools(at.store, at.config, asked), name=of("pool"),
    ),
    Shown(
        promo_table.PROMO, ("codes", "free", "bound", "given", "redeemed", "orders", "shared"),
        lambda at, asked: promo.load_pools(at.store, at.config, asked),
        {"since": "60d", "site": "shop"}, name=of("pool"),
    ),
    Shown(
        trigger_tables.TRIGGERS,
        ("entered", *_STEPS, "goal", "control", "control_goal", "compared"),
        lambda at, asked: triggers.load(at.store, at.config, asked).rows, name=of("trigger"),
    ),
    Shown(
        trigger_tables.TRIGGERS,
        ("entered", *_STEPS, "goal", "control", "control_goal", "compared"),
        lambda at, asked: triggers.load(at.store, at.config, asked).rows,
        {"since": "90d", "site": "shop"}, name=of("trigger"),
    ),
    Shown(
        trigger_tables.STEPS, _STEPS,
        lambda at, asked: triggers.load_steps(at.store, at.config, asked).rows,
        {"since": "90d"}, "step", name=of("trigger", "step"),
    ),
    Shown(
        holdout_table.HOLDOUT, ("people", "buyers", "left", "orders"),
        lambda at, asked: holdout.load(at.store, at.config, asked).rows, name=of("group"),
    ),
    Shown(
        holdout_table.HOLDOUT, ("people", "buyers", "left", "orders"),
        lambda at, asked: holdout.load(at.store, at.config, asked).rows,
        {"since": "40d", "until": "5d", "site": "souk"}, name=of("group"),
    ),
    growth("day", 60),
    growth("week", 20),
    growth("month", 8),
    lives("country", since="50d", until="3d"),
    lives("month", site="shop"),
    cohorts("month"),
    cohorts("browser", since="50d"),
    Shown(
        tables.REACH, ("sent", "accepted", "gone", "reported", "shown", "clicked"),
        lambda at, asked: reach.load_reach(at.store, asked), {"since": "80d", "until": "3d"},
        name=of("age"),
    ),
    sizes("day", 7),
    sizes("week", 3),
    invited("variant"),
    Shown(
        prompts.PROMPTS["language"], _STAGES,
        lambda at, asked: funnels.load_prompts(at.store, at.now, "language", site="shop"),
        {"site": "shop"}, "language", name=of("language"),
    ),
    invited("browser", site="shop", since="90d"),
    left("language", since="90d"),
    left("message", since="90d"),
    left("hour", site="souk"),
    left("frequency", since="70d"),
    left("browser", site="shop"),
    left("campaign", since="60d", until="9d"),
    Shown(
        leaving_tables.PENALTIES, ("browsers", "messages", "ignored"),
        lambda at, asked: penalties.load(at.store, asked), name=of("browser"),
    ),
)  # fmt: skip


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: shown.title)
def test_every_figure_has_the_rows_that_it_says(shown: Shown, history: History) -> None:
    rows = shown.load(history, read(history, **shown.asked))
    assert rows
    if not shown.is_of_kinds:
        check_table(shown, history, rows)
    for row in rows[:: max(1, len(rows) // 3)]:
        check_row(shown, history, row)


def check_table(shown: Shown, history: History, rows: list[Row]) -> None:
    """Compare all rows with what the SELECT of each figure says of each."""
    found = {figure: shown.find(history, figure) for figure in shown.figures}
    counted = ask_all(history, {name: one.count() for name, one in found.items()}, "*")
    for figure, behind_it in found.items():
        wanted = {shown.name(row): row[figure] or 0 for row in rows}
        told = {"=".join(map(say, one[1:-1])): one[-1] for one in counted if one[0] == figure}
        assert {**dict.fromkeys(wanted, 0), **told} == wanted, behind_it.count()
    shows = {name: one.show() for name, one in found.items() if not one.rows.amount}
    for figure, number in ask_all(history, shows, "count(*)") if shows else ():
        assert number == sum(read_count(row, figure) for row in rows), shows[figure]


def check_row(shown: Shown, history: History, row: Row) -> None:
    """Compare the figures of one row with what their statements say of it."""
    name, found = shown.name(row), {}
    for figure in shown.figures:
        try:
            found[figure] = shown.find(history, figure, name)
        except PushctlError:  # a button has clicks alone; no view has an attribute
            assert row.get(figure) is None or name.startswith("device=")
    counts = {figure: one.count() for figure, one in found.items()}
    for figure, number in ask_all(history, counts, "*") if counts else ():
        assert (number or 0) == (row[figure] or 0), counts[figure]
    shows = {figure: one.show() for figure, one in found.items() if not one.rows.amount}
    for figure, number in ask_all(history, shows, "count(*)") if shows else ():
        assert number == (row[figure] or 0), shows[figure]


def ask_all(
    history: History, statements: Mapping[str, str], what: str
) -> list[tuple[Any, ...]]:
    """Return *what* of each of the statements, its name before it; they run as one."""
    parts = [f"SELECT '{name}', {what} FROM ({one})" for name, one in statements.items()]
    shown = free_sql.ask(history.store, " UNION ALL ".join(parts), people=False)
    return [tuple(row.values()) for row in shown.rows]


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: shown.title)
def test_a_figure_without_rows_says_where_they_are(shown: Shown, history: History) -> None:
    has_rows = 0
    for each in shown.table.figures:
        try:
            shown.find(history, each.name)
            has_rows += 1
        except UsageError as error:
            said = str(error)
            assert "Ask for --rows" in said or "Figures that count rows: " in said
    # Those that the test above compares, and no others.
    assert has_rows == len({*shown.figures} & {each.name for each in shown.table.figures})


def test_what_counts_no_rows_names_those_that_do(history: History) -> None:
    shown = {each.table.command: each for each in SHOWN}
    said = {
        ("stats campaigns", "ctr"): "ctr is a rate, clicked / (accepted - unreported): it has "
        "no rows of its own. Ask for --rows clicked or --rows reported.",
        ("stats campaigns", "refunded"): "refunded is an amount of money, made of orders. Ask "
        "for --rows orders.",
        ("stats campaigns", "nothing"): "no figure of this table is called 'nothing'. Figures "
        "that count rows: planned, accepted",
        ("stats triggers", "more"): "more counts no rows (people who would not have reached "
        "the goal without messages",
        ("stats leaving", "days"): "days counts no rows (person-days in which such a message "
        "was the last one). Figures that count rows: unsubscribed, gone.",
    }
    for (command, figure), wanted in said.items():
        with pytest.raises(PushctlError) as refused:
            shown[command].find(history, figure)
        assert wanted in str(refused.value)


def test_a_basket_says_how_to_follow_it(history: History) -> None:
    world = World(history.store, history.config, read(history))
    with pytest.raises(UsageError, match='pushctl sql "SELECT \\* FROM events'):
        rows_behind.find(world, basket.BASKET, "baskets")
