"""Tags: the first spelling is kept, case and spacing tell nothing apart, some expire."""

from pathlib import Path

import pytest

from pushctl.errors import InputError
from pushctl.rules.web import fields, reserved_tags
from pushctl.store import Store
from tests.support import DAY, NOON
from tests.support.posting import Browser, Project, make_project
from tests.support.rows import everybody


@pytest.fixture
def project(tmp_path: Path, store: Store) -> Project:
    return make_project(tmp_path, store)


@pytest.fixture
def people(project: Project) -> list[int]:
    project.drain(*(Browser(n, project.key).subscribe() for n in range(3)))
    return [one.id for one in everybody(project.store)]


@pytest.mark.parametrize(
    "spelling",
    [
        "Abandoned basket 1",
        "abandoned BASKET 1",
        " Abandoned  basket 1 ",
        "Abandoned basket 1",
    ],
)
def test_spellings_of_a_tag_are_one_tag(spelling: str, store: Store) -> None:
    tag = store.tags.ensure("Abandoned basket 1")
    assert store.tags.ensure(spelling) == tag
    assert [one.name for one in store.tags.list_counts(NOON)] == ["Abandoned basket 1"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ÇILGIN", "çılgın"),
        ("İNDİRİM", "İndirim"),
        ("indirim", "İndirim"),
        ("Straße", "STRASSE"),
        ("e\u0301t", "\u00c9T"),
    ],
)
def test_case_is_folded_in_every_language(one: str, other: str) -> None:
    assert fields.fold(one) == fields.fold(other)


@pytest.mark.parametrize(
    "name", ["سلة متروكة", "می\u200cخواهم", "割引", "🎉 sale", "prix\u202f10"]
)
def test_tags_may_be_written_in_any_script(name: str, store: Store) -> None:
    store.tags.ensure(name)
    assert store.tags.find(name) is not None


@pytest.mark.parametrize(
    "name", ["", "  ", "\x1b[31m", "a\0b", "a\tb", "a\nb", "\u202eevil", "x" * 256]
)
def test_what_is_no_tag_is_refused(name: str, store: Store) -> None:
    with pytest.raises(InputError):
        store.tags.ensure(name)


def test_reserved_names_are_known_in_any_spelling() -> None:
    for name in ("Pushctl:Staff", "ｐｕｓｈｃｔｌ：x", "puſhctl:paused", "push\u200cctl:x"):
        assert reserved_tags.is_reserved(name), name
    assert not reserved_tags.is_reserved("my pushctl:")


def test_counts_are_live(project: Project, people: list[int]) -> None:
    tags = project.store.tags
    assert tags.add(people, "News", NOON) == 3
    assert tags.add(people[:1], "News", NOON) == 0
    tags.add(people[:2], "Spring", NOON, expires_at=NOON + DAY)
    project.drain(Browser(0, project.key).post("/v1/unsubscribe"))
    before = {one.name: (one.active, one.total) for one in tags.list_counts(NOON)}
    after = {one.name: (one.active, one.total) for one in tags.list_counts(NOON + DAY)}
    assert before == {"News": (2, 3), "Spring": (1, 2)}
    assert after == {"News": (2, 3), "Spring": (0, 0)}


def test_an_expired_tag_is_gone_before_it_is_pruned(
    project: Project, people: list[int]
) -> None:
    tags, subscriptions = project.store.tags, project.store.subscriptions
    tags.add(people[:1], "Spring", NOON, expires_at=NOON + DAY)
    ref = everybody(project.store)[0].public_id
    assert subscriptions.get(ref, NOON).tags == ("Spring",)
    assert subscriptions.get(ref, NOON + DAY).tags == ()
    assert tags.expire(NOON + DAY) == 1
    assert subscriptions.get(ref).tags == ()


def test_putting_a_tag_on_again_renews_its_time(project: Project, people: list[int]) -> None:
    tags = project.store.tags
    tags.add(people[:1], "Spring", NOON, expires_at=NOON + DAY)
    assert tags.add(people[:1], "Spring", NOON + DAY) == 1  # it had run out
    assert tags.expire(NOON + 9 * DAY) == 0


def test_a_tag_that_nobody_got_is_none(store: Store) -> None:
    assert store.tags.add([], "Wholesale", NOON) == 0
    assert store.tags.find("Wholesale") is None
    with pytest.raises(InputError):
        store.tags.add([], "a\nb", NOON)


def test_taking_off_tells_from_how_many(project: Project, people: list[int]) -> None:
    project.store.tags.add(people[:2], "News", NOON)
    assert project.store.tags.remove(people, "NEWS") == 2
    assert project.store.tags.remove(people, "never was") == 0
