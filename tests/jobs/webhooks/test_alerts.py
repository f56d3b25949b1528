"""Alerts: told once when they begin and once when they end, and in nobody's way."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl import config as configs
from pushctl.errors import ConfigError
from pushctl.jobs.webhooks import alerts
from pushctl.model import Millis
from pushctl.store import Store
from tests.support import DAY, HOUR, MINUTE, NOON, sending, webhooks
from tests.support.program import pushctl
from tests.support.sales import Sales
from tests.support.webhooks import URL, Receiver

PROGRAM = '#!/bin/sh\nprintf "%s|" "$@" >> told.txt\ncat >> told.txt\necho >> told.txt\n'
QUEUE = """
[[alerts]]
name  = "queue"
kind  = "queue"
above = 2
within = "30m"
exec  = ["./tell.sh"]
"""


class Shop:
    def __init__(self, folder: Path) -> None:
        self.field = sending.field(folder)
        self.store: Store = self.field.store
        self.folder = self.field.config.folder
        self.sales = Sales(self.store)
        self.write_program(PROGRAM)

    def write_program(self, text: str) -> None:
        file = self.folder / "tell.sh"
        file.write_text(text)
        file.chmod(0o700)

    def declare(self, text: str) -> None:
        file = self.folder / "pushctl.toml"
        file.write_text(file.read_text() + text)
        self.config = configs.load(file, {})
        alerts.sync(self.store, self.config, NOON)

    def wait(self, count: int) -> int:
        """Let *count* messages wait since an hour before noon; return their campaign."""
        row = self.sales.campaign(f"<b>\x1b[31m'; rm -rf ~ #{self.sales.number()}")
        self.sales.change(
            "UPDATE campaigns SET status = 'running', started_at = ? WHERE id = ?",
            NOON - HOUR, row,
        )  # fmt: skip
        for _ in range(count):
            message = self.sales.message(row, self.sales.person())
            self.sales.change("UPDATE deliveries SET status = 'planned' WHERE id = ?", message)
        return row

    def stop_waiting(self, campaign: int) -> None:
        self.sales.change("UPDATE campaigns SET status = 'finished' WHERE id = ?", campaign)

    def run(self, now: Millis) -> list[str]:
        return alerts.run(self.store, self.config, now, 10)

    @property
    def told(self) -> list[tuple[list[str], dict[str, str]]]:
        file = self.folder / "told.txt"
        lines = file.read_text().splitlines() if file.exists() else []
        split = (line.rsplit("|", 1) for line in lines)
        return [(words.split("|"), json.loads(given)) for words, given in split]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.store.close()


def test_it_is_told_once_when_it_begins_and_once_when_it_ends(shop: Shop) -> None:
    shop.declare(QUEUE)
    assert shop.run(NOON) == [] and shop.told == []
    campaign = shop.wait(3)
    for minutes in range(5, 65, 5):
        assert shop.run(NOON + minutes * MINUTE) == []
    ((words, data),) = shop.told
    assert words[:2] == ["queue", "began"] and "3 messages wait" in words[2]
    assert data["state"] == "began" and data["kind"] == "queue"
    shop.stop_waiting(campaign)
    shop.run(NOON + 70 * MINUTE)
    shop.run(NOON + 75 * MINUTE)
    assert [data["state"] for _, data in shop.told] == ["began", "ended"]


def test_at_most_one_is_told_an_hour(shop: Shop) -> None:
    shop.declare(QUEUE)
    shop.stop_waiting(shop.wait(3))
    for minutes in range(0, 180, 5):
        campaign = shop.wait(3)
        shop.run(NOON + minutes * MINUTE)
        shop.stop_waiting(campaign)
        shop.run(NOON + (minutes + 5) * MINUTE)
    # On at one look, off at the next: an end is told an hour after its begin at the earliest.
    assert 2 <= len(shop.told) <= 4


def test_looks_are_five_minutes_apart_whoever_asks(shop: Shop) -> None:
    shop.declare(QUEUE)
    shop.wait(3)
    shop.run(NOON)
    shop.sales.change("UPDATE alerts SET told = 0, told_at = NULL")
    shop.run(NOON + 4 * MINUTE)
    assert len(shop.told) == 1
    shop.run(NOON + 5 * MINUTE)
    assert len(shop.told) == 2


def test_who_is_killed_while_it_tells_tells_nothing_twice(shop: Shop) -> None:
    shop.write_program(PROGRAM + "kill -9 $PPID\n")
    shop.declare(QUEUE)
    shop.wait(3)
    code = (
        "import sys; from pathlib import Path; from pushctl import config; "
        "from pushctl.store import Store; from pushctl.jobs.webhooks import alerts; "
        "made = config.load(Path(sys.argv[1]), {}); "
        "alerts.run(Store(made.database), made, int(sys.argv[2]), 10)"
    )
    for minutes in (0, 5, 70):
        ended = subprocess.run(
            [sys.executable, "-c", code, str(shop.config.file), str(NOON + minutes * MINUTE)],
            check=False,
        )
        assert ended.returncode == (-signal.SIGKILL if minutes == 0 else 0)
    assert len(shop.told) == 1


def test_a_program_that_hangs_is_ended_and_the_next_alert_is_told(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "_SECONDS", 0.3)
    shop.write_program("#!/bin/sh\nsleep 60\n")
    fine = shop.folder / "fine.sh"
    fine.write_text(PROGRAM)
    fine.chmod(0o700)
    second = QUEUE.replace('"queue"\nkind', '"other"\nkind').replace("tell.sh", "fine.sh")
    shop.declare(QUEUE + second)
    shop.wait(3)
    began = time.monotonic()
    (failed,) = shop.run(NOON)
    assert "was ended" in failed and time.monotonic() - began < 5
    assert [words[0] for words, _ in shop.told] == ["other"]
    assert shop.store.alerts.load_states()["queue"].failure == failed.partition(": ")[2]
    shop.run(NOON + 70 * MINUTE)  # it may have told: not again
    assert shop.store.alerts.load_states()["queue"].told_at == NOON


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhooks.receiving() as made:
        yield made


def test_a_webhook_gets_it_signed_and_what_it_refuses_comes_again(
    shop: Shop, receiver: Receiver
) -> None:
    hook = f'[[webhooks]]\nname = "crm"\nurl = "{URL}"\n'
    way = QUEUE.replace('exec  = ["./tell.sh"]', 'webhook = "crm"')
    shop.declare(way + hook + receiver.settings)
    shop.wait(3)
    receiver.answer = webhooks.say(500)
    (failed,) = shop.run(NOON)
    assert failed == "alert queue: it answers 500"
    receiver.answer = webhooks.OK
    assert shop.run(NOON + 5 * MINUTE) == [] and len(receiver.got) == 1  # not within the hour
    assert shop.run(NOON + HOUR) == [] and shop.run(NOON + 2 * HOUR) == []
    assert len(receiver.got) == 2
    got = receiver.got[-1].json()
    assert (got["type"], got["data"]["state"]) == ("alert", "began")
    assert receiver.got[-1].headers["webhook-signature"].startswith("v1,")


def send(shop: Shop, name: str, at: Millis, clicked: int, people: list[int]) -> None:
    row = shop.sales.campaign(name, topic="sale")
    shop.sales.change("UPDATE campaigns SET started_at = ? WHERE id = ?", at, row)
    for number, person in enumerate(people):
        message = shop.sales.message(row, person)
        if number < clicked:
            shop.sales.report(message, "clicked", at + MINUTE)


def test_a_campaign_that_is_clicked_less_than_its_topic_is_told(shop: Shop) -> None:
    shop.declare(QUEUE.replace('"queue"', '"ctr"').replace('above = 2\nwithin = "30m"\n', ""))
    (one,) = shop.config.alerts
    people = [shop.sales.person() for _ in range(150)]
    with shop.store.write():
        send(shop, "a", NOON - 5 * DAY, 15, people)
    assert alerts.look(shop.store, shop.config, one, NOON).state == "learning"
    with shop.store.write():
        for day in (30, 20, 10):
            send(shop, f"day {day}", NOON - day * DAY, 15, people)
        send(shop, "\x1b[31m<b>", NOON - 6 * HOUR, 1, people)
    found = alerts.look(shop.store, shop.config, one, NOON)
    assert found.state == "on" and "0.7" in found.text and "10.0" in found.text
    alerts.tell(shop.store, shop.config, one, "began", found.text, NOON)
    assert shop.told[0][0][2] == found.text  # one argument, as it is


def test_clicks_and_queues_are_looked_at_for_one_site_alone(shop: Shop) -> None:
    ctr = QUEUE.replace('"queue"', '"ctr"').replace('above = 2\nwithin = "30m"\n', "")
    (site,) = shop.field.config.sites
    shop.declare(ctr.replace("exec", f'site  = "{site}"\nexec'))
    (one,) = shop.config.alerts
    sites = {site: f"https://{site}.example", "other": "https://other.example"}
    known = shop.store.sites.sync(sites)
    number, other = known[site], known["other"]
    people = [shop.sales.person() for _ in range(150)]
    strangers = [shop.sales.person() for _ in range(150)]
    with shop.store.write() as connection:
        for site_id, rows in ((number, people), (other, strangers)):
            connection.executemany(
                "UPDATE subscriptions SET site_id = ? WHERE id = ?",
                [(site_id, row) for row in rows],
            )
        for day in (30, 20, 10):
            send(shop, f"day {day}", NOON - day * DAY, 15, [*people, *strangers])
        # The strangers click as ever, which hides nothing of the others.
        send(shop, "today", NOON - 6 * HOUR, 1, people)
        send(shop, "strange", NOON - 5 * HOUR, 100, strangers)
    found = [name for name, *_ in shop.store.alerts.list_campaigns(0, NOON, 9, site=number)]
    assert found == ["today", "day 10", "day 20", "day 30"]
    assert "today: 0.7\u202f% clicked" in alerts.look(shop.store, shop.config, one, NOON).text
    waiting = shop.wait(3)
    of_site = "UPDATE subscriptions SET site_id = ? WHERE id > ?"
    shop.sales.change(of_site, number, max(strangers))
    assert shop.store.alerts.count_waiting(NOON, number) == 3
    assert shop.store.alerts.count_waiting(NOON, other) == 0
    shop.stop_waiting(waiting)


def test_nobody_buying_is_told_only_where_people_buy_at_that_hour(shop: Shop) -> None:
    text = QUEUE.replace('"queue"', '"no_purchase"').replace('above = 2\nwithin = "30m"\n', "")
    shop.declare(text)
    (one,) = shop.config.alerts
    person = shop.sales.person()
    shop.sales.order(person, NOON - 3 * DAY)
    assert alerts.look(shop.store, shop.config, one, NOON).state == "learning"
    with shop.store.write():
        for day in range(1, 20):
            for hour in range(1, 6):
                shop.sales.order(person, NOON - day * DAY - hour * HOUR)
    found = alerts.look(shop.store, shop.config, one, NOON)
    assert found.state == "on" and found.text.startswith("0 purchases in 6 h, usually 5.")
    assert alerts.look(shop.store, shop.config, one, NOON + 12 * HOUR).state == "quiet"
    shop.sales.order(person, NOON - HOUR)
    assert alerts.look(shop.store, shop.config, one, NOON).state == "quiet"


def test_more_unsubscriptions_than_usual_are_told(shop: Shop) -> None:
    shop.declare(QUEUE.replace('"queue"', '"churn"').replace('above = 2\nwithin = "30m"\n', ""))
    (one,) = shop.config.alerts
    shop.sales.change("UPDATE campaigns SET started_at = ?", NOON - 20 * DAY)
    send(shop, "first", NOON - 20 * DAY, 0, [])
    add = "INSERT INTO subscription_changes (subscription_id, kind, at) VALUES (?, ?, ?)"
    with shop.store.write():
        for hours in (*range(25, 400, 12), *range(1, 9)):
            who = shop.sales.person()
            shop.sales.change(add, who, "unsubscribed", NOON - hours * HOUR)
    found = alerts.look(shop.store, shop.config, one, NOON)
    assert found.state == "on" and found.text.startswith(
        "8 unsubscriptions in 24 h, usually 1."
    )
    assert alerts.look(shop.store, shop.config, one, NOON - DAY).state == "quiet"


def test_a_sweep_carries_it_out_and_commands_show_it(shop: Shop) -> None:
    shop.declare('[[alerts]]\nname = "churn"\nkind = "churn"\nexec = ["./tell.sh"]\n')
    told = pushctl("alerts", "test", "churn", cwd=shop.folder)
    assert (told.code, shop.told[0][0][1]) == (0, "test")
    assert pushctl("alerts", "test", "nothing", cwd=shop.folder).code == 4
    now = time.time_ns() // 1_000_000
    shop.store.alerts.sync([], now)
    send(shop, "first", now - 20 * DAY, 0, [])
    add = "INSERT INTO subscription_changes (subscription_id, kind, at) VALUES (?, ?, ?)"
    for hours in range(1, 9):
        shop.sales.change(add, shop.sales.person(), "unsubscribed", now - hours * HOUR)
    for _ in range(2):
        assert pushctl("sweep", cwd=shop.folder).code == 0
    assert [words[:2] for words, _ in shop.told[1:]] == [["churn", "began"]]
    (row,) = json.loads(pushctl("alerts", "list", "--json", cwd=shop.folder).out)
    assert (row["way"], row["state"], row["told"]) == ("exec ./tell.sh", "on", "began")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (('kind  = "queue"', 'kind = "moon"'), "churn, ctr, no_purchase, queue"),
        (('exec  = ["./tell.sh"]', ""), "needs one way to tell"),
        (
            ('exec  = ["./tell.sh"]', 'exec = ["./tell.sh"]\nping = "https://a.example"'),
            "one way",
        ),
        (('within = "30m"', 'within = "1s"'), "15m to 7d"),
        (('exec  = ["./tell.sh"]', 'webhook = "nothing"'), "Write [[webhooks]] of that name"),
        (("above = 2", 'site = "moon"'), "Known names: shop"),
    ],
)
def test_a_wrong_alert_is_named(shop: Shop, change: tuple[str, str], fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        shop.declare(QUEUE.replace(*change))
    assert any(fault in f"{one.fault} {one.remedy}" for one in caught.value.problems)
