"""Forecasts from a project's own history, kept when a campaign is sent, and scored."""

from pathlib import Path

import pytest

from pushctl.errors import NotFoundError
from pushctl.jobs.campaigns import broadcast, recurring, review
from pushctl.jobs.campaigns.draft import Draft
from pushctl.jobs.campaigns.forecast import forecast_draft, foresee
from pushctl.jobs.campaigns.plan_files import Item, State
from pushctl.jobs.figures.forecasts import accuracy, forecast, table
from pushctl.jobs.figures.forecasts.forecast import Forecast, Told
from pushctl.rules.figures.forecasts import forecast as rules
from pushctl.rules.figures.forecasts.forecast import Past
from pushctl.rules.units import DAY, HOUR
from tests.support import NOON, sending
from tests.support.pasts import send_past
from tests.support.sending import Field

PEOPLE = 120
CLICKED = (14, 16, 22, 12, 18, 25)
LATER = NOON + 60 * DAY


@pytest.fixture
def field(tmp_path: Path) -> Field:
    made = sending.field(tmp_path)
    made.people(PEOPLE, tag=None)
    return made


def send_sales(field: Field, ids: list[int], topic: str | None = "promotion") -> None:
    for place, clicked in enumerate(CLICKED):
        at = NOON + 7 * place * DAY
        send_past(field, f"sale {place}", ids, at, clicked=clicked, topic=topic, gone=6)


def list_people(field: Field) -> list[int]:
    return [
        row
        for (row,) in field.store.connection.execute("SELECT id FROM subscriptions ORDER BY id")
    ]


def tell(field: Field, topic: str | None = "promotion", **options: object) -> Forecast:
    wish = {"people": PEOPLE, "template": "sale", "now": LATER} | options
    return forecast.forecast(field.store, field.config, topic=topic, **wish)  # type: ignore[arg-type]


def get(told: Forecast, name: str) -> Told:
    (found,) = (each for each in told.figures if each.name == name)
    return found


def test_clicks_are_forecast_from_the_topics_campaigns(field: Field) -> None:
    send_sales(field, list_people(field))
    clicks = get(tell(field), "clicks")
    pasts = [Past("", 0, clicked, PEOPLE - 6) for clicked in CLICKED]
    level = rules.find_level(pasts, "", 0)
    assert level is not None and clicks.range is not None
    # Of 120, six will not be taken, as before.
    assert clicks.range.levels == pytest.approx(level.predict(PEOPLE - 6).levels)
    assert clicks.last_three == pytest.approx((12 + 18 + 25) / 3)
    assert clicks.source == "6 campaigns about promotion"


def test_who_waits_gets_what_is_counted_already_and_three_campaigns_at_least(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_sales(field, list_people(field))
    monkeypatch.setattr(forecast, "_QUICK_MESSAGES", 0)
    field.store.kept_columns.drop()
    assert get(tell(field, quick=True), "clicks").source == "3 campaigns about promotion"
    tell(field)  # counts all, and keeps that
    assert get(tell(field, quick=True), "clicks").source == "6 campaigns about promotion"


def test_what_is_like_nothing_before_is_forecast_from_all(field: Field) -> None:
    send_sales(field, list_people(field))
    assert get(tell(field, "news"), "clicks").source == "6 campaigns about other things"
    assert get(tell(field, None, template=""), "clicks").source == "6 campaigns"


def test_without_topics_the_template_is_what_it_is_about(field: Field) -> None:
    send_sales(field, list_people(field), topic=None)
    told = tell(field, None)
    assert told.about == "with template sale"
    assert get(told, "clicks").source == "6 campaigns with template sale"


def test_without_a_history_the_cases_tell_and_it_is_said(field: Field) -> None:
    told = tell(field, people=40_000)
    assert get(told, "clicks").range == rules.Range(1628, 2693, 4111)
    assert "published cases (promotion)" in get(told, "clicks").source
    assert get(tell(field, "news"), "clicks").source.startswith("9 %")
    assert get(told, "reach").range is None
    assert get(told, "orders").range is None
    assert get(told, "revenue").range is None


def test_what_tells_nothing_is_left_out(field: Field) -> None:
    ids = list_people(field)
    send_sales(field, ids)
    before = tell(field)
    send_past(field, "few", ids[:19], LATER - 9 * DAY, clicked=19, topic="promotion")
    send_past(field, "today", ids, LATER - HOUR, clicked=90, topic="promotion")
    for name, options in (("test", {"test": True}), ("call", {"channel": "exec"}),
                          ("served", {"grouped": True})):  # fmt: skip
        at = LATER - 9 * DAY
        send_past(field, name, ids, at, clicked=90, topic="promotion", options=options)
    assert tell(field) == before


def test_few_clicks_are_no_history(field: Field) -> None:
    ids = list_people(field)
    for place in range(4):
        send_past(field, f"sale {place}", ids, NOON + place * DAY, clicked=4, topic="sale")
    assert "published cases" in get(tell(field, "sale"), "clicks").source


def test_reach_is_by_the_browsers_of_these_people(field: Field) -> None:
    ids = list_people(field)
    half = PEOPLE // 2
    field.store.connection.execute(
        "UPDATE subscriptions SET browser = iif(id <= ?, 'Firefox', 'Chrome')", (ids[half - 1],)
    )
    for place in range(4):
        shown = half + 10 + place
        send_past(field, f"sale {place}", ids, NOON + place * DAY, clicked=9, shown=shown)
    everybody, good, bad = (
        get(tell(field, receivers=some, people=60), "reach").range
        for some in (ids, ids[:half], ids[half:])
    )
    assert everybody is not None and good is not None and bad is not None
    assert bad.p50 < 0.5 * everybody.p50 < 0.75 * good.p50
    assert 0.55 * 60 < everybody.p50 < 0.65 * 60


def test_a_draft_without_a_template(field: Field) -> None:
    send_sales(field, list_people(field))
    draft = Draft(topic="promotion")
    told = forecast_draft(field.store, field.config, draft, 1_000, LATER)
    assert (told.people, told.topic) == (1_000, "promotion")
    everyone = Draft(everyone=True, template="sale")
    told = forecast_draft(field.store, field.config, everyone, None, LATER)
    assert (told.people, told.topic) == (PEOPLE, "template sale")


def plan(field: Field, now: int = LATER, **wish: object) -> broadcast.Plan:
    draft = Draft(everyone=True, template="sale", again=True, topic="promotion", **wish)  # type: ignore[arg-type]
    made = broadcast.plan(field.store, field.config, draft, now)
    made, fault = foresee(field.store, field.config, made, now)
    assert fault == ""
    return made


def test_it_is_kept_when_the_campaign_is_frozen(field: Field) -> None:
    send_sales(field, list_people(field))
    made = plan(field)
    assert made.forecast == tell(field, receivers=made.receivers)
    assert field.store.forecasts.list_kept() == []
    campaign = broadcast.freeze(field.store, made, LATER)
    (kept,) = field.store.forecasts.list_kept()
    assert (kept.campaign, kept.people, kept.topic) == (campaign.id, PEOPLE, "promotion")
    built = field.store.connection.execute("SELECT built_from FROM forecasts").fetchone()[0]
    assert built.startswith("[[6,114,114,25],[5,114,114,18]")


def test_a_few_people_have_no_forecast(field: Field) -> None:
    assert plan(field, limit=49).forecast is None
    assert plan(field, limit=50).forecast is not None


def test_a_series_keeps_one_for_each_campaign(field: Field) -> None:
    draft = Draft(everyone=True, template="sale", every="day 13:00")
    recurring.add_series(field.store, field.config, draft, NOON)
    list(recurring.carry_out(field.store, field.config, NOON + 5 * HOUR))
    (kept,) = field.store.forecasts.list_kept()
    assert kept.topic == "template sale"


def test_no_fault_of_it_keeps_a_message_from_going_out(field: Field) -> None:
    made = plan(field)
    field.store.connection.execute("ALTER TABLE foreign_deliveries RENAME TO elsewhere")
    send_sales(field, list_people(field))
    again, fault = foresee(field.store, field.config, made, LATER)
    assert again == made
    assert fault.startswith("no forecast: ")


def test_the_review_of_a_file_has_it(field: Field) -> None:
    send_sales(field, list_people(field))
    made = plan(field)
    item = Item("sale", State.NEW, None, plan=made)
    text = "\n".join(review.write_markdown(field.store, field.config, [item], "", LATER))
    assert "- forecast: clicked by 18 (" in text


def test_lines_for_people() -> None:
    range_ = rules.Range(2259.99, 2910.58, 3748.45)
    told = Forecast(
        40_000,
        "promotion",
        (
            Told("reach", None, "fewer than 3 campaigns have gone out"),
            Told("clicks", range_, "8 campaigns about promotion"),
            Told("revenue", range_.scale(100), "812 orders", None, "EUR", 2),
        ),
        (),
    )
    assert table.list_forecast(told) == [
        "forecast: clicked by 2,910 (2,260 to 3,750 in 8 of 10 cases); "
        "from 8 campaigns about promotion",
        "forecast: revenue 2,910 EUR (2,260 to 3,750)",
    ]
    assert table.list_forecast(None) == []


def finish(field: Field, name: str, told: Forecast, clicked: int, at: int) -> None:
    campaign = send_past(field, name, list_people(field), at, clicked=clicked)
    forecast.keep(field.store, campaign, told, at)


def test_scores_are_those_of_the_methods(field: Field) -> None:
    """The check values 2200/2800/3500 against 3900 and 2500, a hundredth of them."""
    told = Forecast(
        PEOPLE, "x", (Told("clicks", rules.Range(22, 28, 35), "", last_three=33),), ()
    )
    finish(field, "one", told, 39, NOON)
    finish(field, "two", told, 25, NOON)
    finish(field, "yesterday", told, 30, LATER - DAY)
    (row,) = accuracy.load_scores(field.store, field.config, LATER)
    assert (row["figure"], row["forecasts"], row["within"]) == ("clicks", 2, 1)
    assert row["loss_p10"] == pytest.approx((1.70 + 0.30) / 2)
    assert row["loss_p50"] == pytest.approx((5.50 + 1.50) / 2)
    assert row["loss_p90"] == pytest.approx((3.60 + 1.00) / 2)
    assert row["crps"] == pytest.approx((7.2 + 1.86667) / 2, abs=1e-4)
    assert row["last_three_loss"] == pytest.approx((3 + 4) / 2)
    assert (row["compared"], row["against"]) == (2, 1.0)
    assert row["coverage_low"] < 0.5 < row["coverage_high"]  # type: ignore[operator]
    assert accuracy.count_waiting(field.store, LATER) == 1


def test_unknown_figures_are_not_scored(field: Field) -> None:
    told = Forecast(PEOPLE, "x", (Told("reach", None, "no history"),), ())
    finish(field, "one", told, 5, NOON)
    assert accuracy.load_scores(field.store, field.config, LATER) == []
    (row,) = accuracy.load_one(field.store, field.config, "one", LATER)
    assert (row["p50"], row["came"], row["within"]) == (None, PEOPLE, None)


def test_one_campaign_beside_what_came(field: Field) -> None:
    told = Forecast(PEOPLE, "x", (Told("clicks", rules.Range(3, 6, 9), "the past"),), ())
    finish(field, "one", told, 9, NOON)
    (row,) = accuracy.load_one(field.store, field.config, "one", LATER)
    assert (row["p90"], row["came"], row["within"]) == (9, 9, True)
    send_past(field, "two", list_people(field), NOON, clicked=1)
    with pytest.raises(NotFoundError, match="no forecast was kept"):
        accuracy.load_one(field.store, field.config, "two", LATER)
