"""What a stranger or a third party sends never stops what a sweep does for others."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pushctl import config as configs
from pushctl.demo.pushservice import PushService
from pushctl.jobs.sweep import sweep
from pushctl.jobs.sweep.summary import describe_counts
from pushctl.jobs.triggers.types import MOST_NAMED
from pushctl.store import Store
from tests.jobs.sweep.test_sweep_processes import fill
from tests.jobs.triggers.test_feed_items import item, rss
from tests.support import DAY, HOUR, MINUTE, NOON, project, sending
from tests.support.rows import deliveries
from tests.support.shop import BASKET, Shop, decide_all

FEEDS = [
    rss(item("B&#xd800;")),
    rss(item("B&lt;![foo[ x")),
    rss(item("B", "<pubDate>0000-00-00</pubDate>")),
    rss(item("B", "<gml:pos>1</gml:pos>")),
    rss(item("B"), head='<?xml version="1.0" encoding="undefined"?>'),
    rss(item("B", "<description>" + "<!--" * 140_000 + "</description>")),
]


@pytest.fixture
def feeds() -> Iterator[tuple[str, dict[str, bytes]]]:
    """A web server with a hostile feed at /0.xml to /5.xml: its address, and what it has."""
    served = dict.fromkeys((f"/{number}.xml" for number in range(len(FEEDS))), rss(item("A")))

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = served[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", served
        server.shutdown()


def damage(store: Store, table: str, column: str, person: int) -> None:
    """Write what no version of ours writes, as a bug or another program might have."""
    sql = f"UPDATE {table} SET {column} = '[]' WHERE subscription_id = ?"
    store.connection.execute(sql, (person,))


def test_hostile_feeds_and_one_of_a_hundred_people_stop_nothing(
    tmp_path: Path, feeds: tuple[str, dict[str, bytes]]
) -> None:
    address, served = feeds
    with PushService(checks=False) as service:
        field = sending.field(tmp_path, service)
        for name in ("one", "two"):
            sending.template(tmp_path, name, title=name, body="Hello")
        news = "".join(
            f'[triggers.news{number}]\nfeed = "{address}/{number}.xml"\n'
            'steps = [{ template = "two" }]\n'
            for number in range(len(FEEDS))
        )
        project.add(tmp_path, BASKET + news)
        sending.lead_to(tmp_path, service)
        people, now = field.people(100), sending.soon()
        config = configs.load(tmp_path / "pushctl.toml", {})
        decide_all(config, field.store, now - 16 * MINUTE)
        served.update(zip(served, FEEDS, strict=True))
        fill(field.store, people, now - 4 * MINUTE)
        decide_all(config, field.store, now - 4 * MINUTE)
        damage(field.store, "enrolments", "context", people[57])
        sale = field.freeze(now - MINUTE)
        began = time.process_time()
        summary = sweep.run(config, field.store, now)
        cpu = time.process_time() - began
        basket = field.store.campaigns.get("basket/1")
        tidied = field.store.meta.get("sweep.pruned")
        assert deliveries(field.store, sale.id) == {"accepted": 100}
        assert deliveries(field.store, basket.id) == {"accepted": 99}
        field.store.close()
    assert tidied == str(now)
    assert summary.counts["entered"] == len(FEEDS) * len(people)
    assert summary.counts["failed"] == 1
    assert [note for note in summary.notes if "AttributeError" in note] == summary.notes
    assert summary.exit_code == 5
    assert cpu < 30


def test_a_person_who_cannot_be_decided_is_tried_again_and_then_left(
    tmp_path: Path, store: Store
) -> None:
    shop = Shop(tmp_path, store)
    ann, eve = shop.person(), shop.person()
    for person in (ann, eve):
        shop.fill(person, NOON)
    shop.sweep(NOON)
    damage(store, "enrolments", "context", eve)
    first = shop.sweep(NOON + 3 * MINUTE)
    assert shop.got(ann) and not shop.got(eve)
    assert "AttributeError" in first.notes[0]
    assert describe_counts(first.counts).endswith("1 failed")
    # Not every minute: an hour later, and for a day.
    assert shop.sweep(NOON + 4 * MINUTE).notes == []
    for hour in range(1, 26):
        shop.sweep(NOON + hour * HOUR + 5 * MINUTE)
    (enrolment,) = store.enrolments.list_all(eve)
    assert enrolment.state == "cancelled"
    assert 20 < len([kind for kind, _ in shop.why(eve) if kind == "fault"]) < 26
    assert shop.tags(eve, NOON + 2 * DAY) == ()
    assert shop.sweep(NOON + 2 * DAY).notes == []


def test_a_damaged_event_is_left_out_once(tmp_path: Path, store: Store) -> None:
    shop = Shop(tmp_path, store)
    people = [shop.person() for _ in range(20)]
    for person in people:
        shop.fill(person, NOON)
    damage(store, "events", "properties", people[7])
    summary = shop.sweep(NOON + 3 * MINUTE)
    assert len(summary.notes) == summary.counts["failed"] == 1
    assert summary.counts["entered"] == 19
    assert shop.sweep(NOON + 4 * MINUTE).notes == []


def test_a_fault_that_everybody_has_is_counted_and_named_a_few_times(
    tmp_path: Path, store: Store
) -> None:
    shop = Shop(tmp_path, store)
    people = [shop.person() for _ in range(MOST_NAMED + 10)]
    for person in people:
        shop.fill(person, NOON)
        damage(store, "events", "properties", person)
    summary = shop.sweep(NOON)
    assert summary.counts["failed"] == len(people)
    assert len(summary.notes) == MOST_NAMED + 1
    assert summary.notes[-1] == "10 more were left out; the log names them"


DATES = """
[triggers.birthday]
date  = { attribute = "born", at = "10:00", yearly = false }
steps = [{ template = "one" }]
"""


def test_impossible_dates_of_strangers_stop_no_birthday(tmp_path: Path, store: Store) -> None:
    shop = Shop(tmp_path, store, DATES)
    dates = ["2026-04-28", "0001-04-28", "9999-04-28", "2026-04-28x", "0000-04-28"]
    people = [shop.person("Pacific/Kiritimati") for _ in dates]
    for person, date in zip(people, dates, strict=True):
        store.subscriptions.set_attributes(person, {"born": date})
    shop.sweep(NOON - DAY)
    for hour in range(24):
        assert shop.sweep(NOON - DAY + hour * HOUR).notes == []
    assert [bool(shop.got(person)) for person in people] == [True, False, False, True, False]


def test_what_concerns_everything_still_ends_the_sweep(tmp_path: Path, store: Store) -> None:
    shop = Shop(tmp_path, store)
    shop.fill(shop.person(), NOON)
    store.connection.execute("DROP TABLE interests")
    with pytest.raises(Exception, match="interests"):
        shop.sweep(NOON)
