"""Who reads a language in which a text is missing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pushctl import config as configs
from pushctl.config import Config
from pushctl.errors import TemplateError
from pushctl.jobs.messages.missing_languages import Missing, count_readers, find_missing
from pushctl.store import Store
from pushctl.templates import Template
from tests.support import project, sending
from tests.support.program import pushctl

TEXT = 'title = "T"\nbody = "B"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a project that is written in English, Arabic and Turkish, and has 9 people."""
    made = project.make(tmp_path, "--languages", "en,ar,tr")
    config = configs.load(made / "pushctl.toml", {})
    with Store(config.database) as store:
        people = sending.Field(config, store, "k")
        for first, (tag, count) in enumerate(
            {"tr-TR": 4, "en": 2, "ar": 1, "de": 1, None: 1}.items()
        ):
            people.people(count, language=tag, tag="Sale", first=first * 10)
    for tag in ("en", "ar"):
        (made / "templates/sale").mkdir(exist_ok=True)
        (made / f"templates/sale/{tag}.toml").write_text(TEXT)
    return made


def load(folder: Path) -> Config:
    return configs.load(folder / "pushctl.toml", {})


def made(*tags: str) -> Template:
    return Template.from_sources("sale", {f"{tag}.toml": TEXT for tag in tags})


def count(folder: Path, *tags: str, **people: int) -> Any:
    counts = [("shop", None if tag == "unknown" else tag, n) for tag, n in people.items()]
    return count_readers(load(folder), made(*tags), counts)


def test_people_of_a_sites_language_without_a_text_are_counted(folder: Path) -> None:
    found = count(folder, "en", "ar", tr=71, en=5, ar=3)
    assert found.missing == (Missing("shop", "tr", "en", 71),)
    assert str(found.missing[0]) == "71 people who read tr get en"
    assert found.texts == {"en": 76, "ar": 3}
    assert str(count(folder, "en", tr=1).missing[0]) == "1 person who reads tr gets en"


def test_a_country_reads_its_language_and_a_language_that_nobody_writes_is_not_missing(
    folder: Path,
) -> None:
    assert count(folder, "en", "tr", **{"tr-CY": 5}).missing == ()
    assert count(folder, "en", **{"tr-CY": 5}).missing[0].reads == "tr"
    assert count(folder, "en", de=5).missing == ()


def test_an_unknown_language_is_unknown_and_not_the_sites(folder: Path) -> None:
    found = count(folder, "en", unknown=4, en=1)
    assert (found.unknown, found.missing, found.texts) == (4, (), {"en": 5})


def test_people_of_a_site_that_is_gone_are_named(folder: Path) -> None:
    with pytest.raises(TemplateError, match="3 receivers belong to the site 'old'"):
        count_readers(load(folder), made("en"), [("old", "en", 3)])


def test_all_active_people_are_counted_for_each_template(folder: Path) -> None:
    config = load(folder)
    with Store(config.database) as store:
        whole = replace(made("en", "ar", "tr"), name="whole")
        found = find_missing(store, config, [made("en", "ar"), whole])
        assert found == {"sale": (Missing("shop", "tr", "en", 4),)}


def test_send_preview_and_check_say_who_gets_another_language(folder: Path) -> None:
    said = "4 people who read tr get en"
    sent = pushctl("send", "--everyone", "--template", "sale", "--dry-run", cwd=folder)
    assert f"{said}: sale has no text in tr" in sent.err
    assert "texts: en 8, ar 1 (1 of unknown language)" in sent.out
    shown = pushctl("templates", "preview", "sale", cwd=folder)
    assert f"{said}: sale has no text in tr" in shown.err
    checked = pushctl("check", cwd=folder)
    assert f"1 template (sale) without a text in tr: {said}" in " ".join(checked.out.split())
    (folder / "templates/sale/tr.toml").write_text(TEXT)
    for words in (("check",), ("templates", "preview", "sale")):
        again = pushctl(*words, cwd=folder)
        assert said not in again.out + again.err
