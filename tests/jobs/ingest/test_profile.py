"""What is learnt of visitors and what they choose, from the inbox's line to the database."""

import json
from pathlib import Path
from typing import Any

import pytest

from pushctl.jobs.figures.tables import funnels
from pushctl.jobs.ingest.preferences import FEWER, PAUSED
from pushctl.model import InboxRecord
from pushctl.receiver import geo
from pushctl.receiver.rates import RateLimits
from pushctl.receiver.visitor import Visitor
from pushctl.rules import tokens
from pushctl.rules.units import DAY
from pushctl.rules.web import agents
from tests.support import NOON, endpoint
from tests.support import receiving as r
from tests.support.mmdb import write_mmdb
from tests.support.posting import Browser, Project
from tests.support.rows import by_endpoint_hash, consents

CHROME = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Mobile Safari/537.36"
)


def attributes(inbox_project: Project, browser: Browser) -> dict[str, Any]:
    found = inbox_project.get(browser)
    assert found is not None
    return dict(found.attributes)


# --- browser, device, place ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("agent", "hints", "known"),
    [
        (CHROME, {}, ("Chrome", "Android", "phone")),
        (CHROME.replace(" Mobile", ""), {}, ("Chrome", "Android", "tablet")),
        (
            CHROME,
            {"sec-ch-ua": '"Chromium";v="142", "Brave";v="142", "Not_A Brand";v="99"'},
            ("Brave", "Android", "phone"),
        ),
        (
            CHROME.replace("Linux; Android 10; K", "Windows NT 10.0").replace(" Mobile", ""),
            {
                "sec-ch-ua": '"Microsoft Edge";v="142", "Chromium";v="142"',
                "sec-ch-ua-mobile": "?0",
                "sec-ch-ua-platform": '"Windows"',
            },
            ("Edge", "Windows", "desktop"),
        ),
        ("Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X)", {}, (None, "iOS", "tablet")),
        (None, {"sec-ch-ua-mobile": "?1"}, (None, None, "phone")),
        (None, {}, (None, None, None)),
        ("\x00<script>", {"sec-ch-ua": '"' * 500}, (None, None, "desktop")),
    ],
)
def test_browser_system_and_device_are_recognised(
    agent: str | None, hints: dict[str, str], known: tuple[str | None, ...]
) -> None:
    browser, system = agents.recognise(agent, hints)
    if known[0] is not None:
        assert browser == known[0]
    assert (system, agents.device(agent, hints)) == known[1:]


def test_country_and_city_come_from_a_file_on_this_machine(tmp_path: Path) -> None:
    file = tmp_path / "places.mmdb"
    write_mmdb(
        file,
        {"country": {"iso_code": "TR"}, "city": {"names": {"en": "Izmir", "tr": "İzmir"}}},
    )
    look = geo.open_lookup(file)
    assert look("1.2.3.4") == {"country": "TR", "city": "Izmir"}
    assert look("no address") == {}
    about = Visitor(None, look).describe("/v1/subscribe", {}, "1.2.3.4")
    assert about["hints"] == {"country": "TR", "city": "Izmir"}


@pytest.mark.parametrize(
    ("entry", "known"),
    [
        ({"country_code": "DE", "city": "Berlin"}, {"country": "DE", "city": "Berlin"}),
        ({"country": "NL"}, {"country": "NL"}),
        ({"country": {}, "city": {"names": {"fr": "Genève"}}}, {}),
        (None, {}),
        ([1], {}),
    ],
)
def test_every_form_of_place_files_is_read(entry: Any, known: dict[str, str]) -> None:
    assert geo.read_place(entry) == known


def test_the_address_is_written_down_only_when_asked_for() -> None:
    assert "address" not in Visitor().describe("/v1/subscribe", {}, "1.2.3.4")["hints"]
    asked = Visitor(keep_address=True)
    assert asked.describe("/v1/subscribe", {}, "1.2.3.4")["hints"] == {"address": "1.2.3.4"}
    assert asked.describe("/v1/prompts", {}, "1.2.3.4")["hints"] == {}
    assert asked.describe("/v1/events", {}, "1.2.3.4") == {}
    private = asked.describe("/v1/subscribe", {b"sec-gpc": b"1"}, "1.2.3.4")
    assert private["hints"] == {"gpc": "1"}


def test_a_proxys_client_is_looked_up_and_not_the_proxy(tmp_path: Path) -> None:
    gate = RateLimits(0, 0, ["127.0.0.0/8"])
    heads = [(b"x-forwarded-for", b"9.9.9.9, 1.2.3.4")]
    assert gate.check("127.0.0.1", heads, None) == "1.2.3.4"


def test_the_landing_page_and_its_campaign_are_kept_from_the_first_visit(
    inbox_project: Project,
) -> None:
    ann = Browser(1, inbox_project.key)
    page = "https://shop.example/lamps?utm_source=news&utm_campaign=Spring%20sale&gclid=secret"
    inbox_project.drain(ann.subscribe(page=page))
    known = {
        "device": "desktop",
        "landing_page": "/lamps",
        "utm_source": "news",
        "utm_campaign": "Spring sale",
    }
    assert attributes(inbox_project, ann) == known
    later = "https://shop.example/later?utm_source=other"
    inbox_project.drain(ann.subscribe(page=later, at=NOON + 1000))
    assert attributes(inbox_project, ann) == known
    found = inbox_project.get(ann)
    assert found is not None
    assert found.source == "news"


@pytest.mark.parametrize("page", ["", "http://[", "//", "?" + "a=1&" * 500, "\udcff", 7, None])
def test_a_strange_page_keeps_nobody_out(inbox_project: Project, page: Any) -> None:
    ann = Browser(1, inbox_project.key)
    body = ann.subscribe().body
    text = json.dumps(json.loads(body) | {"page": page}).replace("\\udcff", "?")
    report = inbox_project.drain(ann.record("/v1/subscribe", text))
    assert report.applied == {"subscribed": 1}


# --- privacy ------------------------------------------------------------------------------


def private(record: InboxRecord) -> InboxRecord:
    return InboxRecord(
        record.id, record.at, record.path, record.site, record.body, record.signature,
        record.user_agent, {**record.hints, "gpc": "1", "city": "Izmir", "country": "TR"},
    )  # fmt: skip


def test_who_asks_for_privacy_is_a_subscriber_and_nothing_more(inbox_project: Project) -> None:
    ann = Browser(1, inbox_project.key)
    event = {"id": "a", "name": "cart_updated", "at": NOON, "properties": {}}
    inbox_project.drain(
        private(
            ann.subscribe(
                page="https://shop.example/lamps?utm_source=news",
                referrer="https://news.example/",
                source="banner",
                attributes={"plan": "gold"},
                events=[event],
                tags=["Newsletter"],
                consent={"text": "2026-11", "at": NOON},
                language="tr",
            )
        ),
        private(ann.post("/v1/events", events=[event | {"id": "b"}])),
    )
    found = inbox_project.get(ann)
    assert found is not None
    assert (found.language, found.country, found.city, found.source) == ("tr", "TR", None, None)
    assert found.attributes == {"device": "desktop"}
    assert found.tags == ("Newsletter",)
    names = inbox_project.store.connection.execute("SELECT name FROM events").fetchall()
    assert names == [("subscribed",)]
    assert len(consents(inbox_project.store, found.id)) == 1


def test_events_of_who_asks_for_privacy_never_reach_the_disk(tmp_path: Path) -> None:
    with r.running(tmp_path) as port:
        assert r.post(port, "/v1/events", r.events(1), number=1, Sec_GPC="1").status == 204
        assert r.records(tmp_path) == []
        assert r.post(port, "/v1/events", b"{}", number=1, Sec_GPC="1").status == 400


def test_a_subscription_of_who_asks_for_privacy_tells_the_disk_nothing_else(
    tmp_path: Path,
) -> None:
    kept = r.subscription(
        1, language="tr", timezone="Europe/Istanbul", tags=["News"],
        consent={"text": "2026-11", "at": NOON, "page": "https://shop.example/"},
    )  # fmt: skip
    ways = {
        "page": "https://shop.example/clinic?utm_source=x",
        "referrer": "https://news.example/",
        "source": "banner",
        "attributes": {"plan": "gold"},
        "events": [{"id": "a", "name": "looked_at_medicine", "at": NOON}],
    }
    moved = {"previous": endpoint(2), "previous_signature": f"1.{'A' * 43}"}
    with r.running(tmp_path, trusted_proxies=["127.0.0.0/8"]) as port:

        def written(body: dict[str, object], number: int | None, gpc: str = "1") -> object:
            sent = r.post(port, "/v1/subscribe", body, number=number, Sec_GPC=gpc)
            assert sent.status == 204
            return json.loads(r.records(tmp_path)[-1].body)

        assert written(kept | ways, None) == kept
        assert written(kept | ways | moved, 1) == kept | moved
        assert written(kept | ways, None, gpc="0") == kept | ways
        # Signed as a whole: changed, it would no longer prove whose it is.
        whole = kept | ways | {"previous": endpoint(2)}
        assert written(whole, 2) == whole
        assert r.post(port, "/v1/subscribe", kept | {"events": 5}, Sec_GPC="1").status == 400


# --- consent, preferences, erase me -------------------------------------------------------


def test_consent_is_kept_with_its_text_time_and_page_and_never_overwritten(
    inbox_project: Project,
) -> None:
    ann = Browser(1, inbox_project.key)
    first = {"text": "2026-10", "at": NOON - 9000, "page": "https://shop.example/a"}
    inbox_project.drain(
        ann.subscribe(consent=first),
        ann.subscribe(at=NOON + 1, consent=first),
        ann.subscribe(at=NOON + 2000, consent={"text": "2026-11", "at": NOON + 2000}),
    )
    found = inbox_project.get(ann)
    assert found is not None
    assert consents(inbox_project.store, found.id) == [
        first,
        {"text": "2026-11", "at": NOON + 2000, "page": None},
    ]


def wishes(inbox_project: Project, browser: Browser, now: int) -> set[str]:
    hashed = tokens.endpoint_hash(browser.endpoint)
    found = by_endpoint_hash(inbox_project.store, hashed, now)
    assert found is not None
    return set(found.tags)


def test_a_pause_lasts_as_long_as_asked_for(inbox_project: Project) -> None:
    ann = Browser(1, inbox_project.key)
    inbox_project.drain(ann.subscribe(), ann.post("/v1/preferences", pause=7 * 86_400))
    assert wishes(inbox_project, ann, NOON + 6 * DAY) == {PAUSED}
    assert wishes(inbox_project, ann, NOON + 8 * DAY) == set()


def test_preferences_can_be_taken_back_one_by_one(inbox_project: Project) -> None:
    ann = Browser(1, inbox_project.key)
    inbox_project.drain(ann.subscribe(), ann.post("/v1/preferences", pause=60, fewer=True))
    assert wishes(inbox_project, ann, NOON) == {PAUSED, FEWER}
    inbox_project.drain(ann.post("/v1/preferences", at=NOON + 1000, pause=0))
    assert wishes(inbox_project, ann, NOON) == {FEWER}
    inbox_project.drain(ann.post("/v1/preferences", at=NOON + 2000, fewer=False))
    assert wishes(inbox_project, ann, NOON) == set()


def test_erase_me_leaves_nothing_but_a_tombstone(inbox_project: Project) -> None:
    ann, bob = Browser(9_876_543, inbox_project.key), Browser(2, inbox_project.key)
    inbox_project.drain(ann.subscribe(consent={"text": "a", "at": NOON}), bob.subscribe())
    report = inbox_project.drain(ann.post("/v1/forget"))
    assert report.applied == {"forgotten": 1}
    assert inbox_project.get(ann) is None
    assert inbox_project.get(bob) is not None
    folder = inbox_project.config.folder
    files = [each for each in folder.rglob("*") if each.is_file()]
    assert not [each for each in files if ann.endpoint.encode() in each.read_bytes()]
    # What was written before comes too late; a new subscription is a new person.
    assert inbox_project.drain(ann.subscribe(at=NOON - 5)).applied == {}
    assert inbox_project.drain(ann.subscribe(at=NOON + 8000)).applied == {}
    chosen = ann.subscribe(at=NOON + 9000, chosen=True)
    assert inbox_project.drain(chosen).applied == {"subscribed": 1}


def test_a_tag_may_come_with_the_end_of_its_life(inbox_project: Project) -> None:
    ann = Browser(1, inbox_project.key)
    inbox_project.drain(
        ann.subscribe(tags=["for good"]),
        ann.post("/v1/tags", add=[{"name": "for an hour", "seconds": 3600}]),
    )
    found = inbox_project.get(ann)
    assert found is not None
    assert found.tags == ("for an hour", "for good")
    later = inbox_project.store.subscriptions.get(found.public_id, NOON + 3_600_001)
    assert later.tags == ("for good",)


# --- the invitation's figures -------------------------------------------------------------


def prompt(at: int = NOON, agent: str = CHROME, **body: Any) -> InboxRecord:
    given = {"variant": "card", "stage": "seen", "language": "en-GB", **body}
    return Browser(0, "").record("/v1/prompts", given, at, b"", user_agent=agent)


def test_the_invitation_is_counted_by_variant_language_and_browser(
    inbox_project: Project,
) -> None:
    inbox_project.drain(
        prompt(),
        prompt(language="ar_SA"),
        prompt(stage="accepted"),
        prompt(stage="allowed"),
        prompt(variant="bar", agent="a made-up browser"),
        prompt(variant="bar", stage="dismissed"),
        prompt(variant="bar", stage="failed"),
        prompt(at=NOON - 40 * DAY),
    )
    rows = funnels.load_prompts(inbox_project.store, NOON, "variant", last=30)
    figures = ("variant", "seen", "allowed", "failed", "rate")
    assert [tuple(row[name] for name in figures) for row in rows] == [
        ("card", 2, 1, 0, 0.5),
        ("bar", 1, 0, 1, 0.0),
    ]
    assert {
        row["language"]: row["seen"]
        for row in funnels.load_prompts(inbox_project.store, NOON, "language")
    } == {"en": 3, "ar": 1}
    browsers = funnels.load_prompts(inbox_project.store, NOON, "browser", site="shop")
    assert {row["browser"]: row["seen"] for row in browsers} == {"Chrome": 3, "other": 1}
    assert funnels.load_prompts(inbox_project.store, NOON, "browser", site="blog") == []


def test_strangers_cannot_fill_the_database_with_variants(
    inbox_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushctl.rules.limits.MAX_PROMPT_ROWS", 50)
    inbox_project.drain(*(prompt(variant=f"v{number}") for number in range(500)))
    rows = funnels.load_prompts(inbox_project.store, NOON, "variant")
    assert len(rows) == 51
    assert {**rows[0], "rate": None} == {
        "variant": "other", "seen": 450, "accepted": 0, "allowed": 0, "denied": 0,
        "dismissed": 0, "failed": 0, "rate": None,
    }  # fmt: skip


def test_the_receiver_takes_prompts_by_beacon(tmp_path: Path) -> None:
    body = {"variant": "card", "stage": "seen", "language": "ar_SA@odd"}
    with r.running(tmp_path) as port:
        sent = r.post(port, "/v1/prompts", body, Content_Type="text/plain", User_Agent=CHROME)
        assert sent.status == 204
        assert r.post(port, "/v1/prompts", body | {"stage": "won"}).status == 400
        assert r.post(port, "/v1/prompts", body | {"variant": "a" * 600}).status == 413
        record = r.records(tmp_path)[-1]
        assert (record.path, record.user_agent) == ("/v1/prompts", CHROME)
