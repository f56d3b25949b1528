"""What messages speak of beside their receiver, whoever sends them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl import config as configs
from pushctl.demo.pushservice import PushService
from pushctl.model import CampaignStatus
from pushctl.push import vapid
from pushctl.store.events import Event
from tests.support import MINUTE, project, sending
from tests.support.program import pushctl
from tests.support.pushservice import decrypt
from tests.support.sending import Field
from tests.support.shop import BASKET, decide_all


@pytest.fixture
def service(tmp_path: Path) -> Iterator[PushService]:
    with PushService(tmp_path / "service") as running:
        yield running


@pytest.fixture
def field(tmp_path: Path, service: PushService) -> Iterator[Field]:
    folder = tmp_path / "project"
    made = sending.field(folder, service)
    for name in ("one", "two"):
        sending.template(folder, name, title=name, body="-")
    sending.lead_to(folder, service)
    project.add(folder, BASKET)
    yield made
    made.store.close()


def test_who_goes_on_with_a_reminder_by_hand_speaks_of_its_enrolment(
    field: Field, service: PushService
) -> None:
    sending.template(
        field.config.folder, "one", title="{{ cart.names|join }}", body="{{ event.total }}"
    )
    public = vapid.load(field.config.keys)[field.key].public
    (ann,) = field.subscribed(service, "fcm", public, count=1)
    items = [{"id": "lamp", "name": "Lamp", "price": 20}]
    at = sending.soon() - 4 * MINUTE
    told = {"items": items, "total": 20}
    field.store.events.add([Event(ann, "cart_updated", at, at, told, "1")])
    config = configs.load(field.config.file, {})
    decide_all(config, field.store, sending.soon())
    field.store.campaigns.change_status(
        field.store.campaigns.get("basket/1").id, CampaignStatus.PAUSED, sending.soon()
    )
    # The basket changes before somebody goes on: the enrolment's is what was left behind.
    later = {"items": [{"id": "rug", "name": "Rug"}]}
    now = sending.soon()
    field.store.events.add([Event(ann, "cart_updated", now, now, later, "2")])
    arrived = service.deliveries()

    run = pushctl("campaigns", "resume", "basket/1", cwd=field.config.folder)

    assert run.code == 0, run.err
    shown = json.loads(decrypt(arrived.get(timeout=10).body))["notification"]
    assert (shown["title"], shown["body"]) == ("Lamp", "20")


def test_a_broadcast_knows_a_basket_that_no_sweep_has_seen(
    field: Field, service: PushService
) -> None:
    sending.template(field.config.folder, "sale", title="{{ cart.names|join }}", body="-")
    public = vapid.load(field.config.keys)[field.key].public
    (ann,) = field.subscribed(service, "fcm", public, count=1)
    now = sending.soon()
    told = {"items": [{"id": "lamp", "name": "Lamp", "price": 20}]}
    field.store.events.add([Event(ann, "cart_updated", now, now, told, "1")])
    arrived = service.deliveries()

    words = ("send", "--everyone", "--template", "sale", "--yes")
    run = pushctl(*words, cwd=field.config.folder)

    assert run.code == 0, run.err
    shown = json.loads(decrypt(arrived.get(timeout=10).body))["notification"]
    assert shown["title"] == "Lamp"
