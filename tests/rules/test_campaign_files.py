"""Campaigns as text: what a file may say, and where a mistake in it is told."""

from datetime import UTC, datetime

import pytest

from pushctl.errors import InputError
from pushctl.rules import timing
from pushctl.rules.campaign_files import CampaignFile, find_phase, read, read_time

BERLIN = timing.zone("Europe/Berlin")
GOOD = 'template = "sale"\neveryone = true\nat = "2026-12-24 18:00"\n'


def faults(text: str) -> dict[str, str]:
    _, found = read("sale", text, BERLIN, {"vip": "tag('VIP')"})
    return {".".join(fault.path): f"{fault.text} {fault.remedy}" for fault in found}


def parse(text: str) -> CampaignFile:
    found, wrong = read("sale", text, BERLIN, {"vip": "tag('VIP')"})
    assert found is not None
    assert not wrong
    return found


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_a_file_says_what_send_can_say() -> None:
    text = """
        segments = ["vip"]
        where = "country = 'TR'"
        variants = "09:00,18:00"
        at = "2026-12-24"
        local = true
        template = "sale"
    """
    found = parse(text)
    assert (found.name, found.segments, found.local) == ("sale", ("vip",), True)
    hours = [time.strftime("%d %H:%M") for time, _ in found.list_times(BERLIN)]
    assert hours == ["24 09:00", "24 18:00"]


@pytest.mark.parametrize(
    ("line", "key", "said"),
    [
        ("tamplate = 'x'", "tamplate", "Did you mean template?"),
        ("to = ['alias:ann']", "to", "single people"),
        ("name = 'x'", "name", "Rename the file"),
        ("segments = ['vipp']", "segments", "Did you mean vip?"),
        ("limit = 0", "limit", "is 0"),
        ("ttl = 'soon'", "ttl", "soon"),
        ("topic = 'a b'", "topic", "a b"),
        ("passed = 'never'", "passed", "now, tomorrow, skip"),
        ("local = 'yes'", "local", "not true or false"),
        ("every = 'monday 09:00'", "at", "Once, or again and again?"),
        ("where = 'country ='", "where", "can't be read"),
        ("decide_at = 'tomorrow 9:00'", "decide_at", "another day tomorrow"),
    ],
)
def test_each_mistake_is_told_with_its_key(line: str, key: str, said: str) -> None:
    assert said in faults(f"{GOOD}{line}\n")[key]


def test_somebody_some_time_and_not_all_with_a_filter() -> None:
    assert set(faults('template = "sale"')) == {"everyone", "at"}
    assert set(faults(f"{GOOD}tags = ['Sale']")) == {"everyone"}
    # What has a fault of its own is not called missing.
    assert set(faults('template = "sale"\ntags = "Sale"\nevery = 7\n')) == {"tags", "every"}
    assert set(faults('everyone = true\nevery = "some day"\n')) == {"every"}


@pytest.mark.parametrize(
    "text", ["tomorrow 09:00", "18:00", "in 2 hours", "friday 18:00", "24 december 18:00"]
)  # fmt: skip
def test_a_time_that_moves_with_the_day_is_no_date(text: str) -> None:
    with pytest.raises(InputError):
        read_time(text, BERLIN)
    assert "at" in faults(GOOD.replace("2026-12-24 18:00", text))


def test_dates_are_read_as_toml_writes_them_too() -> None:
    zoned = parse("everyone = true\nat = 2026-12-24T18:00:00+03:00\n")
    (local, zone) = zoned.list_times(BERLIN)[0]
    assert (local, zone and zone.utcoffset(None)) == (datetime(2026, 12, 24, 18), 3 * HOUR)
    assert parse("everyone = true\nat = 2026-12-24 18:00:00\n").at == "2026-12-24 18:00"


HOUR = datetime(2026, 1, 1, 1) - datetime(2026, 1, 1)


def test_only_what_it_says_is_in_its_hash() -> None:
    one, other = parse(GOOD), parse(f"# for Christmas\n{GOOD}local = false\n")
    assert one.settings_hash == other.settings_hash
    assert one.settings_hash != parse(GOOD.replace("18:00", "18:01")).settings_hash


def test_the_clock_passes_a_local_time_from_east_to_west() -> None:
    once, local = parse(GOOD), parse(f"{GOOD}local = true\n")
    for now, phases in {
        "2026-12-24 03:59": ("to come", "to come"),
        "2026-12-24 16:59": ("to come", "under way"),
        "2026-12-24 17:00": ("over", "under way"),
        "2026-12-25 06:00": ("over", "over"),
    }.items():
        assert tuple(find_phase(it, BERLIN, at(now)) for it in (once, local)) == phases
