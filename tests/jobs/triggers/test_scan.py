"""Days, absences and articles: what begins enrolments without an event."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pushctl.jobs.sweep import sweep
from pushctl.jobs.triggers import describe, feeds, load_facts, scan
from pushctl.jobs.triggers.types import Run
from pushctl.rules.triggers.facts import Facts
from pushctl.store import Store
from pushctl.web import WebError
from tests.support import DAY, HOUR, MINUTE, NOON
from tests.support.shop import Shop

NEWS = """
[triggers.news]
feed  = "https://shop.example/feed.xml"
steps = [{ template = "one" }]
"""


def feed(*numbers: int, day: int = 28) -> bytes:
    entries = "".join(
        f"<entry><id>{number}</id><title>Article {number}</title>"
        f"<updated>2026-04-{day}T{number % 24:02}:00:00Z</updated>"
        f'<link href="https://shop.example/{number}"/></entry>'
        for number in numbers
    )
    return f'<feed xmlns="http://www.w3.org/2005/Atom">{entries}</feed>'.encode()


@pytest.fixture
def shop(tmp_path: Path, store: Store) -> Iterator[Shop]:
    return Shop(tmp_path, store, NEWS)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """What the web answers: {"text": ...}; nothing of it leaves this process."""
    answers = {"text": feed()}
    monkeypatch.setattr(feeds, "fetch", lambda url: answers["text"])
    yield answers


def read(shop: Shop, at: int) -> None:
    """Let time come to the next look at the feed, and to the message."""
    shop.sweep(at)
    shop.sweep(at + MINUTE)


def test_an_article_is_announced_once_and_old_ones_never(
    shop: Shop, web: dict[str, bytes]
) -> None:
    ann = shop.person()
    web["text"] = feed(1, 2)
    read(shop, NOON)
    assert shop.sent == []
    web["text"] = feed(1, 2, 3)
    for quarter in range(1, 9):
        read(shop, NOON + quarter * 15 * MINUTE)
    assert [name for name, _ in shop.got(ann)] == ["news/1"]
    assert shop.why(ann)[0] == ("entered", "the article “Article 3” came")


def test_the_first_article_of_an_empty_feed_is_news(shop: Shop, web: dict[str, bytes]) -> None:
    ann = shop.person()
    read(shop, NOON)
    web["text"] = feed(1)
    read(shop, NOON + 15 * MINUTE)
    assert len(shop.got(ann)) == 1


def test_an_article_that_stays_in_the_feed_for_years_is_never_news_again(
    shop: Shop, web: dict[str, bytes]
) -> None:
    shop.person()
    web["text"] = feed(1)
    for week in range(70):
        read(shop, NOON + week * 7 * DAY)
        sweep._Sweep(
            shop.config, shop.store, NOON + week * 7 * DAY + HOUR, sweep.Options()
        )._tidy()
    assert shop.sent == []


def test_a_second_article_comes_although_the_first_still_watches_for_its_goal(
    shop: Shop, web: dict[str, bytes]
) -> None:
    shop.declare(NEWS + 'goal = { event = "purchase", within = "7d" }\n')
    ann = shop.person()
    read(shop, NOON)
    for number in (1, 2):
        web["text"] = feed(*range(1, number + 1))
        read(shop, NOON + number * DAY)
    assert len(shop.got(ann)) == 2


def test_reentry_bounds_articles_and_says_why(shop: Shop, web: dict[str, bytes]) -> None:
    shop.declare(NEWS + 'reentry = "7d"\n')
    ann = shop.person()
    read(shop, NOON)
    for number in range(1, 15):
        web["text"] = feed(*range(1, number + 1))
        read(shop, NOON + number * DAY)
    assert len(shop.got(ann)) == 2
    assert any("again after 1w at the earliest" in why for _, why in shop.why(ann))


def test_a_sweep_that_dies_among_the_readers_reaches_the_others_later(
    shop: Shop, web: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [shop.person() for _ in range(5)]
    read(shop, NOON)
    web["text"] = feed(1)
    monkeypatch.setattr(scan, "_BATCH", 2)
    begun, real = [], load_facts.load_candidates

    def dies(*given: Any) -> Facts:
        begun.append(given)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return real(*given)

    with monkeypatch.context() as patched:
        patched.setattr(load_facts, "load_candidates", dies)
        with pytest.raises(KeyboardInterrupt):
            shop.sweep(NOON + 15 * MINUTE)
    read(shop, NOON + 16 * MINUTE)
    assert sorted(one.person for one in shop.sent) == people


def test_old_news_is_not_announced_by_a_machine_that_slept(
    shop: Shop, web: dict[str, bytes]
) -> None:
    ann = shop.person()
    read(shop, NOON)
    web["text"] = feed(1)
    read(shop, NOON + 30 * DAY)
    assert shop.got(ann) == []


def test_a_feed_that_fails_says_so_and_is_asked_again(
    shop: Shop, web: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = shop.person()
    read(shop, NOON)

    def fails(url: str) -> bytes:
        raise WebError(f"{url} can't be asked: no route")

    with monkeypatch.context() as patched:
        patched.setattr(feeds, "fetch", fails)
        summary = shop.sweep(NOON + 15 * MINUTE)
    assert "can't be asked" in summary.notes[0]
    web["text"] = b"<html>Sorry</html>"
    assert "no RSS or Atom feed" in shop.sweep(NOON + 30 * MINUTE).notes[0]
    web["text"] = feed(1)
    read(shop, NOON + 45 * MINUTE)
    assert len(shop.got(ann)) == 1


def test_a_dry_run_asks_the_web_before_it_holds_the_database(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[bool] = []

    def look(url: str) -> bytes:
        held.append(shop.store.connection.in_transaction)
        return feed(1)

    monkeypatch.setattr(feeds, "fetch", look)
    sweep.run(shop.config, shop.store, NOON, sweep.Options(dry_run=True))
    assert held == [False]


def test_a_win_back_keeps_its_distance(shop: Shop) -> None:
    shop.declare("""
[triggers.win_back]
inactive = "30d"
reentry  = "90d"
steps = [{ template = "one" }]
""")
    ann = shop.person()
    for day in range(29, 140):
        if day in (35, 70):  # here again, and gone again
            shop.store.subscriptions.refresh(ann, {}, NOON + day * DAY)
        shop.sweep(NOON + day * DAY)
        shop.sweep(NOON + day * DAY + HOUR)
    assert len(shop.sent) == 1
    assert any("again after 90d at the earliest" in why for _, why in shop.why(ann))


def test_todays_birthdays_are_looked_for_when_a_trigger_goes_on(shop: Shop) -> None:
    shop.declare("""
[triggers.birthday]
date  = { attribute = "birthday", at = "10:00" }
steps = [{ template = "one", max_late = "1h" }]
""")
    ann = shop.person()
    shop.store.subscriptions.set_attributes(ann, {"birthday": "1990-04-29"})
    describe.pause(shop.config, shop.store, "birthday", NOON)
    shop.sweep(NOON + HOUR)
    describe.pause(shop.config, shop.store, "birthday", None)
    for minute in range(-120, 30):
        shop.sweep(NOON + DAY + minute * MINUTE)
    assert shop.got(ann) == [("birthday/1", NOON + DAY)]


def test_days_that_are_long_past_begin_nothing_after_weeks_without_a_sweep(shop: Shop) -> None:
    shop.declare("""
[triggers.birthday]
date  = { attribute = "birthday", at = "10:00" }
steps = [{ template = "one", max_late = "12h" }, { after = "30d", template = "two" }]

[triggers.absent]
inactive = "30d"
steps = [{ template = "three" }]
""")
    ann, ben = shop.person(at=NOON - 50 * DAY), shop.person(at=NOON - DAY)
    shop.store.subscriptions.set_attributes(ann, {"birthday": "1990-04-10"})
    shop.store.subscriptions.set_attributes(ben, {"birthday": "1990-04-28"})
    shop.sweep(NOON - 40 * DAY)
    shop.sweep(NOON - HOUR)
    shop.sweep(NOON)
    assert shop.store.enrolments.list_all(ann) == []
    assert shop.got(ben) == [("birthday/1", NOON)]


def test_who_is_not_meant_on_their_birthday_is_told_why(shop: Shop) -> None:
    shop.declare("""
[triggers.birthday]
date     = { attribute = "birthday", at = "10:00" }
audience = "not tag('staff')"
steps = [{ template = "one" }]
""")
    ann = shop.person()
    shop.store.subscriptions.set_attributes(ann, {"birthday": "1990-04-29"})
    shop.store.tags.add([ann], "staff", NOON)
    for hour in range(48):
        shop.sweep(NOON + hour * HOUR)
    assert shop.why(ann) == [("refused", "the day 2026-04-29: not in the audience")]


def test_once_means_once_however_long_ago(shop: Shop) -> None:
    shop.declare("""
[triggers.course]
on      = "enquiry"
reentry = "never"
steps = [{ template = "one" }]
""")
    ann = shop.person()
    shop.event(ann, "enquiry", NOON, secret="a word")
    shop.sweep(NOON)
    later = NOON + 500 * DAY
    sweep._Sweep(shop.config, shop.store, later, sweep.Options())._tidy()
    assert shop.store.enrolments.list_all(ann)[0].context == {}
    shop.event(ann, "enquiry", later)
    shop.sweep(later)
    assert len(shop.sent) == 1


def test_several_feeds_are_asked_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    shop.declare(NEWS + NEWS.replace("triggers.news]", "triggers.blog]"))
    together = threading.Barrier(2, timeout=10)

    def meets(url: str) -> bytes:
        together.wait()
        return feed()

    monkeypatch.setattr(feeds, "fetch", meets)
    settings = load_facts.load_settings(shop.config, shop.store)
    answers = scan.fetch_feeds(Run(shop.store, settings, NOON))
    assert answers == {("news", ""): feed(), ("blog", ""): feed()}
