"""Promo codes: bound with the claim, one a person and campaign, back only if never sent."""

import re
from collections import Counter
from typing import Any

import orjson
import pytest

from pushctl.demo.pushservice import PushService
from pushctl.jobs.delivery import deliver
from pushctl.jobs.delivery.claims.ledger import Ledger
from pushctl.jobs.delivery.claims.promo_codes import describe_need
from pushctl.jobs.delivery.rendering.context import make_loader
from pushctl.jobs.delivery.rendering.render import Renderer
from pushctl.model import Campaign, CampaignStatus, Cause
from pushctl.rules.shops.promo_codes import hide, mask
from pushctl.store.ledger_rows import FinishedRow, ReleasedRow
from pushctl.store.promo_codes import Pool
from pushctl.templates import Template
from tests.support import NOON, sending
from tests.support.sending import Field, soon

AT_ONCE = deliver.Options(patience=0.0)


@pytest.fixture
def field(sender: Field) -> Field:
    sending.template(sender.config.folder, "code", title="{{ promo }}", body="For you")
    return sender


def make_pool(
    field: Field, count: int, name: str = "basket15", *, shared: str | None = None,
    expires_at: int | None = None,
) -> Pool:  # fmt: skip
    pool = field.store.promo_codes.create(name, 100, NOON)
    field.store.promo_codes.add(pool.id, (f"{name}-{number:04}" for number in range(count)))
    if shared:
        field.store.promo_codes.share(pool.id, shared)
    field.store.promo_codes.change(pool.id, expires_at=expires_at, remind_at=None, low=100)
    return field.store.promo_codes.get(name)


def freeze(field: Field, name: str = "one", **wish: Any) -> Campaign:
    return field.freeze(template="code", name=name, promo="basket15", **wish)


def codes_of(field: Field, campaign: Campaign) -> dict[int, str]:
    """Return the code of each subscription of a campaign."""
    sql = """
        SELECT d.subscription_id, k.code FROM promo_bindings AS b
          JOIN deliveries AS d ON d.id = b.delivery_id
          JOIN promo_codes AS k ON k.id = b.code_id WHERE d.campaign_id = ?
    """
    return dict(field.store.connection.execute(sql, (campaign.id,)).fetchall())


def states(field: Field, pool: Pool) -> dict[str, int]:
    found = field.store.promo_codes.count_states(pool.id)
    return {name: count for name, count in found.items() if count}


def claim(field: Field, campaign: Campaign, room: int = 100) -> tuple[Ledger, list[Any]]:
    ledger = Ledger(field.store, field.config, campaign)
    with ledger.transaction():
        rows = ledger.claim(room, NOON)
    return ledger, rows


def read_titles(field: Field, campaign: Campaign, rows: list[Any]) -> dict[int, str]:
    """Return the title of each subscription's message."""
    found = render(field, campaign, rows)
    return {row: message["title"] for row, message in found.items()}


def render(field: Field, campaign: Campaign, rows: list[Any]) -> dict[int, Any]:
    """Return each subscription's notification."""
    renderer = Renderer(
        campaign,
        Template.from_sources("code", campaign.sources),
        field.config,
        frozenset([field.key]),
        extras=make_loader(field.store, field.config, campaign),
    )
    rendered, without = renderer.render(rows, NOON)
    assert without == []
    return {
        one.subscription: orjson.loads(one.letter.payload)["notification"] for one in rendered
    }


def test_everybody_gets_a_code_of_their_own(field: Field, push_service: PushService) -> None:
    pool = make_pool(field, 10)
    people = field.people(7)
    campaign = freeze(field, now=soon())
    report = deliver.run(field.store, field.config, campaign, soon(), AT_ONCE)
    assert report.sent == Counter(accepted=7)
    codes = codes_of(field, campaign)
    assert codes.keys() == set(people)
    assert len(set(codes.values())) == 7
    assert states(field, pool) == {"free": 3, "bound": 7}


def test_the_code_is_what_its_person_reads(field: Field) -> None:
    make_pool(field, 5)
    field.people(3)
    campaign = freeze(field)
    _, rows = claim(field, campaign)
    assert read_titles(field, campaign, rows) == codes_of(field, campaign)


@pytest.mark.parametrize(
    ("title", "wanted"),
    [
        ("{{ promo }}{{ subscriber.id }}", "{code}{id}"),
        ("{{ promo|lower }}", "{lower}"),
        ("{% if promo == 'Basket15a' %}first{% else %}other{% endif %}", "{first}"),
        ("{{ promo }} or {{ promo|truncate(5) }}", "{code} or {short}"),
    ],
)
def test_a_text_that_is_rendered_once_for_many_reads_as_one_of_its_own(
    field: Field, title: str, wanted: str
) -> None:
    sending.template(field.config.folder, "code", title=title, body="x")
    pool = make_pool(field, 0)
    field.store.promo_codes.add(pool.id, ["Basket15a", "Basket15b"])
    people = field.people(2)
    campaign = freeze(field)
    _, rows = claim(field, campaign)
    names = {row.subscription: row.public_id for row in rows}
    for person, code, first in zip(people, ("Basket15a", "Basket15b"), ("first", "other"),
                                   strict=True):  # fmt: skip
        said = {"code": code, "id": names[person], "lower": code.lower(), "first": first}
        assert read_titles(field, campaign, rows)[person] == wanted.format(
            **said, short="Bask…"
        )


def test_the_devices_of_an_alias_share_a_code_whoever_comes_first(field: Field) -> None:
    pool = make_pool(field, 10)
    first, second, third, other = field.people(4)
    for one, alias in ((second, "ann"), (third, "ann"), (other, "bob")):
        field.store.subscriptions.set_alias(one, alias, trusted=True)
    campaign = freeze(field)
    claim(field, campaign, 2)
    assert states(field, pool) == {"free": 8, "bound": 2}
    # The first one logs in only now.
    field.store.subscriptions.set_alias(first, "bob", trusted=True)
    claim(field, campaign)
    codes = codes_of(field, campaign)
    assert codes[second] == codes[third]
    assert codes[first] == codes[other] != codes[second]
    assert states(field, pool) == {"free": 8, "bound": 2}


def test_a_retry_has_the_same_code_and_what_was_never_sent_gives_it_back(field: Field) -> None:
    pool = make_pool(field, 10)
    field.people(3)
    campaign = freeze(field)
    _, (unsent, failed, refused) = claim(field, campaign)
    before = codes_of(field, campaign)
    deliveries = field.store.deliveries
    deliveries.release([ReleasedRow(unsent.id)], NOON)
    again = FinishedRow(failed.id, "planned", "503", Cause.SERVICE_FAULT, 503, None, NOON)
    ended = FinishedRow(refused.id, "rejected", "no text", Cause.NO_MESSAGE, given_back=1)
    deliveries.finish([again, ended], NOON)
    assert states(field, pool) == {"free": 9, "bound": 1}
    deliveries.cancel(campaign.id, NOON)
    assert states(field, pool) == {"free": 9, "bound": 1}, "it was on the wire"
    field.store.connection.execute("UPDATE deliveries SET status = 'planned'")
    claim(field, campaign)
    assert codes_of(field, campaign)[failed.subscription] == before[failed.subscription]
    assert states(field, pool) == {"free": 7, "bound": 3}


@pytest.mark.parametrize("status", ["in_doubt", "rejected", "gone"])
def test_what_was_on_the_wire_keeps_its_code_for_good(field: Field, status: str) -> None:
    pool = make_pool(field, 10)
    field.people(1)
    campaign = freeze(field)
    _, (row,) = claim(field, campaign)
    code = codes_of(field, campaign)
    ended = FinishedRow(row.id, status, "said no", Cause.BAD_REQUEST, 400)
    field.store.deliveries.finish([ended], NOON)
    assert states(field, pool) == {"free": 9, "bound": 1}
    field.store.connection.execute("UPDATE deliveries SET status = 'planned'")
    _, (row,) = claim(field, campaign)
    field.store.deliveries.release([ReleasedRow(row.id)], NOON)
    assert codes_of(field, campaign) == code


def test_an_empty_pool_pauses_the_campaign_and_new_codes_let_it_go_on(
    field: Field, push_service: PushService
) -> None:
    pool = make_pool(field, 2)
    field.people(5)
    now = soon()
    campaign = freeze(field, now=now)
    report = deliver.run(field.store, field.config, campaign, now, AT_ONCE)
    assert report.campaign.status is CampaignStatus.PAUSED
    assert (report.campaign.cause, report.sent) == (Cause.NO_CODES, Counter(accepted=2))
    assert report.notes == [
        "Paused: no promo code of basket15 is left; add some (pushctl promo import basket15 "
        "FILE), then resume."
    ]
    field.store.promo_codes.add(pool.id, ["new-1", "new-2", "new-3"])
    report = deliver.run(field.store, field.config, campaign, now, AT_ONCE)
    assert report.campaign.status is CampaignStatus.FINISHED
    assert field.counts(campaign) == {"accepted": 5}
    assert len(set(codes_of(field, campaign).values())) == 5


def test_the_fallback_goes_to_those_for_whom_no_code_is_left(field: Field) -> None:
    pool = make_pool(field, 2, shared="BASKET10")
    field.people(5)
    campaign = freeze(field)
    claim(field, campaign)
    assert Counter(codes_of(field, campaign).values())["BASKET10"] == 3
    assert states(field, pool) == {"bound": 2, "shared": 1}
    field.store.promo_codes.add(pool.id, ["late"])
    field.store.connection.execute("UPDATE deliveries SET status = 'planned'")
    before = codes_of(field, campaign)
    claim(field, campaign)
    assert codes_of(field, campaign) == before, "nobody's code changes between tries"


def test_a_lapsed_pool_gives_its_fallback_only(field: Field) -> None:
    pool = make_pool(field, 2, shared="BASKET10", expires_at=NOON)
    field.people(1)
    campaign = freeze(field)
    claim(field, campaign)
    assert set(codes_of(field, campaign).values()) == {"BASKET10"}
    assert states(field, pool) == {"free": 2, "shared": 1}


def test_a_pool_of_one_lapses_with_its_code(field: Field) -> None:
    make_pool(field, 0, shared="SALE10", expires_at=NOON + 1)
    field.people(1)
    claim(field, campaign := freeze(field))
    assert set(codes_of(field, campaign).values()) == {"SALE10"}
    field.store.promo_codes.change(1, expires_at=NOON, remind_at=None, low=1)
    _, rows = claim(field, freeze(field, "two"))
    assert rows == []
    assert field.store.campaigns.get("two").status is CampaignStatus.PAUSED


def test_planning_and_rehearsing_take_no_codes_and_say_how_many_are_needed(
    field: Field,
) -> None:
    pool = make_pool(field, 340)
    people = field.people(812)
    options = freeze(field).options
    assert states(field, pool) == {"free": 340}
    need = describe_need(field.store, options, people, NOON)
    assert need == (
        "promo codes: 340 of basket15 for 812 people: it stops then, and 472 wait for more"
    )
    field.store.promo_codes.share(pool.id, "BASKET10")
    need = describe_need(field.store, options, people, NOON)
    assert need == ("promo codes: 340 of basket15 for 812 people: 472 get the fallback BAS...")
    assert describe_need(field.store, {}, people, NOON) is None


def test_a_campaign_without_a_pool_writes_nothing_of_codes(field: Field) -> None:
    field.people(3)
    claim(field, field.freeze())
    assert field.store.connection.execute("SELECT count(*) FROM promo_bindings").fetchone() == (
        0,
    )


def test_who_was_erased_leaves_a_spent_code_and_no_name(field: Field) -> None:
    pool = make_pool(field, 3)
    (person,) = field.people(1)
    claim(field, freeze(field))
    field.store.erasure.erase([person], NOON)
    assert states(field, pool) == {"free": 2, "bound": 1}
    sql = "SELECT subscription_id FROM promo_bindings"
    assert field.store.connection.execute(sql).fetchall() == [(None,)]


def test_a_restored_database_sets_aside_what_may_have_been_given_out(field: Field) -> None:
    pool = make_pool(field, 5000)
    assert field.store.promo_codes.set_aside(2000) == 2000
    assert field.store.promo_codes.set_aside(0) == 0
    field.people(1)
    claim(field, campaign := freeze(field))
    assert re.search("2000$", next(iter(codes_of(field, campaign).values())))
    assert field.store.promo_codes.set_aside(None) == 2999
    assert states(field, pool) == {"bound": 1, "set_aside": 4999}


def test_three_characters_of_a_code_are_shown() -> None:
    assert (mask("BASKET15"), mask("ABCD"), mask("A")) == ("BAS...", "AB...", "...")


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("'https://shop.example/SAVE15ABC' is no link", "SAVE15ABC", "/SAV...' is no"),
        ("lower case save15abc", "SAVE15ABC", "case SAV..."),
        ("in a URL a%2Bb%C3%A4xyz", "a+bäxyz", "URL a+b..."),
        ("cut off at 'https://shop.example/SAVE15", "SAVE15ABC", "example/SAV..."),
        ("cut by a filter: 'SAVE15…'", "SAVE15ABC", "filter: 'SAV...…'"),
        ("templates/save/en.toml", "SAVE15ABC", "templates/save/en.toml"),
        ("SAVESAVE15ABCSAVE15ABC", "SAVE15ABC", "SAVESAV...SAV..."),
    ],
)
def test_an_error_hides_what_a_text_made_of_a_code(text: str, code: str, said: str) -> None:
    assert said in hide(text, code)


def test_thanks_for_buyers_have_the_persons_own_code(field: Field) -> None:
    thanks = field.config.templates / "code" / "en.bought.toml"
    thanks.write_text('title = "Thanks"\nbody = "Next time: {{ promo }}"\n', "utf-8")
    pool = make_pool(field, 0)
    field.store.promo_codes.add(pool.id, ["Basket15a", "Basket15b"])
    field.people(2)
    campaign = freeze(field)
    _, rows = claim(field, campaign)
    for row, message in render(field, campaign, rows).items():
        said = message["data"]["bought"]["body"]
        assert said == f"Next time: {codes_of(field, campaign)[row]}"


def test_a_message_that_fits_with_its_code_goes_out(field: Field) -> None:
    pool = make_pool(field, 0)
    field.store.promo_codes.add(pool.id, ["AB2", "AB3"])
    body = "x" * 3_770  # a longer code would not fit
    sending.template(field.config.folder, "code", title="{{ promo }}", body=body)
    field.people(2)
    campaign = freeze(field)
    _, rows = claim(field, campaign)
    titles = read_titles(field, campaign, rows)
    assert sorted(titles.values()) == ["AB2", "AB3"]
    assert all(one["body"] == body for one in render(field, campaign, rows).values())
