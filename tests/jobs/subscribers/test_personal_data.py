"""jobs.dossier: a person gets everything that the database holds of them, and no more."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pushctl.errors import NotFoundError, UsageError
from pushctl.jobs.subscribers import personal_data
from pushctl.rules import wording
from pushctl.store import Store, dossiers
from pushctl.store.enrolments import Decision
from tests import support
from tests.support import DAY, NOON
from tests.support.posting import Browser, Project, make_project, sign_alias

ANN, BOB = 1, 2
PAGE = "https://shop.example/lamps"


@pytest.fixture
def project(tmp_path: Path, store: Store) -> Project:
    """Ann with something in every table that names people, Bob with the same."""
    made = make_project(tmp_path, store)
    for number, name in ((ANN, "ann"), (BOB, "bob")):
        browser = Browser(number, made.key)
        consent = {"text": f"v3 of {name}", "at": NOON - DAY, "page": PAGE}
        bought = {"name": "purchase", "properties": {"total": 19.9, "note": f"for {name}"}}
        made.drain(
            browser.subscribe(attributes={"birthday": "1990-04-28"}, consent=consent),
            browser.post("/v1/identify", alias=name, signature=sign_alias(name)),
            browser.post("/v1/tags", add=[{"name": f"Friend of {name}", "seconds": 86_400}]),
            browser.post("/v1/events", events=[bought]),
        )
        found = made.get(browser)
        assert found is not None
        live(made, browser, found.id)
    return made


def live(project: Project, browser: Browser, person: int) -> None:
    """Give somebody a message with a reaction, an enrolment, a decision and an interest."""
    store = project.store
    campaign = store.campaigns.create(
        name=f"spring {person}", template="sale", audience="everyone", sources={}, options={},
        now=NOON, expires_at=None,
    )  # fmt: skip
    store.deliveries.plan(campaign.id, [person], now=NOON, expires_after=None)
    store.products.add_interest(["lamp"], [person], NOON)
    store.enrolments.add_decisions(
        [Decision("trial", person, None, "refused", None, NOON, None, "not in the audience")]
    )
    with store.write() as connection:
        connection.execute("UPDATE deliveries SET status = 'accepted', location = 'https://l'")
        connection.execute(
            """INSERT INTO enrolments (trigger, subscription_id, occurrence, state, entered_at,
                                       context, changed_at, reason)
               VALUES ('welcome', ?, 'event:1', 'finished', ?, '{"value": 7}', ?, 'done')""",
            (person, NOON, NOON),
        )
    project.drain(browser.report(campaign.id, "shown", id="1"))


def told(project: Project, *, keys: bool = False, **who: Any) -> dict[str, Any]:
    person = personal_data.find_people(
        project.store, who.get("alias"), who.get("ids", ()), NOON
    )
    found: dict[str, Any] = json.loads(
        personal_data.render(project.store, person, NOON + DAY, keys=keys)
    )
    return found


def test_a_person_gets_what_stands_in_every_table(project: Project) -> None:
    (browser,) = told(project, alias="ann")["browsers"]

    assert browser["alias"] == "ann"
    assert browser["alias_signed"] is True
    assert browser["attributes"] == {"birthday": "1990-04-28", "device": "desktop"}
    assert browser["consents"] == [
        {
            "text": "v3 of ann",
            "at": wording.iso(NOON - DAY),
            "page": PAGE,
            "received_at": browser["consents"][0]["received_at"],
        }
    ]
    assert [tag["name"] for tag in browser["tags"]] == ["Friend of ann"]
    assert [event["name"] for event in browser["events"]] == ["subscribed", "purchase"]
    assert browser["events"][1]["properties"] == {"total": 19.9, "note": "for ann"}
    assert browser["interests"] == [{"product": "lamp", "at": wording.iso(NOON)}]
    (message,) = browser["messages"]
    assert (message["campaign"], message["status"]) == ("spring 1", "accepted")
    (reaction,) = browser["reactions"]
    assert (reaction["message"], reaction["kind"]) == (message["id"], "shown")
    (enrolment,) = browser["walks"]
    assert (enrolment["trigger"], enrolment["context"]) == ("welcome", {"value": 7})
    (decision,) = browser["decisions"]
    assert decision["reason"] == "not in the audience"


def test_no_table_that_names_people_is_missing(project: Project) -> None:
    tables = project.store.connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table'"
    )
    named = {
        name for name, sql in tables if re.search(r"REFERENCES (subscriptions|deliveries)", sql)
    }
    looked_at = " ".join(dossiers._SECTIONS.values())
    assert named
    assert {name for name in named if not re.search(rf"\b{name}\b", looked_at)} == set()


def test_the_history_tells_what_became_of_a_subscription(project: Project) -> None:
    project.drain(Browser(ANN, project.key).post("/v1/unsubscribe"))

    (browser,) = told(project, alias="ann")["browsers"]

    assert browser["state"] == "unsubscribed"
    assert [one["kind"] for one in browser["history"]] == ["unsubscribed"]


def test_nothing_of_anybody_else_is_in_it(project: Project) -> None:
    assert "bob" not in json.dumps(told(project, alias="ann"))


def test_several_browsers_of_a_person_stand_one_after_the_other(project: Project) -> None:
    second = Browser(3, project.key)
    project.drain(
        second.subscribe(),
        second.post("/v1/identify", alias="ann", signature=sign_alias("ann")),
    )

    assert len(told(project, alias="ann")["browsers"]) == 2


def test_without_keys_nobody_can_be_written_to_with_it(project: Project) -> None:
    text = json.dumps(told(project, alias="ann"))

    assert support.endpoint(ANN) not in text
    assert "https://l" not in text
    (browser,) = told(project, alias="ann", keys=True)["browsers"]
    assert browser["endpoint"] == support.endpoint(ANN)
    assert set(browser["keys"]) == {"p256dh", "auth"}


def test_a_person_is_found_by_the_id_of_a_browser_too(project: Project) -> None:
    (browser,) = told(project, alias="ann")["browsers"]

    again = told(project, ids=[browser["id"]])

    assert again["browsers"] == [browser]
    assert len(told(project, alias="ann", ids=[browser["id"]])["browsers"]) == 1


def test_who_only_says_to_be_somebody_is_left_out(project: Project) -> None:
    before = personal_data.find_people(project.store, "ann", (), NOON)
    stranger = Browser(4, project.key)
    project.drain(stranger.subscribe(), stranger.post("/v1/identify", alias="ann"))
    assert personal_data.find_people(project.store, "ann", (), NOON) == before
    assert len(project.store.subscriptions.list_claims("ann")) == 1


@pytest.mark.parametrize(
    ("alias", "ids", "error"),
    [("nobody", (), NotFoundError), (None, ("abc",), NotFoundError), (None, (), UsageError)],
)
def test_somebody_who_is_not_there_is_not_made_up(
    project: Project, alias: str | None, ids: tuple[str, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        personal_data.find_people(project.store, alias, ids, NOON)
