"""Look-ups of orders: what they cost does not grow with the orders of a site."""

from pushctl.rules.shops.told import Clues
from pushctl.store import Store

CLUES = Clues(cart_key="k" * 22, alias="customer-7", email_hash="ab" * 32)


def test_orders_are_found_by_their_names_not_among_all_of_the_site(store: Store) -> None:
    """A line of a stranger's may ask for them, and a request of a server a thousand times."""
    site = store.sites.sync({"shop": "https://shop.example"})["shop"]
    seen: list[str] = []
    store.connection.set_trace_callback(seen.append)
    store.orders.find_same(site, "woo", "1007")
    store.orders.find_all(site, ["1007", "1008"])
    store.orders.find_verified(site, "1007")
    store.orders.list_unmatched(site, CLUES, 0)
    store.erasure.blank_orders(site, "woo", CLUES, ["1007"])
    store.connection.set_trace_callback(None)
    asked = [sql for sql in seen if "orders" in sql and not sql.startswith("--")]
    assert len(asked) == 5
    for sql in asked:
        plan = store.connection.execute("EXPLAIN QUERY PLAN " + sql).fetchall()
        ways = [row[3] for row in plan if " orders" in row[3]]
        assert ways
        assert not [way for way in ways if "SCAN" in way or "(site_id=?)" in way]
