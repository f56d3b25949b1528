"""Audience expressions: read, written back, resolved, and asked of real people."""

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushctl.errors import InputError, NotFoundError
from pushctl.model import DeliveryStatus
from pushctl.rules.audience import expression as tree
from pushctl.rules.audience import parse
from pushctl.store import Store
from pushctl.store import audience as asking
from tests.support import DAY, HOUR, NOON, ROOT, database
from tests.support.people import COMPARE, Human, means, send_to_nobody, settle

# --- reading -----------------------------------------------------------------------------


def test_a_tag_is_found_by_its_name_with_spaces_in_either_quotes() -> None:
    assert parse.parse("tag('Abandoned basket 1')") == tree.Tag("Abandoned basket 1")
    assert parse.parse('tag("Bob\'s")') == tree.Tag("Bob's")
    assert parse.parse("tag('Bob''s')") == tree.Tag("Bob's")


def test_words_are_read_in_any_case_and_over_several_lines() -> None:
    found = parse.parse("TAG('a')\n  AND NOT Country = 'DE'\n  OR Everyone")
    assert found == tree.Or(
        (
            tree.And((tree.Tag("a"), tree.Not(tree.Field("country", "=", ("DE",))))),
            tree.EVERYONE,
        )
    )


def test_and_binds_closer_than_or_and_not_closest() -> None:
    a, b, c = tree.Tag("a"), tree.Tag("b"), tree.Tag("c")
    assert parse.parse("tag('a') or tag('b') and not tag('c')") == tree.Or(
        (a, tree.And((b, tree.Not(c))))
    )
    assert parse.parse("not (tag('a') or tag('b')) and tag('c')") == tree.And(
        (tree.Not(tree.Or((a, b))), c)
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("attribute('points') >= 100.5", tree.Attribute("points", ">=", (100.5,))),
        ("attribute('vip') = true", tree.Attribute("vip", "=", (True,))),
        ("attribute('plan')", tree.Attribute("plan", "known", ())),
        ("attribute('a') in ('x', 2, false)", tree.Attribute("a", "in", ("x", 2, False))),
        ("city is unknown", tree.Field("city", "unknown", ())),
        ("source contains 'news'", tree.Field("source", "contains", ("news",))),
        ("subscribed within 7d", tree.Age("subscribed", 7 * DAY)),
        ("seen within 1h", tree.Age("seen", HOUR)),
        ("event('purchase')", tree.Event("purchase")),
        (
            "event('purchase') >= 2 within 30d",
            tree.Event("purchase", tree.Count(">=", 2, 30 * DAY)),
        ),
        ("clicked", tree.Reaction("clicked")),
        ("clicked('May', 30d)", tree.Reaction("clicked", "May", tree.Count(within=30 * DAY))),
        ("clicked('May', 1h) > 2", tree.Reaction("clicked", "May", tree.Count(">", 2, HOUR))),
        ("Sent('May')", tree.Outcome("sent", "May")),
        ("accepted('May', 2d)", tree.Outcome("accepted", "May", 2 * DAY)),
        ("rejected('May') within 2d", tree.Outcome("rejected", "May", 2 * DAY)),
        (
            "shown('Black Friday') = 0 within 2w",
            tree.Reaction("shown", "Black Friday", tree.Count("=", 0, 14 * DAY)),
        ),
    ],
)
def test_each_condition_is_read(text: str, found: tree.Expression) -> None:
    assert parse.parse(text) == found


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("tag('x", 5, "quote is never closed"),
        ("lang = 'de'", 1, "Did you mean language?"),
        ("cuontry = 'DE'", 1, "Did you mean country?"),
        ("tag(x)", 5, "Put texts in quotes"),
        ("language > 'de'", 10, "Expected:"),
        ("language =", 11, "a text in quotes"),
        ("tag('a') tag('b')", 10, "Expected: the end, and, or."),
        ("event('p') within 30", 19, "a time like 30d"),
        ("event('p') >= 1.5", 15, "a count is a whole number"),
        ("(tag('a')", 10, "ends too early"),
        ("attribute('x') < true", 16, "no order"),
        ("seen within 99999d", 13, "ten years"),
        ("tag('')", 5, "empty"),
        ("tag('a'); DROP TABLE subscriptions", 9, "';' can't stand here"),
        ("attribute('n') = 99999999999999999999", 18, "too large"),
        ("sent within 7d", 6, "Expected: (."),
        ("clicked('May', 2d) within 3d", 1, "two times"),
        ("clicked('May', 'June')", 16, "a time like 30d"),
        ("rejectd('May')", 1, "Did you mean rejected?"),
    ],
)
def test_a_mistake_is_pointed_at(text: str, column: int, says: str) -> None:
    with pytest.raises(InputError) as caught:
        parse.parse(text)
    message = str(caught.value)
    assert says in message
    assert f"column {column}" in message
    shown, caret = message.split("\n")[1:3]
    assert caret.index("^") - 4 == column - 1
    assert shown[4:] == text.ljust(len(shown) - 4)[: len(shown) - 4]


def test_every_example_of_the_documentation_is_read() -> None:
    page = (ROOT / "docs/audience.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    examples = [
        example for row in rows for example in re.findall("`([^`]+)`", row.split("|")[1])
    ]
    assert len(examples) > 20
    for example in examples:
        parse.parse(example)


def test_a_mistake_in_a_later_line_is_pointed_at_there() -> None:
    with pytest.raises(InputError, match="column 1 of line 2") as caught:
        parse.parse("tag('a') and\nfoo = 'b'")
    assert str(caught.value).split("\n")[1:3] == ["    foo = 'b'", "    ^"]


def test_a_mistake_never_brings_control_characters_to_the_terminal() -> None:
    with pytest.raises(InputError) as caught:
        parse.parse("tag('\x1b[31m') and \x1b[2J")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "tag('" + "x" * 501 + "')",
        "tag('x') or " * 2_000 + "tag('x')",
        "not " * 100 + "everyone",
        "(not " * 100 + "everyone" + ")" * 100,
        "tag('a\nb')",
    ],
)
def test_what_is_too_long_too_deep_or_empty_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse.parse(text)


def test_a_hundred_parentheses_around_nothing_new_are_no_depth() -> None:
    assert parse.parse("(" * 100 + "tag('a')" + ")" * 100) == tree.Tag("a")


# --- the command line and segments --------------------------------------------------------


def test_tags_segments_and_expressions_of_a_command_line_must_all_hold() -> None:
    whole = parse.join(tags=["A", "it's"], segments=["vip"], where=["clicked or shown"])
    assert parse.text(whole) == (
        "tag('A') and tag('it''s') and segment('vip') and (clicked or shown)"
    )
    assert parse.join() == tree.EVERYONE


def test_a_tag_of_the_command_line_is_never_parsed() -> None:
    name = "x') or everyone or tag('x"
    whole = parse.join(tags=[name])
    assert whole == tree.Tag(name)
    assert parse.parse(parse.text(whole)) == whole


def test_segments_are_put_in_wherever_they_stand() -> None:
    saved = {"vip": "tag('VIP') or segment('rich')", "rich": "attribute('points') > 9"}
    found = parse.expand(parse.parse("not segment('vip') and clicked"), saved)
    assert parse.text(found) == ("not (tag('VIP') or attribute('points') > 9) and clicked")


def test_a_segment_that_is_not_there_says_which_are() -> None:
    with pytest.raises(NotFoundError, match=r"'vpi'.*vip"):
        parse.expand(parse.parse("segment('vpi')"), {"vip": "everyone"})


def test_a_segment_that_contains_itself_is_named() -> None:
    saved = {"a": "segment('b')", "b": "not segment('a')"}
    with pytest.raises(InputError, match="a -> b -> a"):
        parse.expand(parse.parse("segment('a')"), saved)


def test_segments_that_multiply_each_other_are_refused() -> None:
    saved = {f"s{n}": f"segment('s{n + 1}') or segment('s{n + 1}')" for n in range(9)}
    saved["s9"] = "tag('a') and tag('b')"
    with pytest.raises(InputError, match="too large"):
        parse.expand(parse.parse("segment('s0')"), saved)


def test_an_audience_is_said_in_plain_words() -> None:
    text = "tag('VIP') and not seen within 30d and event('purchase') >= 2 within 90d"
    assert parse.explain(parse.parse(text)) == (
        "tagged 'VIP' and last seen longer than 30d ago and did 'purchase' at least 2 times "
        "in the last 90d"
    )


# --- asking -------------------------------------------------------------------------------


def found(store: Store, text: str) -> list[int]:
    return list(store.audience.list_ids(parse.parse(text), NOON))


def test_a_tag_counts_in_any_case_and_until_it_expires(store: Store) -> None:
    rows = settle(
        store,
        [
            Human(tags=[("Abandoned basket 1", None)]),
            Human(tags=[("Abandoned basket 1", NOON + 1)]),
            Human(tags=[("Abandoned basket 1", NOON)]),
            Human(),
        ],
    )
    assert found(store, "tag('ABANDONED  basket 1')") == rows[:2]
    assert found(store, "not tag('abandoned basket 1')") == rows[2:]
    assert found(store, "tag('nobody has it')") == []


def test_only_active_subscriptions_are_meant_unless_asked(store: Store) -> None:
    states = ("active", "unsubscribed", "gone", "quarantined")
    rows = settle(store, [Human(state=state) for state in states])
    everyone = parse.parse("everyone")
    assert list(store.audience.list_ids(everyone, NOON)) == rows[:1]
    assert store.audience.count(everyone, NOON) == 1
    assert list(store.audience.list_ids(everyone, NOON, any_state=True)) == rows
    assert store.audience.filter_ids(everyone, rows, NOON) == {rows[0]}


def test_or_reaches_nobody_who_left_and_nobody_who_was_not_asked_about(store: Store) -> None:
    states = ("active", "active", "unsubscribed", "gone")
    rows = settle(store, [Human(state=state, tags=[("a", None)]) for state in states])
    either = parse.parse("tag('a') or tag('b')")
    assert list(store.audience.list_ids(either, NOON)) == rows[:2]
    assert store.audience.count(either, NOON) == 2
    assert store.audience.filter_ids(either, [rows[1], rows[2]], NOON) == {rows[1]}
    assert store.audience.filter_ids(either, rows[1:3], NOON, any_state=True) == set(rows[1:3])


def test_a_language_means_its_regions_and_not_its_neighbours(store: Store) -> None:
    spoken = ("pt", "pt-BR", "PT_pt", "ptx", "en", None)
    rows = settle(store, [Human({"language": language}) for language in spoken])
    assert found(store, "language = 'pt'") == rows[:2]
    assert found(store, "language = 'pt-br'") == [rows[1]]
    assert found(store, "language != 'pt'") == rows[2:]


def test_case_is_ignored_in_turkish_too_but_not_in_an_alias(store: Store) -> None:
    rows = settle(store, [Human({"city": "İzmir", "alias": "Ab"}), Human({"alias": "ab"})])
    assert found(store, "city = 'izmir'") == found(store, "city like 'İZ%'") == rows[:1]
    assert found(store, "alias = 'ab'") == rows[1:]


def test_an_alias_counts_only_when_the_shop_signed_it(store: Store) -> None:
    """A browser that claims somebody else's alias would get what is meant for them."""
    rows = settle(
        store,
        [Human({"alias": "c7"}), Human({"alias": "c7"}, signed=False), Human()],
    )
    for asked in ("alias = 'c7'", "alias in ('c7', 'c8')", "alias like 'c%'", "alias is known"):
        assert found(store, asked) == rows[:1], asked
    assert found(store, "alias is unknown") == found(store, "alias != 'c7'") == rows[1:]


def test_a_percent_sign_in_contains_is_a_percent_sign(store: Store) -> None:
    rows = settle(store, [Human({"source": "15% off"}), Human({"source": "15 off"})])
    assert found(store, "source contains '5%'") == rows[:1]


def test_attributes_compare_with_their_own_type_only(store: Store) -> None:
    held = [100, 99.5, "100", True, None, [100], {"a": 100}]
    rows = settle(store, [*[Human(attributes={"p": it}) for it in held], Human()])
    assert found(store, "attribute('p') >= 99.5") == rows[:2]
    assert found(store, "attribute('p') = '100'") == [rows[2]]
    assert found(store, "attribute('p') = true") == [rows[3]]
    assert found(store, "attribute('p')") == [*rows[:4], *rows[5:7]]
    assert found(store, "attribute('p') is unknown") == [rows[4], rows[7]]


@pytest.mark.parametrize("name", ["a.b", 'quo"te', "back\\slash", "größe", "$", "' OR 1=1 --"])
def test_an_attribute_may_have_any_name(store: Store, name: str) -> None:
    rows = settle(store, [Human(attributes={name: 1}), Human(attributes={"other": 1})])
    asked = tree.Attribute(name, "=", (1,))
    assert list(store.audience.list_ids(asked, NOON)) == rows[:1]


def test_what_is_not_known_is_neither_equal_nor_like_anything(store: Store) -> None:
    rows = settle(store, [Human({"country": None}), Human({"country": "DE"})])
    assert found(store, "country = 'DE'") == found(store, "country is known") == rows[1:]
    assert found(store, "country != 'DE'") == found(store, "not country = 'de'") == rows[:1]
    assert found(store, "not country contains 'x'") == rows


def test_clicks_are_counted_by_campaign_and_time(store: Store) -> None:
    rows = settle(
        store,
        [
            Human(reactions=[("clicked", "May", NOON - DAY), ("clicked", "June", NOON)]),
            Human(reactions=[("clicked", "May", NOON - 9 * DAY), ("shown", "May", NOON)]),
            Human(),
        ],
    )
    assert found(store, "clicked") == rows[:2]
    assert found(store, "clicked('May') within 7d") == rows[:1]
    assert found(store, "clicked >= 2") == rows[:1]
    assert found(store, "clicked < 2") == rows[1:]
    assert found(store, "not clicked within 7d") == rows[1:]
    assert found(store, "clicked('May', 7d)") == rows[:1]
    assert found(store, "shown('May') = 0") == [rows[0], rows[2]]


def test_what_became_of_a_campaign_s_message_is_an_audience(store: Store) -> None:
    ends = [
        ("accepted", 201), ("rejected", 413), ("rejected", None), ("in_doubt", None),
        ("gone", 410), ("skipped", None), ("expired", None), ("planned", None),
    ]  # fmt: skip
    people = [Human(outcomes=[("May", status, answer, NOON - DAY)]) for status, answer in ends]
    rows = settle(store, [*people, Human(outcomes=[("June", "accepted", 201, NOON)])])
    assert found(store, "accepted('May')") == rows[:1]
    assert found(store, "rejected('May')") == rows[1:3]
    assert found(store, "sent('May')") == [rows[0], rows[1], rows[3], rows[4]]
    assert found(store, "accepted('May', 1d) or rejected('May', 23h)") == rows[:1]
    assert found(store, "not sent('May') and not sent('June')") == [rows[2], *rows[5:8]]
    assert parse.explain(parse.parse("not rejected('May', 2d)")) == (
        "not has a rejected message of 'May' in the last 2d"
    )


def test_a_campaign_that_is_not_known_is_an_error_with_the_nearest_names(store: Store) -> None:
    send_to_nobody(store, "sale 2026-11-22", "sale 2026-11-29", "May")
    for text in ("clicked('sale')", "not sent('Sale', 3d)", "tag('x') or shown('sale') = 0"):
        with pytest.raises(NotFoundError, match="sale 2026-11-22' or 'sale 2026-11-29'"):
            found(store, text)
    with pytest.raises(NotFoundError, match="Did you mean 'May'"):
        store.audience.filter_ids(parse.parse("accepted('Maj')"), [1], NOON)
    with pytest.raises(NotFoundError, match="The latest: May"):
        store.audience.count(parse.parse("rejected('wholly other')"), NOON)


def test_a_campaign_whose_messages_were_deleted_is_no_empty_audience(store: Store) -> None:
    rows = settle(store, [Human(outcomes=[("May", "accepted", 201, NOON)])])
    assert found(store, "accepted('May')") == rows
    with store.write() as connection:
        connection.execute("DELETE FROM deliveries")
    for kind in ("sent", "accepted", "rejected", "shown", "clicked", "closed"):
        with pytest.raises(NotFoundError, match="'May' were deleted"):
            found(store, f"not {kind}('May')")


def test_a_step_of_a_trigger_is_known_before_its_first_message(store: Store) -> None:
    rows = settle(store, [Human()])
    with pytest.raises(NotFoundError):
        found(store, "not clicked('basket/1')")
    store.triggers.save_tags({"basket": None})
    assert found(store, "not clicked('basket/1')") == rows
    with pytest.raises(NotFoundError):
        found(store, "not clicked('basket')")


def test_the_messages_of_one_campaign_are_read_and_not_the_ledger(store: Store) -> None:
    """However many campaigns there are: bounded by steps of SQLite, not by time."""
    texts = ["sent('May')", "not rejected('May', 2d)", "clicked('May', 2d)", "shown('May') = 0"]
    people = [Human(outcomes=[("May", "accepted", 201, NOON)])] * 3

    def count_steps(text: str) -> int:
        steps: list[int] = []
        store.audience._reader.set_progress_handler(lambda: steps.append(1), 1)
        found(store, text)
        return len(steps)

    settle(store, people)
    found(store, "everyone")
    before = [count_steps(text) for text in texts]
    with store.write() as connection:
        send_to_nobody(store, *(f"c{number}" for number in range(20)))
        connection.execute(
            "INSERT INTO deliveries (campaign_id, enrolment_id, changed_at) "
            "SELECT c.id, e.value, 0 FROM campaigns AS c JOIN json_each(?) AS e "
            "WHERE c.name <> 'May'",
            (json.dumps([*range(1, 100)]),),
        )
    # A few more for the index of names.
    assert all(count_steps(text) < few + 10 for text, few in zip(texts, before, strict=True))


@pytest.mark.parametrize("op", ["=", "!=", "<", "<=", ">", ">="])
@pytest.mark.parametrize("times", [0, 1, 2])
def test_every_comparison_counts_who_never_clicked(store: Store, op: str, times: int) -> None:
    people = [
        Human(reactions=[("clicked", "May", NOON)] * clicks, events=[("purchase", 0)] * clicks)
        for clicks in (0, 1, 2)
    ]
    rows = settle(store, people)
    meant = [
        row for row, clicks in zip(rows, (0, 1, 2), strict=True) if COMPARE[op](clicks, times)
    ]
    assert found(store, f"clicked {op} {times}") == meant
    assert found(store, f"event('purchase') {op} {times}") == meant


def test_nobody_has_a_tag_that_cannot_be(store: Store) -> None:
    rows = settle(store, [Human(tags=[("a", None)])])
    assert list(store.audience.list_ids(tree.Tag("x" * 300), NOON)) == []
    assert list(store.audience.list_ids(tree.Not(tree.Tag(" ")), NOON)) == rows


def test_a_forgotten_person_s_clicks_hide_nobody_else(store: Store) -> None:
    rows = settle(store, [Human(reactions=[("clicked", "May", NOON)]), Human()])
    with store.write() as connection:
        connection.execute("DELETE FROM subscriptions WHERE id = ?", (rows[0],))
    assert found(store, "not clicked") == rows[1:]


def test_whom_an_audience_means_comes_with_tags_that_hold(store: Store) -> None:
    settle(store, [Human(tags=[("Kept", None), ("Over", NOON - 1)]), Human()])
    people = list(store.audience.list_subscriptions(parse.parse("tag('kept')"), NOON))
    assert [person.tags for person in people] == [("Kept",)]


def test_a_limit_takes_the_first(store: Store) -> None:
    rows = settle(store, [Human()] * 5)
    assert list(store.audience.list_ids(tree.EVERYONE, NOON, limit=2)) == rows[:2]


def test_inside_a_transaction_its_own_writing_is_seen(store: Store) -> None:
    rows = settle(store, [Human()])
    with store.write():
        store.tags.add(rows, "new", NOON)
        assert store.audience.filter_ids(tree.Tag("new"), rows, NOON) == set(rows)
        # The guard is gone again: the transaction may go on writing.
        store.tags.add(rows, "newer", NOON)
    assert found(store, "tag('newer')") == rows


# --- and nothing else ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT endpoint FROM subscriptions",
        "SELECT auth FROM subscriptions",
        "SELECT * FROM subscriptions",
        "SELECT value FROM meta",
        "SELECT sources FROM campaigns",
        "SELECT name FROM sqlite_master",
        "SELECT load_extension('x')",
        "SELECT randomblob(1000000000)",
        "DELETE FROM subscriptions",
        "UPDATE subscriptions SET state = 'gone'",
        "PRAGMA query_only = OFF",
        "ATTACH ':memory:' AS other",
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT x FROM n",
    ],
)
def test_the_connection_of_audiences_can_do_nothing_else(store: Store, sql: str) -> None:
    store.audience.count(tree.EVERYONE, NOON)
    with pytest.raises(sqlite3.DatabaseError, match=r"not authorized|prohibited|readonly"):
        store.audience._reader.execute(sql).fetchall()


def test_a_question_that_runs_away_is_given_up(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(store, [Human(attributes={"a": 1}) for _ in range(60)])
    monkeypatch.setattr(asking, "SECONDS", -1.0)
    many = tree.And(tuple(tree.Attribute(f"a{n}", "unknown", ()) for n in range(200)))
    with pytest.raises(InputError, match="given up"):
        store.audience.count(many, NOON)


def test_a_large_database_has_more_time_for_a_question(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The more people there are, the longer it may take; the file's size says how many."""
    settle(store, [Human(attributes={"a": 1}) for _ in range(60)])
    monkeypatch.setattr(asking, "SECONDS", -1.0)
    size = (
        store.path.stat().st_size
        + store.path.with_name(f"{store.path.name}-wal").stat().st_size
    )
    monkeypatch.setattr(asking, "SECONDS_A_GIGABYTE", 3_600 * 1e9 / size)
    many = tree.And(tuple(tree.Attribute(f"a{n}", "unknown", ()) for n in range(200)))
    assert store.audience.count(many, NOON) == 60


def test_an_unresolved_segment_is_a_bug_and_not_an_empty_audience(store: Store) -> None:
    with pytest.raises(ValueError, match="not resolved"):
        store.audience.count(tree.Segment("vip"), NOON)


# --- any expression, any people -----------------------------------------------------------

WORDS = st.sampled_from(["a", "A", "ab", "İz", "iz", "x'y", 'x"y', "50%", "_", "pt", "pt-BR"])
TIMES = st.integers(0, 5).map(lambda days: NOON - days * DAY)
WITHIN = st.sampled_from([DAY, 2 * DAY, 3 * DAY])
CAMPAIGNS = st.sampled_from(["May", "June"])
VALUES = st.one_of(WORDS, st.integers(-2, 2), st.sampled_from([0.5, 1.0, True, False]))
TAGS = st.sampled_from(["Abandoned basket 1", "VIP", "o'clock"])
EVENTS = st.sampled_from(["purchase", "page_view"])
NAMES = st.sampled_from(["p", "größe", 'q"'])
ORDER = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
STATUSES = st.sampled_from([status.value for status in DeliveryStatus])
COUNTS = st.builds(tree.Count, ORDER, st.integers(0, 3), st.none() | WITHIN)
FIELDS = ["language", "country", "city", "alias", "source", "site"]


def compared(names: Any, kind: Any, values: Any, single: list[str], many: list[str]) -> Any:
    return st.one_of(
        st.builds(kind, names, st.sampled_from(single), st.tuples(values)),
        st.builds(kind, names, st.sampled_from(many), st.lists(values, min_size=1).map(tuple)),
        st.builds(kind, names, st.sampled_from(["known", "unknown"]), st.just(())),
    )


CONDITIONS = st.one_of(
    st.just(tree.EVERYONE),
    st.builds(tree.Tag, TAGS | WORDS),
    compared(
        st.sampled_from(FIELDS), tree.Field, WORDS, ["=", "!=", "contains", "like"], ["in"]
    ),
    compared(NAMES, tree.Attribute, VALUES, ["=", "!=", "<", "<=", ">", ">="], ["in"]).filter(
        lambda it: not (it.op in "<=>=" and it.op != "=" and isinstance(it.values[0], bool))
    ),
    st.builds(tree.Attribute, NAMES, st.sampled_from(["contains", "like"]), st.tuples(WORDS)),
    st.builds(tree.Age, st.sampled_from(["subscribed", "seen"]), WITHIN),
    st.builds(tree.Event, EVENTS, COUNTS),
    st.builds(
        tree.Reaction, st.sampled_from(["shown", "clicked"]), st.none() | CAMPAIGNS, COUNTS
    ),
    st.builds(
        tree.Outcome,
        st.sampled_from(["sent", "accepted", "rejected"]),
        CAMPAIGNS,
        st.none() | WITHIN,
    ),
)


def joined(children: Any) -> Any:
    several = st.lists(children, min_size=2, max_size=3)
    return st.one_of(several.map(tree.all_of), several.map(tree.any_of), children.map(tree.Not))


EXPRESSIONS = st.recursive(CONDITIONS, joined, max_leaves=8)
HUMANS = st.builds(
    Human,
    fields=st.fixed_dictionaries(
        {name: st.none() | WORDS for name in FIELDS if name not in ("site",)}
    ),
    site=st.sampled_from(["shop", "a"]),
    attributes=st.dictionaries(NAMES, VALUES | st.none() | st.just(["a"]), max_size=2),
    subscribed_at=TIMES,
    last_seen_at=TIMES,
    tags=st.lists(
        st.tuples(TAGS, st.none() | st.sampled_from([NOON - 1, NOON, NOON + 1])),
        max_size=2,
        unique_by=lambda it: it[0],
    ),
    events=st.lists(st.tuples(EVENTS, TIMES), max_size=4),
    reactions=st.lists(
        st.tuples(st.sampled_from(["shown", "clicked"]), CAMPAIGNS, TIMES), max_size=4
    ),
    outcomes=st.lists(
        st.tuples(CAMPAIGNS, STATUSES, st.sampled_from([None, 201, 413]), TIMES),
        max_size=2,
        unique_by=lambda it: it[0],
    ),
)


@settings(max_examples=300, deadline=None)
@given(EXPRESSIONS)
def test_what_is_written_is_read_back(expression: tree.Expression) -> None:
    assert parse.parse(parse.text(expression)) == expression
    assert parse.explain(expression)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    people=st.lists(HUMANS, min_size=1, max_size=8),
    expressions=st.lists(EXPRESSIONS, min_size=1, max_size=8),
)
def test_sql_means_what_the_words_mean(
    tmp_path_factory: pytest.TempPathFactory,
    people: list[Human],
    expressions: list[tree.Expression],
) -> None:
    folder: Path = tmp_path_factory.mktemp("people")
    with database.create(folder / "pushctl.db") as store:
        send_to_nobody(store, "May", "June")
        rows = settle(store, people)
        for expression in expressions:
            meant = {
                row
                for row, human in zip(rows, people, strict=True)
                if means(expression, human, NOON)
            }
            assert set(store.audience.list_ids(expression, NOON)) == meant, tree.text(
                expression
            )
            assert store.audience.filter_ids(expression, rows, NOON) == meant
            assert store.audience.count(expression, NOON) == len(meant)


@pytest.mark.parametrize(
    ("typed", "remedy"),
    [
        ("language = tr", "Put texts in quotes: 'tr'."),
        ("country in (DE, AT)", "Put texts in quotes: 'DE'."),
        ("city contains Ber", "Put texts in quotes: 'Ber'."),
        ("tag(VIP)", "Put texts in quotes: 'VIP'."),
        ("not (laguage = 'tr')", "Did you mean language?"),
        ("tag 'VIP'", "Put it in brackets: ('VIP')."),
        ("tag = 'VIP'", "Write tag('VIP')."),
        ("language == 'tr'", "Write one = alone."),
        ("tag(‘VIP’)", "Write straight quotes: 'VIP'."),
        ("first_name = 'Zeynep'", "Is it an attribute? attribute('first_name')"),
    ],
)
def test_the_remedy_is_what_was_meant(typed: str, remedy: str) -> None:
    with pytest.raises(InputError) as caught:
        parse.parse(typed)
    assert str(caught.value).endswith(remedy)
