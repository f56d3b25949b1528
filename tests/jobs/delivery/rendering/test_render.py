"""ClaimedRow rows become letters; what is the same for many is rendered once."""

from typing import Any

import orjson
import pytest

from pushctl.errors import InputError, UsageError
from pushctl.jobs.delivery.rendering.render import Renderer
from pushctl.jobs.delivery.rendering.shared_texts import MAX_FRAMES
from pushctl.model import Cause
from pushctl.rules import tokens
from pushctl.store.ledger_rows import ClaimedRow, ReleasedRow
from pushctl.templates import Template
from tests.support import HOUR, NOON, sending
from tests.support.sending import Field


def claimed(sender: Field, count: int, **freeze: Any) -> tuple[Renderer, list[ClaimedRow]]:
    campaign = sender.freeze(**freeze)
    rows, _ = sender.store.deliveries.claim_fresh(campaign.id, 0, count, NOON)
    template = Template.from_sources(campaign.template, campaign.sources)
    return Renderer(campaign, template, sender.config, frozenset({sender.key})), rows


def rendered(renderer: Renderer) -> int:
    """Return how many renderings *renderer* keeps for others with the same values."""
    groups = {id(group): group for group in renderer._groups.values()}
    return sum(len(group._frames) for group in groups.values())


def test_one_text_for_all_is_rendered_once(sender: Field) -> None:
    sender.people(50)
    renderer, rows = claimed(sender, 50)
    items, without = renderer.render(rows, NOON)
    assert (len(items), without, rendered(renderer)) == (50, [], 1)


def test_the_token_alone_is_each_receivers_own(sender: Field) -> None:
    sender.people(2)
    renderer, rows = claimed(sender, 2)
    items, _ = renderer.render(rows, NOON)
    messages = [orjson.loads(item.letter.payload) for item in items]
    found = [message["notification"]["data"].pop("pushctl") for message in messages]
    secret = sender.config.secret()
    assert [tokens.read_message_token(secret, token) for token in found] == [
        row.id for row in rows
    ]
    assert messages[0] == messages[1]


def test_equal_values_share_a_rendering_and_others_do_not(sender: Field) -> None:
    sending.template(sender.config.folder, "city", title="Hi {{ attributes.n }}", body="x")
    values: list[Any] = [1, 1, 1.5, "1", True]
    for row, value in zip(sender.people(5), values, strict=True):
        sender.store.subscriptions.set_attributes(row, {"n": value})
    renderer, rows = claimed(sender, 5, template="city")
    items, _ = renderer.render(rows, NOON)
    titles = [orjson.loads(it.letter.payload)["notification"]["title"] for it in items]
    assert titles == ["Hi 1", "Hi 1", "Hi 1.5", "Hi 1", "Hi True"]
    assert rendered(renderer) == 4


def test_many_different_texts_do_not_fill_the_memory(sender: Field) -> None:
    sending.template(sender.config.folder, "own", title="{{ subscriber.id }}", body="x")
    sender.people(3)
    renderer, rows = claimed(sender, 3, template="own")
    many = [
        row._replace(id=number, public_id=str(number))
        for number in range(2 * MAX_FRAMES)
        for row in rows[:1]
    ]
    renderer.render(many, NOON)
    assert rendered(renderer) <= MAX_FRAMES + 1


def test_the_letter_asks_for_what_is_left_of_the_messages_life(sender: Field) -> None:
    sender.people(1)
    renderer, rows = claimed(sender, 1, ttl="2h", urgency="high")
    (item,), _ = renderer.render(rows, NOON + HOUR)
    assert (item.letter.ttl, item.letter.urgency) == (3600, "high")


def test_a_mistake_of_ours_is_told_as_one_and_logged_once_with_its_place(
    sender: Field, caplog: pytest.LogCaptureFixture
) -> None:
    sending.template(sender.config.folder, "city", title="Hi {{ attributes.n }}", body="x")
    row = sender.people(1)[0]
    sender.store.subscriptions.set_attributes(row, {"n": 1})
    renderer, (one,) = claimed(sender, 1, template="city")
    damaged = [one._replace(attributes="{") for _ in range(3)]
    items, without = renderer.render([*damaged, one], NOON)
    assert len(items) == 1
    assert {it.status for it in without} == {"rejected"}
    assert all(it.reason.startswith("a fault of pushctl") for it in without)
    assert all("JSONDecodeError" in it.reason for it in without)
    assert all("campaigns retry" in it.reason for it in without)
    (record,) = [it for it in caplog.records if it.getMessage() == "message left out"]
    assert record.exc_info


def test_an_unknown_key_and_an_unknown_site_are_told(sender: Field) -> None:
    sender.people(1)
    renderer, (row,) = claimed(sender, 1)
    strange = [row._replace(key_id="other"), row._replace(site="closed")]
    items, without = renderer.render(strange, NOON)
    assert items == []
    assert [(it.status, "other" in it.reason or "closed" in it.reason) for it in without] == [
        ("skipped", True),
        ("rejected", True),
    ]


@pytest.mark.parametrize(
    ("wish", "spoken"),
    [
        ({"message": "سلتك محفوظة", "language": "ar_EG"}, ("ar-EG", "rtl")),
        ({"message": "سلتك محفوظة"}, ("en", "rtl")),
        ({"message": "{{ site.name }}: سلتك"}, ("en", "rtl")),
        ({"message": "Acme: سلتك"}, ("en", "ltr")),
        ({"message": "Your basket"}, ("en", "ltr")),
        ({"message": "Acme!", "language": "he"}, ("he", "rtl")),
    ],
)
def test_a_message_by_hand_runs_as_its_words_do(
    sender: Field, wish: dict[str, str], spoken: tuple[str, str]
) -> None:
    sender.people(1, language="tr")
    renderer, rows = claimed(sender, 1, template=None, **wish)
    (item,), _ = renderer.render(rows, NOON)
    shown = orjson.loads(item.letter.payload)["notification"]
    assert (shown["lang"], shown["dir"]) == spoken


@pytest.mark.parametrize(
    "wish", [{"language": "ar"}, {"template": None, "message": "x", "language": "not a tag"}]
)
def test_a_language_belongs_to_a_message_by_hand(sender: Field, wish: dict[str, str]) -> None:
    sender.people(1)
    with pytest.raises((UsageError, InputError), match="language"):
        sender.freeze(**wish)


def test_days_are_rendered_for_each_time_zone(sender: Field) -> None:
    title = "{{ attributes.until|date('short') }}"
    sending.template(sender.config.folder, "until", title=title, body="x")
    for row, zone in zip(sender.people(3), ("Asia/Tokyo", "UTC", "Asia/Tokyo"), strict=True):
        sender.store.subscriptions.set_attributes(row, {"until": "2026-12-24T20:00:00Z"})
        with sender.store.write() as db:
            db.execute("UPDATE subscriptions SET timezone = ? WHERE id = ?", (zone, row))
    renderer, rows = claimed(sender, 3, template="until")
    items, _ = renderer.render(rows, NOON)
    titles = [orjson.loads(it.letter.payload)["notification"]["title"] for it in items]
    assert titles == ["12/25/26", "12/24/26", "12/25/26"]
    assert rendered(renderer) == 2


@pytest.mark.parametrize(
    ("title", "reads"),
    [
        ("Hi", False),
        ("Hi {{ attributes.n }} {{ subscriber.language }}", False),
        ("Hi {{ subscriber.city }}", True),
        ("{% if subscriber.country == 'TR' %}Hi{% else %}Ho{% endif %}", True),
    ],
)
def test_a_claim_reads_of_a_person_what_the_texts_need(
    sender: Field, title: str, reads: bool
) -> None:
    sending.template(sender.config.folder, "own", title=title, body="x")
    sender.people(3)
    renderer, rows = claimed(sender, 3, template="own")
    assert renderer.reads_persons is reads
    assert all(row.public_id for row in rows)


def test_a_brief_claim_has_all_that_comes_first(sender: Field) -> None:
    sender.people(3)
    campaign = sender.freeze()
    brief, _ = sender.store.deliveries.claim_fresh(campaign.id, 0, 3, NOON, brief=True)
    sender.store.deliveries.release([ReleasedRow(row.id) for row in brief], NOON)
    full, _ = sender.store.deliveries.claim_fresh(campaign.id, 0, 3, NOON)
    read = ClaimedRow._fields.index("worker") + 1
    assert [tuple(row) for row in brief] == [row[:read] for row in full]
    with pytest.raises(IndexError):
        _ = brief[0].public_id
    assert repr(brief[0]) == f"ClaimedRow(id={brief[0].id})"


def test_rows_that_a_worker_writes_are_judged_as_those_that_are_written_here(
    sender: Field,
) -> None:
    """Of a list in which neighbours differ in all that chooses a text, and twice the same."""
    folder = sender.config.folder / "templates" / "sale"
    (folder / "de.toml").write_text('title = "Hallo"\nbody = "x"\n')
    sender.people(12)
    renderer, rows = claimed(sender, 12)
    other = {"endpoint": "https://fcm.googleapis.com/fcm/send/x", "failures": 2, "tries": 3}
    changes: list[dict[str, Any]] = [
        {}, {"language": "de"}, {"worker": "onesignal"}, {"key_id": "lost"}, {"site": "gone"},
        other,
    ]  # fmt: skip
    mixed = [row._replace(**changes[number % len(changes)]) for number, row in enumerate(rows)]
    prepared, without = renderer.prepare(mixed, NOON)
    written, ended = renderer.render(mixed, NOON)
    assert [it.letter for it in prepared] == [row for row in mixed if row not in [
        one for one in mixed if one.key_id == "lost" or one.site == "gone"
    ]]  # fmt: skip
    assert [it[1:] for it in prepared] == [it[1:] for it in written]
    assert {it.language for it in prepared} == {"en", "de"}
    assert without == ended
    assert {it.cause for it in without} == {Cause.KEY_MISSING, Cause.NO_MESSAGE}
