"""What `pushctl check` says of triggers that greet people on public holidays."""

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial

from pushctl.config import Config
from pushctl.errors import Problem
from pushctl.jobs.triggers import holidays
from pushctl.jobs.triggers.lint import Found, Level
from pushctl.rules import holidays as rules
from pushctl.rules.config.structure import line_of
from pushctl.rules.holidays import HolidayRule
from pushctl.rules.wording import counted
from pushctl.store import Store

# An owner who looks once a month sees each day that waits for a word.
_AHEAD = timedelta(days=45)

_Place = Callable[..., str]


def find(config: Config, store: Store) -> Found:
    """Yield what keeps people from their greetings."""
    triggers = [(name, one.holiday) for name, one in config.triggers.items() if one.holiday]
    if not triggers:
        return
    file, text = config.file.name, config.file.read_text("utf-8-sig")

    def place(*keys: str) -> str:
        return f"{file}:{line_of(keys, text)}: {'.'.join(keys)}"

    if not rules.is_installed():
        fault, remedy = "needs the package holidays", "pip install 'pushctl[holidays]'"
        for name, _ in triggers:
            yield Level.PROBLEM, Problem(place("triggers", name, "holiday"), fault, remedy)
        return
    people = holidays.count_people(store, holidays.list_defaults(config))
    for name, rule in triggers:
        where = partial(place, "triggers", name, "holiday")
        yield from _find_faults(rule, people, where)
        yield from _find_estimated(config, store, rule, people, where)
    yield from _find_unknown(config, store, people, place)


def _find_faults(rule: HolidayRule, people: Mapping[str, int], place: _Place) -> Found:
    """Yield regions that don't exist, and names that no holiday has."""
    for country, region in (rule.regions or {}).items():
        if fault := rules.find_fault(country, region):
            problem = Problem(place("regions"), fault, "Write ISO 3166-2 without the country.")
            yield Level.PROBLEM, problem
    year = time.gmtime().tm_year
    for pattern in (*rule.names, *rule.besides):
        alone = HolidayRule(names=(pattern,), regions=rule.regions)
        listed = (
            one
            for country in people
            for when in (year, year + 1)
            for one in rules.list_year(country, when, rule.region(country))
        )
        if people and not any(map(alone.means, listed)):
            key = "names" if pattern in rule.names else "except"
            text = f"{pattern!r} is no holiday of your subscribers' countries"
            remedy = "pushctl holidays list --days 365 shows their names."
            yield Level.PROBLEM, Problem(place(key), text, remedy)


def _find_estimated(
    config: Config, store: Store, rule: HolidayRule, people: Mapping[str, int], place: _Place
) -> Found:
    """Yield the coming days that nobody has confirmed: their messages would not go out."""
    today = holidays.find_today(config, time.time_ns() // 1_000_000)
    confirmed = store.holidays.load_confirmed()
    waiting: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for one, count in holidays.list_unconfirmed(rule, people, confirmed, today, today + _AHEAD):
        where = waiting.setdefault((one.day.isoformat(), one.name), [])
        where.append((one.country, count))
    for (day, name), where in sorted(waiting.items()):
        many = counted(sum(count for _, count in where), "subscriber")
        countries = ", ".join(sorted(country for country, _ in where))
        text = f"the day of {name}, {day}, is estimated: {many} in {countries} get nothing"
        remedy = f'When it is certain: pushctl holidays confirm "{name}" {day}'
        yield Level.NOTE, Problem(place(), text, remedy)


def _find_unknown(
    config: Config, store: Store, people: Mapping[str, int], place: _Place
) -> Found:
    """Yield how many people have no country, or one that the package does not know."""
    for country in sorted(people):
        if fault := rules.find_fault(country):
            text = f"{fault}: {counted(people[country], 'subscriber')} there get no greetings"
            yield Level.NOTE, Problem(str(config.database), text, "Send to them by hand.")
    for site in _list_sites(config):
        unknown = sum(
            count
            for country, name, count in store.holidays.count_countries()
            if name == site and not country
        )
        if unknown:
            text = f"the country of {counted(unknown, 'subscriber')} is not known: no holidays"
            remedy = f'Where they all live in one: country = "TR" in [sites.{site}].'
            yield Level.NOTE, Problem(place("sites", site), text, remedy)


def _list_sites(config: Config) -> Iterator[str]:
    yield from (name for name, site in config.sites.items() if site.country is None)
