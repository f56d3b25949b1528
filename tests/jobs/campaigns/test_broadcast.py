"""Planning a broadcast and freezing it."""

import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from pushctl.config import MessagesConfig
from pushctl.errors import InputError, NotFoundError, TemplateError, UsageError
from pushctl.jobs.campaigns import broadcast
from pushctl.jobs.campaigns.broadcast import Plan, plan
from pushctl.jobs.campaigns.draft import Draft, parse_rate
from pushctl.jobs.subscribers import contact_policy as judging
from pushctl.model import SubscriptionState
from pushctl.rules.contact_policy import Frequency
from pushctl.store import deliveries, reports, schedules
from tests.support import DAY, HOUR, NOON, sending
from tests.support.rows import answers_about
from tests.support.sending import Field


@pytest.fixture
def field(tmp_path: Path) -> Field:
    made = sending.field(tmp_path)
    made.people(3)
    return made


def planned(field: Field, **wish: object) -> Plan:
    wish = {"everyone": True, "template": "sale"} | wish
    return plan(field.store, field.config, Draft(**wish), NOON)  # type: ignore[arg-type]


def test_a_plan_tells_whom_what_and_how_long_and_writes_nothing(field: Field) -> None:
    made = planned(field)
    assert (made.count, made.audience, made.readers.texts) == (3, "everyone", {"en": 3})
    assert made.example is not None
    assert made.example.message.title == "Sale"
    assert made.expires_after == DAY
    assert field.store.campaigns.list_newest() == []


def test_tags_segments_and_expressions_must_all_hold(field: Field) -> None:
    field.people(2, language="tr", tag="Sale", first=10)
    field.people(2, language="tr", tag="Other", first=20)
    made = planned(field, everyone=False, tags=["Sale"], where=["language = 'tr'"])
    assert made.count == 2
    assert made.audience == "tag('Sale') and language = 'tr'"


def test_the_template_is_the_tags_namesake(field: Field) -> None:
    assert planned(field, everyone=False, tags=["Sale"], template=None).template == "sale"
    with pytest.raises(NotFoundError, match="no_such_thing"):
        planned(field, everyone=False, tags=["No such thing!"], template=None)


def test_nobody_is_meant_by_accident(field: Field) -> None:
    with pytest.raises(UsageError, match="to whom"):
        planned(field, everyone=False)
    with pytest.raises(UsageError, match="which message"):
        planned(field, template=None)


def test_only_active_subscribers_are_meant(field: Field) -> None:
    rows = field.people(2, first=10)
    field.store.subscriptions.mark(rows[:1], SubscriptionState.GONE, "410", NOON)
    assert planned(field).count == 4


def test_single_people_by_id_and_by_trusted_alias(field: Field) -> None:
    rows = field.people(2, first=10)
    one = field.store.subscriptions.get_many(rows)[0]
    field.store.subscriptions.set_alias(rows[0], "ada", trusted=True)
    field.store.subscriptions.set_alias(rows[1], "eve", trusted=False)
    assert planned(field, everyone=False, to=["ada"]).receivers == [rows[0]]
    assert planned(field, everyone=False, to=["alias:ada"]).receivers == [rows[0]]
    assert planned(field, everyone=False, to=[one.public_id]).receivers == [rows[0]]
    with pytest.raises(UsageError, match=r"not signed.*name the subscriber by its id"):
        planned(field, everyone=False, to=["eve"])
    with pytest.raises(NotFoundError, match="'nobody'"):
        planned(field, everyone=False, to=["nobody"])


def test_a_limit_takes_the_first(field: Field) -> None:
    assert planned(field, limit=2).count == 2
    with pytest.raises(InputError):
        planned(field, limit=0)


@pytest.mark.parametrize(
    ("text", "rate"), [("50", 50.0), ("50/s", 50.0), ("600/m", 10.0), ("9000/h", 2.5)]
)
def test_rates_are_read(text: str, rate: float) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "0", "-1", "fast", "5/fortnight", "nan", "inf"])
def test_other_rates_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="no rate"):
        parse_rate(text)


@pytest.mark.parametrize(
    "wish", [{"ttl": "5w"}, {"ttl": "soon"}, {"urgency": "now"}, {"over": "40d"}]
)
def test_other_options_out_of_bounds_are_refused(field: Field, wish: dict[str, str]) -> None:
    with pytest.raises(InputError):
        planned(field, **wish)


def test_the_ttl_of_the_command_line_wins(field: Field) -> None:
    assert planned(field, ttl="2h").expires_after == 2 * HOUR
    assert planned(field, ttl="90s").expires_after == 90_000


def test_a_site_without_a_text_in_its_language_is_said_before_sending(field: Field) -> None:
    (field.config.templates / "sale" / "en.toml").rename(
        field.config.templates / "sale" / "tr.toml"
    )
    with pytest.raises(TemplateError, match="no text in 'en'"):
        planned(field)


def test_the_campaign_keeps_its_sources_when_the_files_change(field: Field) -> None:
    campaign = field.freeze()
    (field.config.templates / "sale" / "en.toml").write_text("broken", "utf-8")
    assert "Everything must go" in field.store.campaigns.get(campaign.name).sources["en.toml"]


def test_campaign_and_deliveries_are_frozen_together_or_not_at_all(field: Field) -> None:
    made = planned(field, name="sale")
    twice = Plan(**{**vars(made), "receivers": [*made.receivers, made.receivers[0]]})
    with pytest.raises(Exception, match="UNIQUE"):
        broadcast.freeze(field.store, twice, NOON)
    assert field.store.campaigns.list_newest() == []


def test_spreading_gives_each_row_its_time_and_its_life(field: Field) -> None:
    campaign = field.freeze(over="3h", ttl="1h")
    sql = "SELECT next_attempt_at - :now, expires_at - :now FROM deliveries ORDER BY id"
    rows = field.store.connection.execute(sql, {"now": NOON}).fetchall()
    assert rows == [(0, HOUR), (HOUR, 2 * HOUR), (2 * HOUR, 3 * HOUR)]
    assert campaign.expires_at == NOON + 4 * HOUR


def test_who_was_refused_yesterday_gets_another_chance(field: Field) -> None:
    (row,) = field.people(1, first=50)
    field.store.health.mark_failed(answers_about(field.store, [row], "403 forbidden"), NOON)
    broadcast.retry_refused(field.store, NOON + HOUR)
    assert planned(field).count == 3
    broadcast.retry_refused(field.store, NOON + DAY)
    assert planned(field).count == 4


def test_freezing_many_is_quick_and_takes_little_memory(field: Field) -> None:
    field.people(5_000, first=1_000, tag=None)
    made = planned(field)
    tracemalloc.start()
    began = time.process_time()
    broadcast.freeze(field.store, made, NOON)
    spent = time.process_time() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000, "rows are written as they are made"
    assert spent < 2.0


@pytest.mark.parametrize(
    "wish",
    [
        {"at": "2026-04-29 09:00"},
        {"at": "2026-04-29 09:00", "local": True},
        {"over": "2h"},
    ],
)
def test_a_plan_holds_few_bytes_for_each_receiver(
    field: Field, monkeypatch: pytest.MonkeyPatch, wish: dict[str, object]
) -> None:
    """Their numbers and times, eight bytes each: a dictionary of ten million is a gigabyte."""
    frequency = Frequency(messages=5, within=DAY)
    field.config = replace(field.config, frequency=frequency)
    # All else is read in pages.
    for module, name in (
        (judging, "PAGE"), (deliveries, "PAGE"), (schedules, "_PAGE"), (reports, "_PAGE"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, 500)
    field.people(500, first=1_000, tag=None)
    few = measure_peak(field, **wish)
    field.people(6_000, first=10_000, tag=None)
    each = (measure_peak(field, **wish) - few) / 6_000
    assert each < 60, f"{each:.0f} bytes"


def measure_peak(field: Field, **wish: object) -> int:
    """Return the most bytes that a plan and its freezing take, and freeze it."""
    tracemalloc.start()
    try:
        made = planned(field, again=True, **wish)
        broadcast.freeze(field.store, made, NOON)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_one_statement_writes_all_rows_that_share_a_time(field: Field) -> None:
    field.people(300, first=1_000, tag=None)
    made = planned(field, at="2026-04-29 09:00")
    said: list[str] = []
    field.store.connection.set_trace_callback(said.append)
    campaign = broadcast.freeze(field.store, made, NOON)
    field.store.connection.set_trace_callback(None)
    # It is said once more for what triggers do.
    written = {sql for sql in said if "INSERT INTO deliveries" in sql}
    assert (len(written), field.counts(campaign)) == (1, {"planned": 303})


def test_a_campaign_keeps_the_topic_of_command_line_template_or_settings(field: Field) -> None:
    field.config = replace(field.config, messages=MessagesConfig(topic="news"))
    assert broadcast.freeze(field.store, planned(field), NOON).topic == "news"
    asked = planned(field, topic="promotion", again=True)
    assert broadcast.freeze(field.store, asked, NOON).topic == "promotion"
    with pytest.raises(InputError, match="'Big sale' is no topic"):
        planned(field, topic="Big sale")
