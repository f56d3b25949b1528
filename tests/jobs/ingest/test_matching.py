"""Whose something of a shop is: the basket's key, a signed alias, a hash of the e-mail."""

import json
from typing import Any

import pytest

from pushctl.jobs.ingest import drain, matching
from pushctl.jobs.ingest.matching import Match
from pushctl.jobs.subscribers import forget, personal_data
from pushctl.rules import tokens
from pushctl.rules.limits import MAX_CART_KEYS
from pushctl.rules.shops.told import Clues
from tests.support import DAY, NOON
from tests.support.posting import SECRET, Browser, Project, sign_alias

KEY, OTHER = "k" * 22, "o" * 22
HASH = tokens.hash_email(b"secret", "ann@shop.example")


def find(project: Project, site: str = "shop", **clues: Any) -> Match:
    ctx = drain.open_context(project.store, project.config, SECRET)
    return matching.find_people(ctx, site, Clues(**clues))


def row(project: Project, browser: Browser) -> int:
    found = project.get(browser)
    assert found is not None
    return found.id


@pytest.fixture
def phone(inbox_project: Project, ann: Browser) -> Browser:
    """Another device of hers, seen later than *ann*, under one alias."""
    browser = Browser(2, inbox_project.key)
    inbox_project.drain(browser.subscribe(at=NOON))
    for number, one in enumerate((ann, browser)):
        inbox_project.drain(
            one.post(
                "/v1/identify", at=NOON + number, alias="ann-7", signature=sign_alias("ann-7")
            )
        )
    return browser


def test_the_key_of_a_basket_names_the_browser_that_has_it(
    inbox_project: Project, ann: Browser, phone: Browser
) -> None:
    assert find(inbox_project, cart_key=KEY).why_not == "its cart key is unknown"
    event = {"name": "cart_updated", "properties": {"total": 5}}
    inbox_project.drain(ann.post("/v1/events", cart=KEY, events=[event]))
    assert find(inbox_project, cart_key=KEY) == Match(
        row(inbox_project, ann), (row(inbox_project, ann), row(inbox_project, phone)),
        "cart key", None,
    )  # fmt: skip
    assert find(inbox_project, "blog", cart_key=KEY).owner is None


@pytest.mark.parametrize("how", ["/v1/subscribe", "/v1/identify", "/v1/events"])
def test_a_browser_brings_the_key_with_what_it_sends(inbox_project: Project, how: str) -> None:
    bob = Browser(3, inbox_project.key)
    inbox_project.drain(bob.subscribe(**({"cart": KEY} if how == "/v1/subscribe" else {})))
    if how != "/v1/subscribe":
        more = {"events": []} if how == "/v1/events" else {}
        report = inbox_project.drain(bob.post(how, cart=KEY, **more))
        assert not report.quarantined and not report.refused
    assert find(inbox_project, cart_key=KEY).owner == row(inbox_project, bob)
    if how == "/v1/subscribe":
        return
    forged = inbox_project.drain(
        Browser(3, inbox_project.key, keys=4).post(how, at=NOON + 1, cart=OTHER, **more)
    )
    assert forged.refused and find(inbox_project, cart_key=OTHER).owner is None


def test_a_key_of_another_form_puts_the_line_aside(
    inbox_project: Project, ann: Browser
) -> None:
    report = inbox_project.drain(ann.post("/v1/identify", cart="x" * 23))
    assert list(report.quarantined) == ["cart is no key of 22 characters of base64url"]


def test_the_latest_active_one_has_the_key(inbox_project: Project, ann: Browser) -> None:
    bob = Browser(3, inbox_project.key)
    inbox_project.drain(bob.subscribe(at=NOON - DAY))
    inbox_project.drain(ann.post("/v1/identify", at=NOON + 1, cart=KEY))
    inbox_project.drain(bob.post("/v1/identify", at=NOON, cart=KEY))
    first = find(inbox_project, cart_key=KEY)
    assert (first.owner, first.subscriptions) == (
        row(inbox_project, ann),
        (row(inbox_project, ann),),
    )
    inbox_project.drain(ann.post("/v1/unsubscribe"))
    assert find(inbox_project, cart_key=KEY).owner == row(inbox_project, bob)
    inbox_project.drain(bob.post("/v1/unsubscribe"))
    # An order is hers all the same; nothing is sent to her.
    assert find(inbox_project, cart_key=KEY)[:2] == (row(inbox_project, ann), ())


def test_nobody_takes_the_id_that_a_link_of_ours_has_for_a_key(
    inbox_project: Project, ann: Browser
) -> None:
    """A restore link may be passed on; what it brings back stays hers."""
    found = inbox_project.get(ann)
    assert found is not None
    friend = Browser(2, inbox_project.key)
    inbox_project.drain(friend.subscribe(cart=found.public_id))
    inbox_project.drain(friend.post("/v1/identify", at=NOON + 1, cart=found.public_id))
    assert find(inbox_project, cart_key=found.public_id).owner == found.id


def test_a_browser_keeps_its_newest_keys(inbox_project: Project, ann: Browser) -> None:
    keys = [f"{number:022}" for number in range(MAX_CART_KEYS + 3)]
    for number, key in enumerate(keys):
        inbox_project.drain(ann.post("/v1/identify", at=NOON + number, cart=key))
    known = [key for key in keys if find(inbox_project, cart_key=key).owner]
    assert known == keys[3:]


def test_only_an_alias_that_the_shop_signed_counts(
    inbox_project: Project, ann: Browser, phone: Browser
) -> None:
    eve = Browser(5, inbox_project.key)
    inbox_project.drain(eve.subscribe(), eve.post("/v1/identify", alias="ann-7"))
    inbox_project.drain(eve.post("/v1/identify", at=NOON + 1, alias="bob-8"))
    both = {row(inbox_project, ann), row(inbox_project, phone)}
    found = find(inbox_project, alias="ann-7")
    assert (found.owner, found.how) == (row(inbox_project, phone), "alias")
    assert set(found.subscriptions) == both
    assert "only claimed" in str(find(inbox_project, alias="bob-8").why_not)
    assert find(inbox_project, alias="carl").why_not == "nobody has its alias"


def test_what_the_shop_says_goes_before_what_the_browser_is_known_by(
    inbox_project: Project, ann: Browser, phone: Browser
) -> None:
    """Bob buys at Ann's browser: the order is that browser's, Ann's phone is not told."""
    bob = Browser(6, inbox_project.key)
    inbox_project.drain(bob.subscribe())
    inbox_project.drain(bob.post("/v1/identify", alias="bob-8", signature=sign_alias("bob-8")))
    inbox_project.drain(ann.post("/v1/identify", at=NOON + 5, cart=KEY))
    found = find(inbox_project, cart_key=KEY, alias="bob-8")
    assert found.owner == row(inbox_project, ann)
    assert set(found.subscriptions) == {row(inbox_project, ann), row(inbox_project, bob)}


def test_a_hash_of_the_email_names_who_gave_it(inbox_project: Project, ann: Browser) -> None:
    inbox_project.drain(ann.post("/v1/identify", email_hash=HASH))
    found = find(inbox_project, cart_key=OTHER, email_hash=HASH)
    assert (found.owner, found.how) == (row(inbox_project, ann), "e-mail hash")
    other = find(inbox_project, email_hash="00" * 32, alias="x")
    assert other.why_not == "nobody has its alias, nobody has its e-mail hash"
    assert find(inbox_project).why_not == matching.NO_CLUE
    report = inbox_project.drain(ann.post("/v1/identify", at=NOON + 1, email_hash="jo@shop"))
    (why,) = report.quarantined
    assert "no hash of 64 digits" in why and "jo@" not in why


def test_who_logs_in_as_somebody_else_takes_the_hash_along(
    inbox_project: Project, ann: Browser
) -> None:
    signed = {"alias": "ann-7", "signature": sign_alias("ann-7")}
    inbox_project.drain(ann.post("/v1/identify", email_hash=HASH, **signed))
    inbox_project.drain(ann.post("/v1/identify", at=NOON + 1000, **signed))
    assert find(inbox_project, email_hash=HASH).owner
    bob = {"alias": "bob-8", "signature": sign_alias("bob-8")}
    inbox_project.drain(ann.post("/v1/identify", at=NOON + 2000, **bob))
    assert find(inbox_project, email_hash=HASH).owner is None
    inbox_project.drain(ann.post("/v1/identify", at=NOON + 3000, email_hash=HASH))
    inbox_project.drain(ann.post("/v1/identify", at=NOON + 4000, email_hash=None))
    assert find(inbox_project, email_hash=HASH).owner is None
    report = inbox_project.drain(ann.post("/v1/identify", at=NOON + 5000))
    assert "neither alias nor email_hash nor cart" in next(iter(report.quarantined))


def test_privacy_keeps_no_key(inbox_project: Project, ann: Browser) -> None:
    body = {"endpoint": ann.endpoint, "cart": KEY, "events": []}
    inbox_project.drain(ann.record("/v1/events", body, hints={"gpc": "1"}))
    assert find(inbox_project, cart_key=KEY).owner is None


def test_a_person_is_told_of_keys_and_hash_and_loses_them_with_the_rest(
    inbox_project: Project, ann: Browser
) -> None:
    inbox_project.drain(ann.post("/v1/identify", cart=KEY, email_hash=HASH))
    store, one = inbox_project.store, inbox_project.get(ann)
    assert one is not None
    (said,) = json.loads(personal_data.render(store, [one], NOON, keys=False))["browsers"]
    assert (said["email_hash"], said["cart_keys"][0]["key"]) == (HASH, KEY)
    forget.forget(store, inbox_project.config, SECRET, one.public_id, NOON + DAY, dry_run=False)
    assert find(inbox_project, cart_key=KEY, email_hash=HASH).owner is None
    kept = b"".join(path.read_bytes() for path in store.path.parent.glob("*.db*"))
    assert KEY.encode() not in kept and bytes.fromhex(HASH) not in kept
