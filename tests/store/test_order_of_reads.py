"""What counts all subscribers reads them in order: by an index each row is on any page."""

from collections.abc import Callable

import pytest

from pushctl.store import Store

COUNTS: dict[str, Callable[[Store], object]] = {
    "keys": lambda store: store.soundness.count_keys(),
    "countries": lambda store: store.holidays.count_countries(),
    "languages": lambda store: store.reports.count_all_languages(),
    "lacking": lambda store: store.reports.count_lacking(["subscriber.city", "attributes.x"]),
    "active": lambda store: store.reports.count_active(),
    "active there": lambda store: store.reports.count_active(1),
    "shared aliases": lambda store: store.subscriptions.list_shared_aliases(3),
    "all active": lambda store: store.recents.list_active(),
    "all shared": lambda store: store.recents.find_all_shared(),
}


@pytest.mark.parametrize("name", COUNTS)
def test_no_table_is_read_in_the_order_of_another_index(store: Store, name: str) -> None:
    seen: list[str] = []
    store.connection.set_trace_callback(seen.append)
    COUNTS[name](store)
    store.connection.set_trace_callback(None)
    steps = [
        row[3]
        for sql in seen
        for row in store.connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
    ]
    assert any("subscriptions" in step or " s" in step for step in steps), "it asks for some"
    assert [step for step in steps if "SCAN" in step and " USING INDEX " in step] == []
    if name != "shared aliases":  # those that are shared alone are sorted
        assert not any("TEMP B-TREE" in step for step in steps), "all would be in memory"
    assert [
        step for step in steps if step.endswith("USING INDEX subscriptions_alias (alias>?)")
    ] == []
