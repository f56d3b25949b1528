"""Messages lead back to the basket: at the shop, or filled at 2Checkout's checkout."""

import hashlib
import hmac
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest

from pushctl import config as configs
from pushctl import source_secrets
from pushctl.config import Config
from pushctl.errors import TemplateError
from pushctl.jobs.delivery.rendering.render import Composer, collect_shared_values
from pushctl.jobs.delivery.types import UnrenderedRow
from pushctl.jobs.messages.preview import find_example
from pushctl.jobs.subscribers import carts
from pushctl.jobs.subscribers.restore_links import RestoreLinks, load_sellers
from pushctl.store.events import Event
from pushctl.templates import Template
from tests.support import NOON, project, sending
from tests.support.sending import Field

SOLD_THERE = """
[sources.checkout2]
kind = "2checkout"
site = "shop"

[sites.shop.twocheckout]
merchant = "2COLNC"
"""
CART_KEY = "Qk3xV0aZ9_-bcdEFGH1234"
LAMP = {"id": "LAMP", "name": "Lamp", "price": 49}
CUP = {"id": "CUP-2", "name": "Cup", "price": 12, "quantity": 2}
# The link, and what stands in its place where there is no basket.
URL = "url = \"{{ restore_url|default('/cart')|link }}\""


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    made = sending.field(tmp_path / "project")
    yield made
    made.store.close()


def sell(field: Field, *, word: str | None = "tango", more: str = "") -> Config:
    """Let the site's baskets be sold over 2Checkout."""
    folder = field.config.folder
    project.add(folder, SOLD_THERE + more)
    if word is not None:
        source_secrets.set_word(field.config.keys, "checkout2", "buy-link", word)
    return configs.load(folder / "pushctl.toml", {})


def fill(field: Field, person: int, *items: dict[str, Any], **more: Any) -> None:
    told = {"items": list(items), "url": "/cart?id=7", **more}
    field.store.events.add(
        [Event(person, "cart_updated", NOON, NOON, told, os.urandom(8).hex())]
    )


def compose(
    field: Field, config: Config, person: int, *, url: str = URL, promo: str | None = None
) -> str:
    """Return where a message to *person* leads, or why there is none."""
    sources = {"message.toml": url, "en.toml": 'title = "Your basket"\nbody = "-"'}
    template = Template.from_sources("basket", sources)
    links = RestoreLinks(field.store, config)
    options = {"extra": {"promo": promo}} if promo else {}
    composer = Composer(
        template, config, None, collect_shared_values("basket", options),
        extras=lambda rows: carts.load_extras(field.store, config, rows, links),
    )  # fmt: skip
    (found,) = composer.compose(field.store.deliveries.load_unplanned([person]))
    if isinstance(found, UnrenderedRow):
        return found.reason
    message = orjson.loads(found[1].with_token("t", 0))
    navigate = message["notification"]["navigate"]
    assert isinstance(navigate, str)
    return navigate


def read(link: str) -> dict[str, str]:
    assert link.startswith("https://secure.2checkout.com/checkout/buy?"), link
    return dict(parse_qsl(urlsplit(link).query, strict_parsing=True))


def is_signed(found: dict[str, str], word: bytes = b"tango") -> bool:
    names = sorted(found.keys() - {"merchant", "signature"})
    source = "".join(f"{len(found[name])}{found[name]}" for name in names)
    expected = hmac.new(word, source.encode(), hashlib.sha256).hexdigest()
    return found["signature"] == expected


def test_a_basket_is_picked_up_where_the_page_said(field: Field) -> None:
    ann, bob = field.people(2)
    fill(field, ann, LAMP)
    assert compose(field, field.config, ann) == "https://shop.example/cart?id=7"
    assert compose(field, field.config, bob) == "https://shop.example/cart"
    plain = 'url = "{{ restore_url }}"'
    assert compose(field, field.config, ann, url=plain) == "https://shop.example/cart?id=7"
    assert "restore_url" in compose(field, field.config, bob, url=plain)


def test_a_basket_at_2checkout_is_filled_by_a_signed_link(field: Field) -> None:
    ann, bob = field.people(2)
    for person in (ann, bob):
        fill(field, person, LAMP, CUP)
    site = field.store.sites.sync({"shop": "https://shop.example"})["shop"]
    field.store.matches.learn_cart_key(site, "x" * 22, ann, NOON - 1)
    field.store.matches.learn_cart_key(site, CART_KEY, ann, NOON)
    with field.store.write() as connection:
        connection.execute(
            "UPDATE subscriptions SET alias = 'customer-17', alias_trusted = (id = ?)", (ann,)
        )
    config = sell(field)

    found = read(compose(field, config, ann, promo="SPRING15"))
    assert is_signed(found)
    del found["signature"]
    assert found == {
        "merchant": "2COLNC", "prod": "LAMP;CUP-2", "qty": "1;2", "coupon": "SPRING15",
        "order-ext-ref": CART_KEY, "customer-ext-ref": "customer-17",
    }  # fmt: skip

    # Without a key the subscriber's id comes back; a claimed alias does not.
    found = read(compose(field, config, bob))
    assert is_signed(found)
    who = field.store.subscriptions.get_many([bob], NOON)[0]
    assert found["order-ext-ref"] == who.public_id
    assert "customer-ext-ref" not in found


def test_the_code_is_that_of_the_message(field: Field) -> None:
    (ann,) = field.people(1)
    fill(field, ann, LAMP)
    config = sell(field)
    own = f'{URL}\n[values]\npromo = "OWN10"'
    assert read(compose(field, config, ann, url=own))["coupon"] == "OWN10"
    assert read(compose(field, config, ann, url=own, promo="STEP15"))["coupon"] == "STEP15"
    assert "coupon" not in read(compose(field, config, ann))


def test_without_the_secret_word_the_link_is_bare(field: Field) -> None:
    (ann,) = field.people(1)
    fill(field, ann, LAMP)
    config = sell(field, word=None)
    assert read(compose(field, config, ann, promo="A")) == {
        "merchant": "2COLNC", "prod": "LAMP", "qty": "1", "coupon": "A",
    }  # fmt: skip
    (field.config.keys / "sources.toml").write_text("no [toml")
    assert "signature" not in read(compose(field, config, ann))


def test_links_without_a_signature_may_be_unwanted(field: Field) -> None:
    (ann,) = field.people(1)
    fill(field, ann, LAMP)
    config = sell(field, word=None, more="unsigned = false")
    assert compose(field, config, ann) == "https://shop.example/cart?id=7"


def test_a_product_that_2checkout_does_not_know_leads_to_the_shop(field: Field) -> None:
    (ann,) = field.people(1)
    fill(field, ann, LAMP, {"name": "No id"})
    assert compose(field, sell(field), ann) == "https://shop.example/cart?id=7"


def test_the_secret_is_that_of_the_named_source(field: Field) -> None:
    more = '\nsource = "other"\n[sources.other]\nkind = "2checkout"\nsite = "shop"'
    config = sell(field, more=more)
    source_secrets.set_word(field.config.keys, "other", "buy-link", "foxtrot")
    assert load_sellers(config)["shop"].secret == b"foxtrot"


def test_an_example_that_is_shown_first_has_the_link_too(field: Field) -> None:
    (ann,) = field.people(1)
    fill(field, ann, LAMP)
    config = sell(field)
    sources = {"message.toml": URL, "en.toml": 'title = "Your basket"\nbody = "-"'}
    template = Template.from_sources("basket", sources)
    shown = find_example(field.store, config, template, [ann], "basket", NOON)
    assert shown is not None
    assert is_signed(read(shown.message.url))


def test_a_secret_reaches_no_message(field: Field) -> None:
    (ann,) = field.people(1)
    fill(field, ann, LAMP)
    config = sell(field)
    for template in ("{{ restore_url }}", "{{ restore_url|upper }}"):
        text = compose(field, config, ann, url=f'url = "/x/{template}"')
        assert "tango" not in text.lower()
    # What makes the link can't be named in a template.
    with pytest.raises(TemplateError):
        compose(field, config, ann, url='url = "/{{ restore }}"')


def test_a_basket_may_be_picked_up_at_the_checkout(field: Field) -> None:
    (ann,) = field.people(1)
    at = "https://secure.2checkout.com/checkout/buy?merchant=2COLNC&tpl=one-column"
    fill(field, ann, {"name": "No id"}, url=at)
    assert compose(field, field.config, ann) == "https://shop.example/cart"
    assert compose(field, sell(field), ann) == at
