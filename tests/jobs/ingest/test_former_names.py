"""A site that has another name in pushctl.toml than its people came with: nobody is lost."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pushctl import config as configs
from pushctl.demo.pushservice import PushService
from pushctl.jobs.campaigns import retry
from pushctl.jobs.delivery import deliver
from pushctl.jobs.ingest import former_names
from pushctl.jobs.triggers import load_facts
from pushctl.store.events import Event
from tests.support import MINUTE, project, sending, shop
from tests.support.posting import Browser, Project
from tests.support.sending import Field, soon

TRIGGER = """
[triggers.basket]
on    = "cart_updated"
sites = ["shop"]
steps = [{ after = "3m", template = "sale" }]
"""
AT_ONCE = deliver.Options(patience=0.0)


@pytest.fixture
def field(tmp_path: Path, service: PushService) -> Iterator[Field]:
    made = sending.field(tmp_path, service)
    project.add(tmp_path, TRIGGER)
    sending.lead_to(tmp_path, service)
    yield made
    made.store.close()


def rename(field: Field, *changes: tuple[str, str]) -> Field:
    """Change pushctl.toml by hand, and read it again."""
    text = field.config.file.read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    field.config.file.write_text(text)
    return Field(configs.load(field.config.file, {}), field.store, field.key)


RENAMED = (("[sites.shop", "[sites.store"), ('sites = ["shop"]', 'sites = ["store"]'))


def test_a_waiting_campaign_and_a_new_one_reach_the_people_of_a_renamed_site(
    field: Field,
) -> None:
    field.people(3)
    waiting = field.freeze(soon())
    field = rename(field, *RENAMED)
    report = deliver.run(field.store, field.config, waiting, soon(), AT_ONCE)
    assert field.counts(report.campaign) == {"accepted": 3}
    assert field.counts(field.send(soon()).campaign) == {"accepted": 3}


def test_a_trigger_of_a_renamed_site_goes_on_for_its_people(field: Field) -> None:
    (row,) = field.people(1)
    field = rename(field, *RENAMED)
    settings = load_facts.load_settings(field.config, field.store)
    assert settings.triggers["basket"].sites == {"shop", "store"}
    assert settings.origins("shop") == ("https://shop.example",)
    now = soon()
    bought = {"items": [{"id": "a"}]}
    field.store.events.add([Event(row, "cart_updated", now, now, bought, "1")])
    shop.decide_all(field.config, field.store, now + 5 * MINUTE)
    shop.decide_all(field.config, field.store, now + 5 * MINUTE)
    planned = field.store.connection.execute("SELECT status FROM deliveries").fetchall()
    assert planned == [("planned",)]


def test_lines_that_wait_under_the_former_name_are_taken(inbox_project: Project) -> None:
    """Of a receiver that has not been started anew, say; and all of a shop's webhooks."""
    ann = Browser(1, inbox_project.key)
    inbox_project.drain(ann.subscribe())
    sites = {f"new {name}": site for name, site in inbox_project.config.sites.items()}
    config = replace(inbox_project.config, sites=sites)
    later = Project(config, inbox_project.store, inbox_project.key)
    bought = json.loads('[{"name": "purchase", "properties": {"order": "7", "total": 3}}]')
    report = later.drain(
        ann.post("/v1/events", events=bought), Browser(2, later.key).subscribe()
    )
    assert dict(report.applied) == {"events": 1, "subscribed": 1}
    assert not report.quarantined


def test_a_name_without_its_origin_is_told_with_the_remedy_and_mended_by_it(
    field: Field,
) -> None:
    field.people(2)
    waiting = field.freeze(soon(), name="x")
    lost = rename(field, *RENAMED, ("https://shop.example", "https://other.example"))
    assert former_names.find(lost.store, lost.config) == {}
    deliver.run(lost.store, lost.config, waiting, soon(), AT_ONCE)
    ((state, reason, count),) = field.store.deliveries.count_reasons(waiting.id)
    assert (state, count) == ("rejected", 2)
    assert reason.startswith("the site 'shop' is not in pushctl.toml. Name it so again")
    again = rename(lost, ("[sites.store", "[sites.shop"), ("other.example", "shop.example"),
                   ('sites = ["store"]', 'sites = ["shop"]'))  # fmt: skip
    made = retry.plan(again.store, again.config, "x", soon())
    campaign = retry.start(again.store, again.config, made, soon())
    report = deliver.run(again.store, again.config, campaign, soon(), AT_ONCE)
    assert again.counts(report.campaign) == {"accepted": 2}
