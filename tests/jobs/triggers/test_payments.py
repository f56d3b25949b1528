"""An order that waits for its payment holds reminders back; one that fails begins them anew."""

import pytest

from pushctl.jobs.ingest import drain, shop_orders
from pushctl.jobs.subscribers import carts
from pushctl.push import vapid
from pushctl.rules.shops.told import Clues
from pushctl.store import KNOWN_MIGRATIONS, idle
from tests.support import MINUTE, NOON
from tests.support.posting import SECRET
from tests.support.shop import BASKET, Shop
from tests.support.telling import tell_order

PAYMENT = """
[triggers.payment]
on        = "checkout_started"
also_on   = "payment_failed"
goal      = { event = "purchase", within = "24h" }
reentry   = "1d"
priority  = 10
steps = [{ after = "3m", template = "three", ttl = "30m", max_late = "15m" }]
"""


@pytest.fixture
def buyer(swept_shop: Shop) -> int:
    vapid.write(swept_shop.config.keys)
    one = swept_shop.person()
    swept_shop.store.subscriptions.set_alias(one, "ann-7", trusted=True)
    return one


def tell(shop: Shop, state: str, at: int) -> None:
    ctx = drain.open_context(shop.store, shop.config, SECRET)
    told = tell_order("1", state, at, clues=Clues(alias="ann-7"))
    shop_orders.apply_told(ctx, "shop", "2checkout", told, at)


def live(shop: Shop, start: int, minutes: int) -> None:
    for at in range(start, start + minutes * MINUTE, MINUTE):
        shop_orders.tell_failed_payments(shop.store, at)
        shop.sweep(at)


def test_who_has_paid_after_a_while_was_not_reminded(swept_shop: Shop, buyer: int) -> None:
    swept_shop.declare(PAYMENT + BASKET)
    other = swept_shop.person()
    for one in (buyer, other):
        swept_shop.fill(one, NOON)
        swept_shop.event(one, "checkout_started", NOON)
    tell(swept_shop, "pending", NOON + MINUTE)
    live(swept_shop, NOON + MINUTE, 20)
    assert swept_shop.got(buyer) == []
    assert ("hold", "their payment is on its way") in swept_shop.why(buyer)
    assert {name for name, _ in swept_shop.got(other)} == {"payment/1", "basket/1"}
    tell(swept_shop, "paid", NOON + 21 * MINUTE)
    live(swept_shop, NOON + 21 * MINUTE, 30)
    assert swept_shop.got(buyer) == []
    assert ("cancel", "goal reached: purchase") not in swept_shop.why(buyer)
    assert [kind for kind, _ in swept_shop.why(buyer)].count("finish") == 2


def test_a_payment_that_never_comes_is_the_second_basket(swept_shop: Shop, buyer: int) -> None:
    swept_shop.declare(PAYMENT)
    swept_shop.event(buyer, "checkout_started", NOON)
    tell(swept_shop, "pending", NOON + MINUTE)
    live(swept_shop, NOON + MINUTE, 60)
    assert swept_shop.got(buyer) == [("payment/1", NOON + 34 * MINUTE)]
    tell(swept_shop, "paid", NOON + 70 * MINUTE)
    live(swept_shop, NOON + 70 * MINUTE, 2)
    assert swept_shop.why(buyer)[-1] == ("finish", "goal reached: purchase")


def test_a_failed_payment_begins_it_alone(swept_shop: Shop, buyer: int) -> None:
    swept_shop.declare(PAYMENT)
    tell(swept_shop, "pending", NOON)
    live(swept_shop, NOON, 40)
    assert swept_shop.got(buyer) == [("payment/1", NOON + 33 * MINUTE)]
    (event,) = swept_shop.store.events.list_newest(buyer)
    assert (event.name, event.at) == ("payment_failed", NOON + 30 * MINUTE)
    assert event.properties["order"] == "1"


def test_a_cancelled_or_test_or_old_order_fails_no_payment(
    swept_shop: Shop, buyer: int
) -> None:
    swept_shop.declare(PAYMENT)
    tell(swept_shop, "pending", NOON)
    tell(swept_shop, "cancelled", NOON + MINUTE)
    live(swept_shop, NOON, 60)
    ctx = drain.open_context(swept_shop.store, swept_shop.config, SECRET)
    days = 2 * 24 * 60 * MINUTE
    old = tell_order("2", "pending", NOON, clues=Clues(alias="ann-7"))
    shop_orders.apply_told(ctx, "shop", "2checkout", old, NOON + days)
    live(swept_shop, NOON + days, 5)
    assert swept_shop.got(buyer) == [] and not list(swept_shop.store.events.list_newest(buyer))


def test_a_payment_that_takes_too_long_wakes_an_idle_sweep(
    swept_shop: Shop, buyer: int
) -> None:
    file = swept_shop.folder / "pushctl.toml"
    swept_shop.declare("")
    tell(swept_shop, "pending", NOON)
    swept_shop.sweep(NOON)
    files = swept_shop.store.path, swept_shop.config.inbox, file
    later = swept_shop.store.meta
    later.set(idle.NEXT_SCAN_KEY, str(NOON + 60 * MINUTE))
    later.set(idle.CONFIG_KEY, idle.compute_fingerprint(file))

    assert idle.is_idle(*files, KNOWN_MIGRATIONS, NOON + 29 * MINUTE)
    assert not idle.is_idle(*files, KNOWN_MIGRATIONS, NOON + 30 * MINUTE)
    live(swept_shop, NOON + 30 * MINUTE, 1)
    later.set(idle.NEXT_SCAN_KEY, str(NOON + 60 * MINUTE))
    assert idle.is_idle(*files, KNOWN_MIGRATIONS, NOON + 31 * MINUTE)


def test_a_basket_is_picked_up_at_the_checkout_that_the_site_names(swept_shop: Shop) -> None:
    url = "https://checkout.stripe.com/c/pay/7"
    for named, kept in (("", None), ("https://checkout.stripe.com", url)):
        swept_shop.declare(f"checkout_origins = {[named] if named else []}\n{BASKET}")
        who = swept_shop.person()
        swept_shop.event(who, "cart_updated", NOON, items=[{"id": "lamp"}], url=url)
        swept_shop.sweep(NOON)
        (enrolment,) = swept_shop.store.enrolments.list_active(who)
        assert enrolment.context["cart"]["url"] == kept
        carts_now = carts.load(swept_shop.store, swept_shop.config, {who: "shop"})
        assert carts_now[who]["url"] == kept


def test_a_payment_that_is_told_after_it_was_called_failed_ends_what_that_began(
    swept_shop: Shop, buyer: int
) -> None:
    swept_shop.declare(PAYMENT)
    tell(swept_shop, "pending", NOON)
    live(swept_shop, NOON, 32)
    assert "payment/1" not in {name for name, _ in swept_shop.got(buyer)}
    ctx = drain.open_context(swept_shop.store, swept_shop.config, SECRET)
    paid = tell_order("1", "paid", NOON + 5 * MINUTE, clues=Clues(alias="ann-7"))
    shop_orders.apply_told(ctx, "shop", "2checkout", paid, NOON + 32 * MINUTE)
    live(swept_shop, NOON + 32 * MINUTE, 30)
    assert swept_shop.got(buyer) == []
    (at,) = swept_shop.store.connection.execute("SELECT at FROM orders").fetchone()
    assert at == NOON + 5 * MINUTE
