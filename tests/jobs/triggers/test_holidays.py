"""Public holidays: who is greeted when, and which days the owner is asked about first."""

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date as Date
from pathlib import Path

import pytest

from pushctl import config as configs
from pushctl.errors import InputError, NotFoundError
from pushctl.jobs.project import check_holidays
from pushctl.jobs.triggers import describe, holidays
from pushctl.jobs.triggers.lint import Level
from pushctl.model import Millis
from pushctl.rules import holidays as rules
from pushctl.rules import timing
from pushctl.rules.holidays import HolidayRule
from pushctl.rules.triggers import declaration
from pushctl.store import Store, restoring
from tests.support import HOUR, MINUTE
from tests.support.shop import Shop

GREETING = """
[triggers.greeting]
holiday = {{ at = "10:00"{} }}
steps   = [{{ template = "one" }}]
"""


def at(day: str, clock: str = "10:00", zone: str = "Europe/Berlin") -> Millis:
    return timing.instant(Date.fromisoformat(day), timing.clock(clock), timing.zone(zone))


@pytest.fixture
def shop(tmp_path: Path, store: Store) -> Iterator[Shop]:
    return Shop(tmp_path, store, GREETING.format(""))


def settle(
    shop: Shop, country: str | None, timezone: str = "Europe/Berlin", language: str = "en"
) -> int:
    person = shop.person(timezone)
    shop.store.connection.execute(
        "UPDATE subscriptions SET country = ?, language = ? WHERE id = ?",
        (country, language, person),
    )
    return person


def live(shop: Shop, since: Millis, until: Millis) -> list[str]:
    """Sweep every half hour; return what the sweeps said."""
    said = []
    for now in range(since, until, 30 * MINUTE):
        said += shop.sweep(now).notes
    return said


def read_names(shop: Shop, person: int) -> list[str]:
    return [
        one.context["event"]["holiday"]
        for one in shop.store.enrolments.list_newest([person])
        if one.subscription == person
    ]


def test_each_is_greeted_on_the_holidays_of_their_country_at_their_own_time(
    shop: Shop,
) -> None:
    ann = settle(shop, "DE", language="de")
    bob = settle(shop, "us", "America/New_York")
    live(shop, at("2026-10-02", "06:00"), at("2026-10-03", "23:00"))
    assert shop.got(ann) == [("greeting/1", at("2026-10-03"))]
    assert shop.got(bob) == []
    assert read_names(shop, ann) == ["Tag der Deutschen Einheit"]
    live(shop, at("2026-11-26", "00:00"), at("2026-11-27", "00:00"))
    assert shop.got(bob) == [("greeting/1", at("2026-11-26", zone="America/New_York"))]
    assert ("entered", "the holiday Tag der Deutschen Einheit came") in shop.why(ann)


def test_a_holiday_of_several_days_is_one_and_comes_once_a_year(shop: Shop) -> None:
    ann = settle(shop, "TR", "Europe/Istanbul", "tr")
    live(shop, at("2027-05-15", "00:00"), at("2027-05-20", "00:00"))
    assert [when for _, when in shop.got(ann)] == [
        at("2027-05-16", zone="Europe/Istanbul"),  # Kurban Bayramı, four days
        at("2027-05-19", zone="Europe/Istanbul"),
    ]
    assert read_names(shop, ann)[0].startswith("Atatürk")


def test_an_unknown_country_is_no_country_unless_the_site_says_one(shop: Shop) -> None:
    ann = settle(shop, None)
    live(shop, at("2026-12-24", "20:00"), at("2026-12-25", "12:00"))
    assert shop.got(ann) == []
    file = shop.folder / "pushctl.toml"
    file.write_text(file.read_text().replace("timezone =", 'country = "GB"\ntimezone ='))
    shop.config = configs.load(file, {})
    live(shop, at("2026-12-26", "00:00"), at("2026-12-26", "12:00"))
    assert shop.got(ann) == [("greeting/1", at("2026-12-26"))]


def test_an_estimated_day_waits_for_the_owner_and_moves_with_their_word(shop: Shop) -> None:
    ann = settle(shop, "EG", "Africa/Cairo", "ar")
    eve = at("2027-03-07", "06:00")
    said = live(shop, eve, eve + 18 * HOUR)
    asked = 'pushctl holidays confirm "Eid al-Fitr" 2027-03-09'
    assert any("EG (1)" in one and asked in one for one in said), said
    live(shop, at("2027-03-08", "00:00"), at("2027-03-09", "23:30"))
    assert shop.got(ann) == []  # the estimated day is over: nobody was greeted
    holidays.confirm(
        shop.config, shop.store, "eid al-fitr", Date(2027, 3, 10), (), at("2027-03-09", "23:45")
    )
    said = live(shop, at("2027-03-10", "00:00"), at("2027-03-12", "00:00"))
    assert shop.got(ann) == [("greeting/1", at("2027-03-10", zone="Africa/Cairo"))]
    assert read_names(shop, ann)[0] == "عيد الفطر المبارك"
    assert said == []


def test_a_confirmation_can_be_taken_back(shop: Shop) -> None:
    settle(shop, "EG")
    settle(shop, "AE")
    day, now = Date(2027, 3, 9), at("2027-03-01")
    where = holidays.confirm(shop.config, shop.store, "Eid al-Fitr", day, (), now)
    assert where == ["AE", "EG"]
    states = {
        (one.country, one.state)
        for one in holidays.list_coming(shop.config, shop.store, Date(2027, 3, 1), 20)
    }
    assert {("AE", "confirmed"), ("EG", "confirmed")} <= states
    holidays.confirm(shop.config, shop.store, "Eid al-Fitr", day, ["ae"], now, withdraw=True)
    confirmed = shop.store.holidays.load_confirmed()
    assert list(confirmed) == [("EG", "2027:Eid al-Fitr")]
    with pytest.raises(NotFoundError, match="holidays list"):
        holidays.confirm(shop.config, shop.store, "Eid", day, (), now)


def test_days_names_and_exceptions_are_chosen(shop: Shop) -> None:
    shop.declare(GREETING.format(', days = -1, names = ["Christmas*", "Republic Day"]'))
    ann = settle(shop, "DE")
    live(shop, at("2026-12-23", "00:00"), at("2027-01-02", "00:00"))
    assert shop.got(ann) == [("greeting/1", at("2026-12-24"))]
    rule = HolidayRule(besides=("erster weihnachtstag", "*Monday"))
    names = {one.name for one in rules.list_year("DE", 2027) if rule.means(one)}
    assert "New Year's Day" in names
    assert not {"Christmas Day", "Easter Monday"} & names


def test_a_region_has_holidays_of_its_own() -> None:
    everywhere = {one.name for one in rules.list_year("DE", 2027)}
    bavaria = {one.name for one in rules.list_year("DE", 2027, "BY")}
    assert "Epiphany" in bavaria - everywhere
    assert rules.list_year("DE", 2027, "XX") == ()
    assert "BY" in (rules.find_fault("DE", "XX") or "")


def test_no_name_keeps_a_label_and_free_days_for_worked_ones_are_none() -> None:
    for country in ("EG", "AE", "SA", "US", "RU", "GH", "IN", "CN", "MY"):
        for one in rules.list_year(country, 2027):
            words = ("estimated", "observed", "substituted", "Day off")
            assert not any(word in one.name for word in words), one
    saudi = {one.name: one.estimated for one in rules.list_year("SA", 2027)}
    assert saudi["Eid al-Fitr Holiday"]
    assert not saudi["Founding Day Holiday"]


def test_a_missing_package_is_named_with_the_command_that_adds_it(shop: Shop) -> None:
    code = """
import sys
from importlib.abc import MetaPathFinder
class Without(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == "holidays":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Without())
import importlib.util
importlib.util.find_spec = lambda name: None
from pushctl.rules import holidays
try:
    holidays.check_installed()
except Exception as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    said = "holidays need the package holidays: pip install 'pushctl[holidays]'\n"
    assert done.stdout == said, done.stderr


def test_check_names_what_waits_and_who_is_left_out(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: at("2027-02-20") * 1_000_000)
    shop.declare(GREETING.format(', except = ["Chrismas Day"]'))
    settle(shop, "EG")
    settle(shop, None)
    found = list(check_holidays.find(shop.config, shop.store))
    said = [f"{one.place}: {one.fault}. {one.remedy}" for _, one in found]
    assert [level for level, _ in found] == [Level.PROBLEM, Level.NOTE, Level.NOTE]
    assert "'Chrismas Day' is no holiday" in said[0]
    assert "Eid al-Fitr, 2027-03-09, is estimated: 1 subscriber in EG" in said[1]
    assert "the country of 1 subscriber is not known" in said[2]


def test_a_test_plays_the_next_holiday(shop: Shop) -> None:
    ann, bob = settle(shop, "DE", language="de"), settle(shop, None)
    now = at("2026-12-20")
    who = shop.store.subscriptions.get(str(ann), now)
    happened = list(describe.rehearse(shop.config, shop.store, "greeting", who, now, {}))
    assert [(one.kind, one.at) for one in happened] == [
        ("entered", at("2026-12-25")),
        ("deliver", at("2026-12-25")),
    ]
    assert happened[-1].context["event"]["holiday"] == "Erster Weihnachtstag"
    unknown = shop.store.subscriptions.get(str(bob), now)
    with pytest.raises(InputError, match="country"):
        list(describe.rehearse(shop.config, shop.store, "greeting", unknown, now, {}))
    trigger = shop.config.triggers["greeting"]
    assert describe.describe_start(trigger) == "on a public holiday of their country, 10:00"


@pytest.mark.parametrize(
    ("holiday", "said"),
    [
        ({"kind": "bank"}, "is 'bank'"),
        ({"days": 90}, "two months"),
        ({"regions": "BY"}, "regions"),
        ({"nmaes": ["x"]}, "no setting"),
        ("public", "no table"),
    ],
)
def test_a_wrong_declaration_is_named(holiday: object, said: str) -> None:
    table = {"holiday": holiday, "steps": [{"template": "one"}]}
    _, faults = declaration.parse("a", table)
    assert any(said in f"{one.text} {one.remedy}" for one in faults), faults


def test_a_scan_looks_once_a_country_whatever_its_people(shop: Shop) -> None:
    people = [settle(shop, "DE") for _ in range(50)]
    rules.list_year.cache_clear()
    statements: list[str] = []
    shop.store.connection.set_trace_callback(statements.append)
    live(shop, at("2026-12-25", "04:00"), at("2026-12-25", "04:01"))
    shop.store.connection.set_trace_callback(None)
    assert sum("count_countries" in one or "upper(coalesce" in one for one in statements) == 1
    assert rules.list_year.cache_info().misses <= 3
    assert len(shop.store.enrolments.list_newest(people)) == 50


def test_after_a_restore_a_scan_looks_only_where_people_are(shop: Shop) -> None:
    people = [settle(shop, "DE")]
    for _ in range(3):
        restoring.skip_numbers(shop.store)
        people.append(settle(shop, "DE"))
    statements: list[str] = []
    shop.store.connection.set_trace_callback(statements.append)
    live(shop, at("2026-12-25", "04:00"), at("2026-12-25", "04:01"))
    shop.store.connection.set_trace_callback(None)
    assert sum("min(id) - 1 FROM subscriptions" in one for one in statements) == 5
    assert len(shop.store.enrolments.list_newest(people)) == 4
