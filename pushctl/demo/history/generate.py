"""Makes a generated history: draws the people, lets them live a year, writes all down."""

from datetime import datetime
from pathlib import Path

import numpy as np

from pushctl.demo.history import extras, project
from pushctl.demo.history.broadcasts import Broadcasts
from pushctl.demo.history.people import draw
from pushctl.demo.history.rows import Rows
from pushctl.demo.history.shop import Shop
from pushctl.demo.history.triggers import Triggers
from pushctl.demo.history.year import Year
from pushctl.rules import units
from pushctl.store import Store, bulk


def make(
    folder: Path, *, people: int, deliveries: int, events: int, orders: int, seed: int,
    until: datetime, campaigns: int | None = None, days: int = 365, all_hours: bool = False,
) -> None:  # fmt: skip
    """
    Write a project into *folder* whose year ends at midnight of *until*.

    The numbers are aimed at, not met; *campaigns* is how many broadcasts there are. A year
    may have fewer *days*. *all_hours*: every broadcast goes to everybody at an hour drawn by
    lots, so that few messages tell which is the best.
    """
    config = project.create(folder)
    chance = np.random.default_rng(seed)
    first = int(until.timestamp() * 1000) - days * units.DAY
    crowd = draw(people, first, days, chance)
    with Store(config.database) as store:
        project.write_sites(store)
        rows = Rows(store)
        year = Year(crowd, rows, chance)
        shop = Shop(year, rows, events=events - people, orders=orders)
        with bulk.fill(store):
            baskets = orders * 3 // 10
            triggers = Triggers(year, rows, shop, baskets)
            automatic = int(people * 1.6 + baskets)
            count = campaigns or max(40, min(480, deliveries // 2000))
            left = max(0, deliveries - automatic)
            broadcasts = Broadcasts(year, rows, count, left, all_hours=all_hours)
            earlier = np.flatnonzero(crowd.subscribed < first)
            shop.arrive(earlier)
            for day in range(days):
                _live(day, year, rows, shop, triggers, broadcasts)
            extras.write_tags(rows, year)
            project.write_people(rows, year, project.find_key(config))
    project.write_truths(folder, year.find_lift())


def _live(
    day: int, year: Year, rows: Rows, shop: Shop, triggers: Triggers, broadcasts: Broadcasts
) -> None:
    people = year.people
    start = people.first + day * units.DAY
    since, until = np.searchsorted(people.subscribed, [start, start + units.DAY])
    year.begin_day(day)
    new = np.arange(since, until)
    triggers.welcome(new, shop.arrive(new))
    year.leave_by_wish(day)
    shop.visit(day)
    triggers.remind(day)
    triggers.win_back(day)
    broadcasts.send_day(day)
    if day % 30 == 15:
        extras.send_test(year, rows, day)
    shop.buy(day)
    project.write_changes(rows, year)
    project.write_prompts(rows, people, day, year.chance)
