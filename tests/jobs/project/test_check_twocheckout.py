"""`check` says what is lost where a site sells over 2Checkout."""

from dataclasses import replace
from pathlib import Path

import pytest

from pushctl import config as configs
from pushctl import source_secrets
from pushctl.jobs.project import check, check_twocheckout
from pushctl.rules.shops.order import Line
from pushctl.rules.shops.sources import Source
from pushctl.rules.shops.told import Clues
from pushctl.rules.shops.twocheckout import Options
from tests.support import project
from tests.support.posting import Project
from tests.support.telling import record, tell_order

SOURCE = '[sources.checkout2]\nkind = "2checkout"\nsite = "shop"\n'
SITE = '[sites.shop.twocheckout]\nmerchant = "2COLNC"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return project.make(tmp_path / "project")


def find(folder: Path) -> list[tuple[str, str]]:
    config = configs.load(folder / "pushctl.toml", {})
    return [(text, remedy) for _, text, remedy in check_twocheckout.find_notes(config)]


def test_a_site_without_it_has_no_notes(folder: Path) -> None:
    assert find(folder) == []
    project.add(folder, SOURCE)
    assert find(folder) == []


def test_links_without_a_source(folder: Path) -> None:
    project.add(folder, SITE)
    ((text, remedy),) = find(folder)
    assert "no place for the Buy Link Secret Word" in text
    assert 'kind = "2checkout"' in remedy


@pytest.mark.parametrize(
    ("unsigned", "lost"), [("true", "the basket's key and the alias"), ("false", "no links")]
)
def test_links_without_the_secret_word(folder: Path, unsigned: str, lost: str) -> None:
    project.add(folder, f"{SOURCE}{SITE}unsigned = {unsigned}")
    ((text, remedy),) = find(folder)
    assert lost in text
    assert remedy == "Run: pushctl sources secret checkout2 --word buy-link"
    found = check.run(folder / "pushctl.toml", {})
    assert any(one.area == "sources" and one.text == text for one in found)
    source_secrets.set_word(folder / "keys", "checkout2", "buy-link", "tango")
    assert find(folder) == []


def test_md5_is_worth_a_note(folder: Path) -> None:
    project.add(folder, f"{SOURCE}md5 = true")
    ((text, _),) = find(folder)
    assert "MD5" in text


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ('merchant = "a b"', "sites.shop.twocheckout.merchant"),
        ("", "sites.shop.twocheckout.merchant: is missing"),
        ('merchant = "A"\nsource = "other"', "Write one of checkout2."),
        ('merchant = "A"\nreturn_url = "http://shop.example/"', "not an https URL"),
        ('merchant = "A"\nreturn_url = "https://shop.example/\\u015f"', "not an https URL"),
        ('merchant = "A"\nsecret = "tango"', "there is no such setting"),
    ],
)
def test_faults_of_the_settings(folder: Path, settings: str, fault: str) -> None:
    project.add(folder, f"{SOURCE}[sites.shop.twocheckout]\n{settings}")
    with pytest.raises(configs.ConfigError) as caught:
        configs.load(folder / "pushctl.toml", {})
    assert fault in str(caught.value)


def test_fields_that_never_come_are_named(inbox_project: Project) -> None:
    config = replace(
        inbox_project.config,
        sources={"checkout2": Source("checkout2", "2checkout", "shop", Options())},
    )

    def find_fields() -> list[str]:
        found = check_twocheckout.find_missing_fields(config, inbox_project.store)
        return [text for _, text, _ in found]

    assert find_fields() == []
    bare = tell_order("1", "paid", total=None)
    inbox_project.drain(record(bare, source="checkout2"), record(bare, source="other"))
    assert find_fields() == [
        "1 order came without any amount",
        "1 order came without any product",
        "1 order came without any clue to its buyer",
    ]
    lines = (Line("LAMP", "Lamp", 1, None),)
    whole = tell_order("2", "paid", lines=lines, clues=Clues(email_hash="e" * 64))
    inbox_project.drain(record(whole, source="checkout2"))
    assert find_fields() == []
