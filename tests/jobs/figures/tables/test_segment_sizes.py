"""Sizes of segments: noted once a day, as `segments list` counts them, unknown before."""

from pathlib import Path

import pytest

from pushctl.errors import NotFoundError
from pushctl.jobs.figures.tables.segment_sizes import load_sizes
from pushctl.jobs.subscribers import audience, segment_sizes
from pushctl.jobs.sweep import sweep
from pushctl.store import Store, clocks
from tests.support import DAY, HOUR, NOON
from tests.support.shop import Shop

SEGMENTS = """
[segments]
tokyo = "timezone = 'Asia/Tokyo'"
broken = "clicked('no such campaign')"
others = "not segment('tokyo')"
"""


@pytest.fixture
def shop(tmp_path: Path, store: Store) -> Shop:
    made = Shop(tmp_path, store, SEGMENTS)
    for timezone in ("Asia/Tokyo", "Asia/Tokyo", "Europe/Berlin"):
        made.person(timezone)
    return made


def tidy(shop: Shop, now: int) -> None:
    sweep._Sweep(shop.config, shop.store, now, sweep.Options())._tidy()


def read(shop: Shop, now: int, **options: object) -> list[tuple[object, ...]]:
    rows = load_sizes(shop.config, shop.store, now, **options)  # type: ignore[arg-type]
    return [
        (row["segment"], row["start"], row["subscribers"], row["change"], row["share"])
        for row in rows
    ]


def test_the_sweep_notes_what_segments_list_counts_once_a_day(shop: Shop) -> None:
    tidy(shop, NOON)
    listed = {
        one.name: one.subscribers
        for one in audience.list_segments(shop.config, shop.store, NOON)
    }
    assert listed == {"tokyo": 2, "broken": None, "others": 1}
    noted = {one.segment: one.subscribers for one in shop.store.segment_sizes.list_since(0)}
    assert noted == {name: size for name, size in listed.items() if size is not None}

    shop.person("Asia/Tokyo")
    tidy(shop, NOON + HOUR)  # the same day
    assert len(list(shop.store.segment_sizes.list_since(0))) == 2
    tidy(shop, NOON + DAY - HOUR)  # the next, though a day is not over
    assert read(shop, NOON + DAY, names=["tokyo"], last=3) == [
        ("tokyo", "2026-04-29", 3, 1, 0.75),
        ("tokyo", "2026-04-28", 2, None, 2 / 3),
        ("tokyo", "2026-04-27", None, None, None),  # nobody counted: unknown, not 0
    ]
    assert read(shop, NOON + DAY, names=["tokyo"], every="month", last=1)[0][2] == 3
    assert read(shop, NOON + DAY, names=["broken"], last=1)[0][2] is None
    with pytest.raises(NotFoundError, match="tokyo, broken, others"):
        read(shop, NOON, names=["nobody"])


def test_what_is_late_goes_on_with_the_next_sweep(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter((1.0, 1.0, 3.0))
    monkeypatch.setattr(clocks, "read_seconds", lambda: next(seconds))

    def note() -> list[str]:
        return segment_sizes.note_sizes(shop.config, shop.store, NOON, deadline=2.0)

    (said,) = note()
    assert [one.segment for one in shop.store.segment_sizes.list_since(0)] == ["tokyo"]
    assert "segments.broken can't be counted" in said and "no such campaign" in said
    seconds = iter((1.0, 1.0))
    assert note() == [said]
    assert note() == []  # all had their turn: nothing is asked
    noted = {one.segment for one in shop.store.segment_sizes.list_since(0)}
    assert noted == {"tokyo", "others"}
