"""What is kept is held to a recount of the rows, and what differs is named."""

import pytest

from pushctl.jobs.figures.recount import check_kept
from pushctl.jobs.figures.tables import funnels
from pushctl.store import Store
from tests.jobs.figures.columns.test_message_cache import count_kept, sent_twice
from tests.support.sending import Field


@pytest.fixture
def sent(sender: Field) -> Field:
    return sent_twice(sender)


def falsify(store: Store, name: str, sql: str) -> None:
    """Change what is kept of a column of campaign 1 behind the program's back."""
    changed = store.connection.execute(
        f"UPDATE kept_columns SET {sql} WHERE campaign_id = 1 AND name = ?", [name]
    )
    assert changed.rowcount == 1


def test_sound_figures_are_right_also_when_nothing_was_kept(sent: Field) -> None:
    assert check_kept.check(sent.store, sent.config) == (2, [])
    sent.store.interactions.add_thanks(3, 5)
    sent.store.deliveries.note_foreign([4])
    sent.store.erasure.erase([2], 5)
    assert check_kept.check(sent.store, sent.config) == (2, [])


def test_a_campaign_without_a_message_is_checked_too(sent: Field) -> None:
    sent.store.connection.execute("DELETE FROM deliveries WHERE campaign_id = 2")
    assert check_kept.check(sent.store, sent.config) == (2, [])


@pytest.mark.parametrize(
    ("name", "sql", "said"),
    [
        (
            "counts",
            "about = json_set(about, '$.clicked', 4)",
            "one: clicked: 4 kept, 1 counted",
        ),
        ("counts", "about = json_set(about, '$.gone', 2)", "one: gone: 2 kept, 0 counted"),
        (
            "language",
            "about = json_replace(about, '$.words[0]', 'de')",
            "one: language de: 5 kept, 0 counted",
        ),
        (
            "sent",
            "about = json_set(about, '$.low', json_extract(about, '$.low') + 7)",
            "one: sent 6: 1 kept, 0 counted",
        ),
        (
            "subscription",
            "about = json_set(about, '$.low', 60)",
            "one: the sum of who got which message: 1,705 kept, 112 counted",
        ),
        (
            "flags",
            "about = json_object('count', 6, 'low', 0, 'words', NULL), data = x''",
            "one: column of shown: 0 kept, 1 counted",
        ),
    ],
)
def test_each_difference_is_named_and_is_gone_after_that(
    sent: Field, name: str, sql: str, said: str
) -> None:
    funnels.load_funnel(sent.store)
    falsify(sent.store, name, sql)
    campaigns, found = check_kept.check(sent.store, sent.config)
    assert campaigns == 2
    assert said in [str(each) for each in found]
    assert {each.campaign for each in found} == {"one"}
    assert count_kept(sent.store) == 0
    assert check_kept.check(sent.store, sent.config) == (2, [])


def test_a_message_whose_times_are_not_its_reports_is_found(sent: Field) -> None:
    sent.store.connection.execute("UPDATE deliveries SET shown_at = 7 WHERE id = 1")
    _, found = check_kept.check(sent.store, sent.config)
    what = "messages with another time than their reports"
    assert [str(each) for each in found] == [f"one: {what}: 0 kept, 1 counted"]
