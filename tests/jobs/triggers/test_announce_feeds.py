"""News of feeds: by language, so many a day, as a digest; nothing twice, nothing lost."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pushctl.jobs.delivery.rendering import context
from pushctl.jobs.triggers import announce_feeds, describe, feed_items, feeds
from pushctl.model import Millis
from pushctl.rules import timing
from pushctl.rules.triggers import declaration
from pushctl.rules.triggers.feed import Digest, Feed
from pushctl.store import Store
from tests.support import DAY, HOUR, MINUTE, NOON
from tests.support.shop import Shop

EN, AR = "https://shop.example/en.xml", "https://shop.example/ar.xml"
LANGUAGES = f"""
[triggers.news]
feed  = {{ en = "{EN}", ar = "{AR}" }}
steps = [{{ template = "one" }}]
"""
DIGEST = f"""
[triggers.digest]
feed   = {{ en = "{EN}", ar = "{AR}" }}
digest = {{ every = "day", at = "18:00", items = 2 }}
steps  = [{{ template = "one" }}]
"""
EVENING = NOON + 8 * HOUR  # 18:00 in Berlin


def write(*numbers: int, more: str = "") -> bytes:
    entries = "".join(
        f"<entry><id>{number}</id><title>Article {number}</title>"
        f"<updated>2026-04-28T{number:02}:00:00Z</updated>{more}"
        f'<link href="https://shop.example/{number}"/></entry>'
        for number in numbers
    )
    head = (
        '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:media="http://search.yahoo.com/mrss/">'
    )
    return f"{head}{entries}</feed>".encode()


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What the web answers, by address; nothing of it leaves this process."""
    answers = {EN: write(1), AR: write(1)}
    monkeypatch.setattr(feeds, "fetch", answers.__getitem__)
    return answers


@pytest.fixture
def shop(tmp_path: Path, store: Store, web: dict[str, bytes]) -> Iterator[Shop]:
    made = Shop(tmp_path, store, DIGEST)
    yield made


def settle(shop: Shop, language: str) -> int:
    person = shop.person()
    sql = "UPDATE subscriptions SET language = ? WHERE id = ?"
    shop.store.connection.execute(sql, (language, person))
    return person


def live(shop: Shop, since: Millis, until: Millis) -> None:
    for now in range(since, until + 1, 15 * MINUTE):
        shop.sweep(now)
        shop.sweep(now + MINUTE)


def read(shop: Shop, person: int) -> Any:
    """Return the event's values as the text of *person*'s last message gets them."""
    last = [one for one in shop.sent if one.person == person][-1]
    campaign = shop.store.campaigns.get(last.campaign)
    load = context.make_loader(shop.store, shop.config, campaign)
    assert load is not None
    sql = """SELECT id, enrolment_id AS enrolment, subscription_id AS subscription
               FROM deliveries WHERE id = ?"""

    class Row:
        id, enrolment, subscription = shop.store.connection.execute(
            sql, (last.delivery,)
        ).fetchone()

    return load([Row])[last.delivery]["event"]  # type: ignore[list-item]


def test_each_reads_the_feed_of_their_language(shop: Shop, web: dict[str, bytes]) -> None:
    shop.declare(LANGUAGES)
    ann, omar, tuncay = (settle(shop, one) for one in ("en-GB", "ar", "tr"))
    live(shop, NOON, NOON)
    web[AR] = write(1, 2)
    live(shop, NOON + 15 * MINUTE, NOON + HOUR)
    assert [len(shop.got(one)) for one in (ann, omar, tuncay)] == [0, 1, 0]
    web[EN] = write(1, 2)  # the same id in another feed is another item
    live(shop, NOON + 2 * HOUR, NOON + 3 * HOUR)
    assert [len(shop.got(one)) for one in (ann, omar, tuncay)] == [1, 1, 1]


def test_a_digest_tells_what_is_new_since_the_last_and_nothing_twice(
    shop: Shop, web: dict[str, bytes]
) -> None:
    ann, omar = settle(shop, "en"), settle(shop, "ar")
    live(shop, NOON, NOON + HOUR)
    web[EN] = write(1, 2, 3, 4)
    live(shop, NOON + 2 * HOUR, EVENING + HOUR)
    assert shop.got(ann) == [("digest/1", EVENING)]
    assert shop.got(omar) == []  # nothing new there
    told = read(shop, ann)
    assert [one["title"] for one in told["news"]] == ["Article 4", "Article 3"]
    assert (told["title"], told["count"], told["more"]) == ("Article 4", 3, 1)
    live(shop, EVENING + HOUR, EVENING + 2 * DAY)
    assert len(shop.got(ann)) == 1
    web[EN] = write(2, 3, 4, 5)
    live(shop, EVENING + 2 * DAY + HOUR, EVENING + 3 * DAY)
    assert [one["title"] for one in read(shop, ann)["news"]] == ["Article 5"]
    assert ("entered", "the digest of 1 new came again") in shop.why(ann)


def test_nothing_new_is_said_and_nothing_is_sent(shop: Shop, web: dict[str, bytes]) -> None:
    settle(shop, "en")
    live(shop, NOON, NOON + HOUR)
    live(shop, EVENING - HOUR, EVENING - MINUTE)
    assert "2 without news for a digest" in str(shop.sweep(EVENING))
    assert str(shop.sweep(EVENING + 15 * MINUTE)) == ""
    trigger, zone = shop.config.triggers["digest"], shop.config.zone
    assert dict(describe.describe_news(shop.store, trigger, zone)) == {
        "Last digest": "none yet",
        "Waiting": "nothing new",
    }
    web[EN] = write(1, 2)
    live(shop, EVENING + HOUR, EVENING + HOUR)
    assert dict(describe.describe_news(shop.store, trigger, zone))["Waiting"] == "1 item"


def test_few_items_wait_for_the_next_digest(shop: Shop, web: dict[str, bytes]) -> None:
    shop.declare(DIGEST.replace("items = 2", "items = 2, least = 2"))
    ann = settle(shop, "en")
    live(shop, NOON, NOON)
    web[EN] = write(1, 2)
    live(shop, NOON + HOUR, EVENING + HOUR)
    assert shop.got(ann) == []
    web[EN] = write(1, 2, 3)
    live(shop, EVENING + 2 * HOUR, EVENING + DAY)
    assert read(shop, ann)["count"] == 2


def test_a_killed_scan_tells_everybody_once_and_the_same(
    shop: Shop, web: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [settle(shop, "en") for _ in range(6)]
    live(shop, NOON, NOON)
    web[EN] = write(1, 2)
    live(shop, NOON + HOUR, EVENING - 15 * MINUTE)
    real = announce_feeds._list_readers

    def dies(*given: Any) -> Any:
        for place, one in enumerate(real(*given)):
            yield one
            if place == 3:
                raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(announce_feeds, "_list_readers", dies)
        with pytest.raises(KeyboardInterrupt):
            shop.sweep(EVENING)
    web[EN] = write(1, 2, 3)
    live(shop, EVENING + 15 * MINUTE, EVENING + 2 * HOUR)
    assert sorted(one.person for one in shop.sent) == people
    assert {read(shop, one)["count"] for one in people} == {1}  # the third waits
    live(shop, EVENING + DAY, EVENING + DAY)
    assert {read(shop, one)["title"] for one in people} == {"Article 3"}


def test_a_digest_that_was_slept_through_comes_with_the_next(
    shop: Shop, web: dict[str, bytes]
) -> None:
    ann = settle(shop, "en")
    live(shop, NOON, NOON)
    web[EN] = write(1, 2)
    live(shop, NOON + HOUR, NOON + HOUR)
    live(shop, EVENING + 13 * HOUR, EVENING + 14 * HOUR)
    assert shop.got(ann) == []
    live(shop, EVENING + DAY, EVENING + DAY)
    assert len(shop.got(ann)) == 1


def test_at_most_so_many_a_day(shop: Shop, web: dict[str, bytes]) -> None:
    shop.declare(
        f'[triggers.news]\nfeed = "{EN}"\nmost_a_day = 2\nsteps = [{{ template = "one" }}]\n'
    )
    ann = settle(shop, "en")
    live(shop, NOON, NOON)
    for number in range(2, 7):
        web[EN] = write(*range(1, number + 1))
        live(shop, NOON + number * HOUR, NOON + number * HOUR)
    assert len(shop.got(ann)) == 2
    live(shop, NOON + DAY, NOON + DAY + 2 * HOUR)
    assert len(shop.got(ann)) == 3  # the newest of those that waited; the others are old
    assert read(shop, ann)["title"] == "Article 6"


def test_pictures_of_items_are_read_and_only_safe_ones() -> None:
    forms = {
        '<media:content url="https://cdn.example/a.jpg" medium="image"/>': "a.jpg",
        '<media:thumbnail url="https://cdn.example/b.jpg"/>': "b.jpg",
        '<link rel="enclosure" type="image/png" href="https://cdn.example/c.png"/>': "c.png",
        '<link rel="enclosure" type="audio/mpeg" href="https://cdn.example/d.mp3"/>': None,
        '<media:content url="http://cdn.example/e.jpg"/>': None,
        '<media:content url="javascript:alert(1)"/>': None,
        f'<media:content url="https://cdn.example/{"x" * 600}"/>': None,
    }
    for form, picture in forms.items():
        (item,) = feed_items.read(write(1, more=form), ("https://shop.example",)).items
        expected = picture and f"https://cdn.example/{picture}"
        assert item.values.get("image") == expected, form


def test_a_digest_has_its_days_and_its_time() -> None:
    zone = timing.zone("Europe/Berlin")
    monday = Digest(frozenset({0}), timing.clock("09:00"))
    tuesday = NOON  # Tuesday 2026-04-28, 10:00
    assert monday.find_last(tuesday, zone) is None  # 25 hours ago
    following = timing.instant(timing.local(NOON + 6 * DAY, zone).date(), monday.at, zone)
    assert monday.find_next(tuesday, zone) == following
    assert monday.find_last(following, zone) == following
    feed = Feed({"en": EN, "pt-BR": AR})
    assert [feed.choose(one) for one in ("en-US", "pt-BR", "pt", None)] == [
        "en", "pt-BR", "en", "en",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"digest": {"every": "mondays"}}, "weekday"),
        ({"digest": {"items": 50}}, "1 to 10"),
        ({"digest": {"least": 0}}, "below 1"),
        ({"digest": "daily"}, "no table"),
        ({"digest": {}, "most_a_day": 2}, "one message"),
        ({"most_a_day": 0}, "below 1"),
        ({"feed": {"english": EN}}, "language tag"),
        ({"feed": {}}, "en.xml"),
        ({"feed": "file:///etc/passwd"}, "feed.xml"),
    ],
)
def test_a_wrong_declaration_is_named(more: dict[str, Any], said: str) -> None:
    table = {"feed": EN, "steps": [{"template": "one"}], **more}
    _, faults = declaration.parse("a", table)
    assert any(said in f"{one.text} {one.remedy}" for one in faults), faults
