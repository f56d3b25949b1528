"""A broadcast is rendered for everybody before it is frozen: who would get none, and why."""

import json
from pathlib import Path
from typing import Any

import pytest

from pushctl.errors import TemplateError
from pushctl.jobs.campaigns import broadcast, rehearsal
from pushctl.jobs.campaigns.broadcast import Plan
from pushctl.jobs.campaigns.draft import Draft
from pushctl.jobs.delivery.rendering import render_check
from pushctl.jobs.delivery.rendering.render import Renderer
from pushctl.jobs.messages import preview
from pushctl.model import Cause
from pushctl.templates import Template
from tests.support import NOON, project, sending
from tests.support.program import PROGRAM, on_terminal, pushctl
from tests.support.sending import Field, soon

UNKNOWN = "templates/hello/en.toml: 'first_name' is undefined"


@pytest.fixture
def field(tmp_path: Path) -> Field:
    """A template that needs a first name, and 30 people of whom 11 have none."""
    made = sending.field(tmp_path)
    sending.template(tmp_path, "hello", title="Hi {{ attributes.first_name }}", body="x")
    rows = made.people(30, now=soon())
    with made.store.write():
        for number, row in enumerate(rows[11:]):
            made.store.subscriptions.set_attributes(row, {"first_name": f"Ann {number}"})
    return made


def planned(field: Field, **wish: object) -> Plan:
    wish = {"everyone": True, "template": "hello"} | wish
    made = broadcast.plan(field.store, field.config, Draft(**wish), NOON)  # type: ignore[arg-type]
    return rehearsal.rehearse(field.store, field.config, made, NOON)


def test_it_is_said_who_would_get_none_and_why(field: Field) -> None:
    shown: list[int] = []
    made = broadcast.plan(
        field.store, field.config, Draft(everyone=True, template="hello"), NOON
    )
    assert made.example is not None and made.example.message.title == "Hi Ann 0"
    made = rehearsal.rehearse(field.store, field.config, made, NOON, shown.append)
    assert made.verdict is not None
    assert made.verdict.count_reasons() == [(UNKNOWN, 11)]
    assert list(made.verdict.without) == list(made.receivers[:11])
    assert (made.count, made.without, sum(shown)) == (30, 11, 30)


def test_each_cause_is_a_group_of_its_own(field: Field) -> None:
    newest = "SELECT id FROM subscriptions ORDER BY id DESC LIMIT 2"
    for (row,) in field.store.connection.execute(newest).fetchall():
        field.store.subscriptions.set_attributes(row, {"first_name": " "})
    sending.template(
        field.config.folder, "hello", title="{{ attributes.first_name }}", body="x"
    )
    made = planned(field)
    assert made.verdict is not None
    empty = "templates/hello/en.toml: the title, or an action's, is empty"
    assert made.verdict.count_reasons() == [(UNKNOWN, 11), (empty, 2)]


def test_a_key_that_is_not_there_is_a_cause_too(field: Field) -> None:
    field.people(2, first=50, key="gone")
    made = planned(field, template="sale")
    assert made.verdict is not None
    assert [why for why, _ in made.verdict.count_reasons()] == [
        "made with the key gone, which is not in keys/"
    ]
    campaign = broadcast.freeze(field.store, made, NOON)
    assert field.counts(campaign) == {"planned": 30, "skipped": 2}


def test_the_verdict_is_frozen_and_not_rendered_again(field: Field) -> None:
    campaign = broadcast.freeze(field.store, planned(field), NOON)
    assert field.counts(campaign) == {"planned": 19, "rejected": 11}
    sql = "SELECT DISTINCT reason, cause, attempts FROM deliveries WHERE status = 'rejected'"
    assert field.store.connection.execute(sql).fetchall() == [(UNKNOWN, Cause.NO_MESSAGE, 0)]


@pytest.mark.parametrize("more", [{}, {"local": True}, {"at": None, "over": "2h"}])
def test_for_later_all_are_planned(field: Field, more: dict[str, Any]) -> None:
    """The value that is missing today may be there by then."""
    made = planned(field, **({"at": "2026-05-01 09:00"} | more))
    assert made.without == 11
    assert field.counts(broadcast.freeze(field.store, made, NOON)) == {"planned": 30}


def test_who_was_left_out_late_has_no_verdict(field: Field) -> None:
    made = planned(field)
    field.freeze(template="hello", limit=5)
    campaign = broadcast.freeze(field.store, made, NOON)
    assert field.counts(campaign) == {"planned": 19, "rejected": 6}


def test_nobody_at_all_is_an_error_before_anything_is_frozen(field: Field) -> None:
    sending.template(field.config.folder, "hello", title="{{ attributes.other }}", body="x")
    with pytest.raises(TemplateError, match="nobody of 30 people can get this message"):
        planned(field)
    for more in ("--dry-run", "--yes"):
        run = pushctl(
            "send", "--everyone", "--template", "hello", more, cwd=field.config.folder
        )
        assert (run.code, "'other' is undefined" in run.err) == (3, True), run.err
    assert field.store.campaigns.list_newest() == []


def test_an_example_is_found_behind_many_who_get_none(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "TRIED", 3)
    made = broadcast.plan(
        field.store, field.config, Draft(everyone=True, template="hello"), NOON
    )
    assert made.example is None
    made = rehearsal.rehearse(field.store, field.config, made, NOON)
    assert made.example is not None and made.example.message.title == "Hi Ann 0"


def test_the_texts_of_segments_and_baskets_are_rehearsed_as_they_are_sent(
    field: Field,
) -> None:
    sending.template(field.config.folder, "hello", title="Yours", body="{{ cart.names|join }}")
    with pytest.raises(TemplateError):
        planned(field)
    one = field.store.connection.execute("SELECT max(id) FROM subscriptions").fetchone()[0]
    with field.store.write() as connection:
        about = json.dumps({"items": [{"id": "1", "name": "Lamp", "price": 9}]})
        connection.execute(
            "INSERT INTO events (subscription_id, name, at, received_at, properties, "
            "dedupe_key) VALUES (?, 'cart_updated', ?, ?, ?, 'x')",
            (one, NOON, NOON, about),
        )
    made = planned(field)
    assert (made.without, made.verdict and made.verdict.first) == (29, one)


def test_the_dry_run_and_the_question_say_it(field: Field) -> None:
    folder = field.config.folder
    dry = pushctl("send", "--everyone", "--template", "hello", "--dry-run", cwd=folder)
    assert (dry.code, dry.err) == (0, project.NO_ICON)
    assert f"11 of 30 people would get none:\n  11  {UNKNOWN}" in dry.out
    assert "Hi Ann 0" in dry.out
    command = [*PROGRAM, "send", "--everyone", "--template", "hello"]
    asked = on_terminal(command, answers=["n"], cwd=folder)
    assert "Send this to 19 people? 11 get none." in asked.out
    assert asked.out.index("Hi Ann 0") < asked.out.index("would get none")
    assert field.store.campaigns.list_newest() == []


def test_a_rehearsal_takes_pages(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 300,000 people a page is in memory at a time, and progress goes page by page."""
    monkeypatch.setattr(render_check, "PAGE", 7)
    shown: list[int] = []
    made = broadcast.plan(
        field.store, field.config, Draft(everyone=True, template="hello"), NOON
    )
    made = rehearsal.rehearse(field.store, field.config, made, NOON, shown.append)
    assert (made.without, shown) == (11, [7, 7, 7, 7, 2])


def test_what_the_rehearsal_says_is_what_the_sending_does(field: Field) -> None:
    made = planned(field)
    campaign = field.freeze(soon(), template="hello", again=True)  # not rehearsed
    rows, _ = field.store.deliveries.claim_fresh(campaign.id, 0, 100, soon())
    assert made.verdict is not None
    template = Template.from_sources(campaign.template, campaign.sources)
    renderer = Renderer(campaign, template, field.config, frozenset({field.key}))
    rendered, unrendered = renderer.render(rows, soon())
    by_row = {row.id: row.subscription for row in rows}
    assert len(rendered) == 19
    assert {by_row[it.id]: (it.status, it.reason, it.cause) for it in unrendered} == (
        made.verdict.without
    )
