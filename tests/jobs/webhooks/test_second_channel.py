"""
A second channel from end to end: an invitation without a code leads to a form, the form brings
the code once, and the shop's program or receiver gets the person with the words they agreed to.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pushctl.errors import NotFoundError
from pushctl.jobs.ingest import revocations
from pushctl.jobs.project.release import release
from pushctl.jobs.subscribers import channel_consents, personal_data
from pushctl.jobs.webhooks import channels
from pushctl.model import Millis
from pushctl.rules.triggers.consents import fold_channel
from pushctl.store import Store
from tests.jobs.webhooks.test_channels import PROGRAM, Calling
from tests.support import HOUR, MINUTE, NOON, webhooks
from tests.support.webhooks import URL, Receiver

WORDS = "I agree that Lamps Ltd sends me offers by SMS. I can stop them at any time."
TRIGGERS = f"""
[triggers.form_invitation]
on      = "subscribed"
goal    = {{ event = "form_filled", within = "7d" }}
reentry = "never"
steps   = [{{ after = "1h", template = "one" }}]

[triggers.second_channel]
on        = "form_filled"
cancel_on = "channel_revoked"
reentry   = "never"
steps = [
  {{ template = "two", promo = "FORM10" }},
  {{ after = "1m", exec = ["./sms.sh"], consent = "sms", promo = "FORM10" }},
  {{ after = "2m", webhook = "crm", consent = "Viber" }},
]

[[webhooks]]
name = "crm"
url  = "{URL}"
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhooks.receiving() as opened:
        yield opened


@pytest.fixture
def calling(tmp_path: Path, store: Store, receiver: Receiver) -> Calling:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/secret").write_bytes(bytes(32))
    made = Calling(tmp_path, store, TRIGGERS + receiver.settings)
    made.install(PROGRAM)
    return made


def fill(shop: Calling, person: int, at: Millis, channel: str = "sms", **more: Any) -> None:
    told = {"consent": WORDS, "page": "https://shop.example/club", **more}
    shop.event(person, "form_filled", at, channel=channel, **told)


def go_on(shop: Calling, since: Millis, minutes: int = 3) -> None:
    for minute in range(minutes + 1):
        now = since + minute * MINUTE
        shop.sweep(now)
        channels.run_due(shop.store, shop.config, now, 5.0)


def test_an_invitation_a_form_one_code_and_a_call(calling: Calling, receiver: Receiver) -> None:
    ann = calling.person()
    calling.event(ann, "subscribed", NOON)
    go_on(calling, NOON + HOUR, 0)
    assert [name for name, _ in calling.got(ann)] == ["form_invitation/1"]
    invitation = calling.store.campaigns.get("form_invitation/1")
    assert "extra" not in invitation.options  # a push without a code

    at = NOON + 2 * HOUR
    fill(calling, ann, at)
    go_on(calling, at)
    assert [name for name, _ in calling.got(ann)][1:] == ["second_channel/1"]
    coded = calling.store.campaigns.get("second_channel/1")
    assert coded.options["extra"] == {"promo": "FORM10"}
    (told,) = calling.list_called()
    assert told["data"]["promo"] == "FORM10"
    assert told["data"]["consent"] == {
        "channel": "sms",
        "text": WORDS,
        "page": "https://shop.example/club",
        "at": "2026-04-28T10:00:00.000Z",
    }
    assert receiver.got == []  # nobody agreed to Viber
    assert ("skip", "no consent to Viber") in calling.why(ann)

    fill(calling, ann, at + HOUR)  # the form again: no second code, no second call
    go_on(calling, at + HOUR)
    assert len(calling.got(ann)) == 2
    assert len(calling.list_called()) == 1
    assert len(calling.store.channel_consents.list_given("sms")) == 1


def test_a_receiver_gets_the_words_too(calling: Calling, receiver: Receiver) -> None:
    ann = calling.person()
    fill(calling, ann, NOON, "viber")
    go_on(calling, NOON)
    (got,) = receiver.got
    assert got.json()["data"]["consent"]["text"] == WORDS
    assert calling.list_called() == []


def test_a_form_without_words_gives_no_consent(calling: Calling) -> None:
    ann = calling.person()
    fill(calling, ann, NOON, consent=None)
    go_on(calling, NOON)
    assert calling.list_called() == []
    assert ("skip", "no consent to sms") in calling.why(ann)


def test_a_revocation_counts_on_all_devices_and_up_to_the_call(calling: Calling) -> None:
    ann, phone, bob = calling.person(), calling.person(), calling.person()
    with calling.store.write() as db:
        sign = "UPDATE subscriptions SET alias = 'ann', alias_trusted = 1 WHERE id IN (?, ?)"
        db.execute(sign, (ann, phone))
    fill(calling, ann, NOON)
    fill(calling, bob, NOON)
    calling.sweep(NOON)
    calling.sweep(NOON + MINUTE)  # both are decided ...
    count = channel_consents.revoke(calling.store, str(phone), "SMS", NOON + MINUTE)
    assert count == 1
    with pytest.raises(NotFoundError, match="no consent to sms"):
        channel_consents.revoke(calling.store, str(ann), "sms", NOON + MINUTE)
    calling.call(NOON + MINUTE)  # ... and one has taken it back
    assert len(calling.list_called()) == 1
    assert sorted(map(str, calling.read_states())).count(
        "('skipped', 'no consent to sms any more')"
    ) == 1  # fmt: skip
    calling.event(bob, "channel_revoked", NOON + HOUR, channel="sms")
    calling.sweep(NOON + HOUR)
    given = calling.store.channel_consents.list_given(None, revoked=True)
    assert [one.revoked_at for one in given] == [NOON + HOUR, NOON + MINUTE]
    fill(calling, bob, NOON + 2 * HOUR)  # agreed anew: a new row, the old one stays
    calling.sweep(NOON + 2 * HOUR)
    assert len(calling.store.channel_consents.list_given("sms", revoked=True)) == 3


def test_a_backup_brings_back_no_consent_that_was_revoked_since(calling: Calling) -> None:
    ann, bob, cem = people = [calling.person() for _ in range(3)]
    for one in people:
        fill(calling, one, NOON)
    calling.sweep(NOON)
    backup = sqlite3.connect(":memory:")
    calling.store.connection.backup(backup)
    channel_consents.revoke(calling.store, str(ann), "sms", NOON + MINUTE)
    calling.event(bob, "channel_revoked", NOON + HOUR, channel="sms")
    calling.sweep(NOON + HOUR)
    backup.backup(calling.store.connection)
    assert sorted(calling.store.channel_consents.find_open(people)) == people
    counts = release(calling.store, calling.config, NOON + 2 * HOUR)
    assert counts["consents that were revoked since"] == 2
    assert sorted(calling.store.channel_consents.find_open(people)) == [cem]
    assert revocations.revoke_returned(calling.store) == 0
    backup.close()


def test_an_older_word_does_not_undo_a_newer_one(calling: Calling) -> None:
    ann = calling.person()
    fill(calling, ann, NOON + HOUR)
    calling.event(ann, "channel_revoked", NOON, channel="sms", received_at=NOON + HOUR)
    calling.sweep(NOON + HOUR)
    assert len(calling.store.channel_consents.list_given("sms")) == 1


def test_it_is_personal_data_and_goes_with_the_person(calling: Calling) -> None:
    ann = calling.person()
    fill(calling, ann, NOON)
    calling.sweep(NOON)
    who = calling.store.subscriptions.get(str(ann), NOON)
    assert WORDS in personal_data.render(calling.store, [who], NOON, keys=False)
    calling.store.erasure.erase([ann], NOON)
    assert calling.store.channel_consents.list_given(None, revoked=True) == []


@pytest.mark.parametrize(
    ("given", "name"), [(" SMS ", "sms"), ("", None), (7, None), ("x" * 500, None)]
)
def test_a_channel_is_a_short_text(given: Any, name: str | None) -> None:
    assert fold_channel(given) == name


def test_a_code_of_a_pool_is_bound_once_however_often_the_form_is_filled(
    calling: Calling,
) -> None:
    codes = calling.store.promo_codes
    pool = codes.create("FORM10", 0, NOON)
    codes.add(pool.id, ["A7KQ2M", "B9XW4T", "C3RD8Z"])
    ann = calling.person()
    fill(calling, ann, NOON)
    go_on(calling, NOON)
    (told,) = calling.list_called()
    assert told["data"]["promo"] in ("A7KQ2M", "B9XW4T", "C3RD8Z")
    fill(calling, ann, NOON + HOUR)
    go_on(calling, NOON + HOUR)
    assert len(calling.list_called()) == 1
    assert codes.count_free(pool.id) == 2
