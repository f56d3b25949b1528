"""`pushctl send-test`: one real message, that counts nowhere."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pushctl.demo.pushservice import PushService
from pushctl.rules.units import DAY
from tests.support import sending
from tests.support.program import pushctl
from tests.support.sending import Field, soon


@pytest.fixture(scope="module")
def service() -> Iterator[PushService]:
    with PushService(checks=False) as running:
        yield running


@pytest.fixture
def field(tmp_path: Path, service: PushService) -> Iterator[Field]:
    service.play([])
    made = sending.field(tmp_path)
    sending.lead_to(made.config.folder, service)
    made.people(3, now=soon())
    home = made.config.templates / "sale"
    (home / "en.b.toml").write_text('title = "Sale B"\nbody = "B"\n')
    (home / "ar.toml").write_text('title = "تخفيضات"\nbody = "اليوم"\n', "utf-8")
    yield made
    made.store.close()


def name(field: Field, number: int = 0) -> str:
    rows = [row for (row,) in field.store.connection.execute("SELECT id FROM subscriptions")]
    (person,) = field.store.subscriptions.get_many([rows[number]])
    return person.public_id


def count(field: Field) -> dict[str, int]:
    sql = "SELECT status, count(*) FROM deliveries GROUP BY status"
    return dict(field.store.connection.execute(sql).fetchall())


def run(field: Field, *words: str, code: int = 0) -> str:
    shown = pushctl("send-test", *words, cwd=field.config.folder)
    assert shown.code == code, shown.out + shown.err
    return shown.out + shown.err


def read(field: Field, *words: str) -> Any:
    shown = pushctl(*words, "--json", cwd=field.config.folder)
    assert shown.code == 0, shown.err
    return json.loads(shown.out)


def test_a_test_goes_out_and_counts_nowhere(field: Field) -> None:
    said = run(field, "sale", "--to", name(field))
    assert "A test for 1 browser: it counts in no figures." in said
    assert "accepted" in said
    assert count(field) == {"accepted": 1}
    assert read(field, "stats") == [] == read(field, "campaigns", "list")
    (campaign,) = field.store.campaigns.list_newest()
    assert read(field, "campaigns", "show", campaign.name)
    # Neither the frequency cap nor a broadcast of the same texts knows of it.
    rows = [row for (row,) in field.store.connection.execute("SELECT id FROM subscriptions")]
    assert field.store.histories.list_messages(rows, soon() - DAY) == []
    sent = pushctl("send", "--everyone", "--template", "sale", "--yes", cwd=field.config.folder)
    assert (sent.code, count(field)) == (0, {"accepted": 4}), sent.err
    assert len(field.store.histories.list_messages(rows, soon() - DAY)) == 3
    assert [row["planned"] for row in read(field, "stats")] == [3]


def test_language_and_variant_may_be_chosen(field: Field) -> None:
    assert "تخفيضات" in run(field, "sale", "--to", name(field), "--language", "ar")
    assert "Sale B" in run(field, "sale", "--to", name(field), "--variant", "b")
    with field.store.write() as connection:
        languages = connection.execute("SELECT language, variant FROM deliveries").fetchall()
    # The variant is of no experiment, so its row says none.
    assert languages == [("ar", None), ("en", None)]
    told = pushctl("explain", name(field), cwd=field.config.folder).out
    assert ("sale/ar.toml: تخفيضات" in told, "sale/en.b.toml: Sale B" in told) == (True, True)


def test_a_language_without_the_variant_says_which_text_goes_out(field: Field) -> None:
    said = run(field, "sale", "--to", name(field), "--language", "ar", "--variant", "b")
    assert "ar.toml goes out: it has no variant b beside it" in said


def test_explain_shows_the_plain_text_beside_a_variant(field: Field) -> None:
    run(field, "sale", "--to", name(field))
    told = pushctl("explain", name(field), cwd=field.config.folder).out
    assert ("sale/en.toml: Sale" in told, "en.b.toml" in told) == (True, False)


def test_a_basket_and_a_code_have_sample_values(field: Field) -> None:
    home = field.config.templates / "basket"
    home.mkdir()
    text = (
        'title = "{{ cart.names|first }}"\nbody = "{{ promo }} {{ event.points }}"\n'
        '[actions]\ngo = "Go"\n'
    )
    (home / "en.toml").write_text(text)
    (home / "message.toml").write_text(
        "url = \"{{ restore_url|link }}\"\n[[actions]]\naction = 'go'\n"
    )
    said = run(field, "basket", "--to", name(field))
    assert "Brass lamp" in said and "SAMPLE10 120" in said
    assert "sample values where somebody has none: cart, event, promo, restore_url" in said
    assert count(field) == {"accepted": 1}


@pytest.mark.parametrize(
    ("words", "code", "fault"),
    [
        (["nothing"], 4, "no template 'nothing'"),
        (["sale", "--language", "fi"], 4, "no text in 'fi': ar, en"),
        (["sale", "--variant", "c"], 4, "no variant 'c'; it has a, b"),
        (["sale", "--to", "nobody"], 4, "nobody"),
    ],
)
def test_a_wrong_wish_sends_nothing(
    field: Field, words: list[str], code: int, fault: str
) -> None:
    assert fault in run(field, *words, "--to", name(field), code=code)
    assert count(field) == {}


def test_a_value_of_the_person_is_not_made_up(field: Field) -> None:
    home = field.config.templates / "named"
    home.mkdir()
    (home / "en.toml").write_text('title = "{{ attributes.first_name }}"\nbody = "B"\n')
    assert "first_name" in run(field, "named", "--to", name(field), code=3)
    assert count(field) == {}


def test_a_test_is_for_a_few(field: Field) -> None:
    field.people(20, first=100, now=soon())
    everybody = [it for number in range(21) for it in ("--to", name(field, number))]
    assert "at most 20 browsers, not 21" in run(field, "sale", *everybody, code=2)
