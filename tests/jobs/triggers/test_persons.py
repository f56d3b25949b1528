"""Which devices are one person to triggers: by a signed alias, else by an address's hash."""

from tests.support import MINUTE, NOON
from tests.support.presets import text
from tests.support.shop import Shop

HASH = "ab" * 32


def know(shop: Shop, person: int, alias: str | None = None, hashed: str | None = None) -> int:
    if alias is not None:
        shop.store.subscriptions.set_alias(person, alias, trusted=not alias.startswith("?"))
    shop.store.matches.set_email_hash(person, hashed)
    return person


def test_a_purchase_on_another_device_of_the_same_address_ends_reminders(
    swept_shop: Shop,
) -> None:
    shop = swept_shop
    first, second, other = (
        know(shop, shop.person(), hashed=one) for one in (HASH, HASH, "cd" * 32)
    )
    for one in (first, other):
        shop.fill(one, NOON)
    shop.sweep(NOON + MINUTE)
    shop.event(second, "purchase", NOON + 2 * MINUTE)
    shop.sweep(NOON + 4 * MINUTE)
    assert (shop.got(first), shop.got(second)) == ([], [])
    assert len(shop.got(other)) == 1


def test_devices_of_one_person(swept_shop: Shop) -> None:
    shop = swept_shop
    both = know(shop, shop.person(), "ann", HASH)
    alias = know(shop, shop.person(), "ann")
    hashed = know(shop, shop.person(), None, HASH)
    claimed = know(shop, shop.person(), "?bob", HASH)
    twin = know(shop, shop.person(), "zoe", HASH)  # they share an address
    lone = know(shop, shop.person(), None, "cd" * 32)
    unknown, nobody = shop.person(), know(shop, shop.person(), "?ann")
    everybody = {both, alias, hashed, claimed, twin, lone, unknown, nobody}

    def list_person(one: int) -> set[int]:
        devices = shop.store.enrolments.list_devices([one])
        (key,) = {it.key for it in devices if it.subscription == one}
        return {it.subscription for it in devices if it.key == key}

    ann = {both, alias, hashed, claimed}
    for one in everybody:
        assert list_person(one) == (ann if one in ann else {one})


def test_an_unpaid_order_moves_the_basket_on(swept_shop: Shop) -> None:
    shop = swept_shop
    shop.declare(text("abandoned_basket_1").replace("holdout   = 0.05", "holdout   = 0"))
    (who,) = (shop.person(),)
    shop.fill(who, NOON)
    shop.sweep(NOON + MINUTE)
    shop.event(who, "payment_failed", NOON + 2 * MINUTE)
    shop.sweep(NOON + 5 * MINUTE)
    assert shop.got(who) == []
    assert ("cancel", "payment_failed came") in shop.why(who)
