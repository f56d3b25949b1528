"""Templates made of themes, copied, and kept up to date in every language."""

import json
from pathlib import Path
from typing import Any

import pytest

from pushctl import shipped, templates
from pushctl.jobs.messages import themes
from pushctl.templates import Template
from pushctl.templates.translations import find_standing, write_marks
from tests.support import project
from tests.support.program import pushctl


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return project.make(tmp_path, "--languages", "en,tr")


def listed(folder: Path, name: str) -> dict[str, Any]:
    shown = pushctl("templates", "list", "--json", cwd=folder)
    assert shown.code == 0, shown.err
    return next(one for one in json.loads(shown.out) if one["name"] == name)


def run(folder: Path, *words: str, code: int = 0) -> str:
    shown = pushctl("templates", *words, cwd=folder)
    assert shown.code == code, shown.out + shown.err
    return " ".join((shown.out + shown.err).split())


def test_every_theme_says_what_it_is_for() -> None:
    found = list(themes.list_themes())
    assert {"reminder", "personal_discount", "better_model"} <= {one.name for one in found}
    assert all(one.purpose and themes.MAIN in one.languages for one in found)


def test_a_new_template_has_the_sites_languages_and_is_ready(folder: Path) -> None:
    said = run(folder, "new", "summer_sale", "--from", "personal_discount")
    assert "made in en, tr" in said and "templates preview summer_sale" in said
    assert listed(folder, "summer_sale")["languages"] == ["en", "tr"]
    made = {file.name for file in (folder / "templates/summer_sale").iterdir()}
    assert made == {"message.toml", "en.toml", "tr.toml"}
    run(folder, "preview", "summer_sale", "--language", "tr")


def test_a_language_without_a_text_is_there_in_english_and_called_not_translated(
    folder: Path,
) -> None:
    said = run(folder, "new", "sale", "--from", "reminder", "--languages", "en,fi,tr-CY")
    assert "Still English, for you to translate: fi" in said
    row = listed(folder, "sale")
    assert (row["languages"], row["copied"]) == (["en", "fi", "tr-CY"], ["fi"])
    assert "fi" in row["unreviewed"]
    marked = run(folder, "translated", "sale", "--language", "fi")
    assert "still the text in en, word for word" in marked
    assert listed(folder, "sale")["copied"] == ["fi"]


@pytest.mark.parametrize(
    ("words", "code", "fault"),
    [
        (["new", "welcome", "--from", "reminder"], 2, "exists already"),
        (["new", "../x", "--from", "reminder"], 2, "can't be the name"),
        (["new", "x", "--from", "remindr"], 4, "Did you mean 'reminder'?"),
        (["new", "x", "--from", "reminder", "--languages", "EN"], 2, "no language"),
        (["copy", "nothing", "x"], 4, "no template 'nothing'"),
        (["copy", "welcome", "reminder"], 2, "exists already"),
        (["translated", "welcome", "--language", "fi"], 4, "no text in fi"),
        (["reviewed", "--language", "fi"], 4, "no template has a text in fi"),
        (["translated", "welcome", "--language", "en"], 2, "translates no other text"),
    ],
)
def test_what_cant_be_made_is_said_and_leaves_nothing(
    folder: Path, words: list[str], code: int, fault: str
) -> None:
    before = sorted(folder.glob("templates/**/*"))
    assert fault in run(folder, *words, code=code)
    assert sorted(folder.glob("templates/**/*")) == before


def test_a_copy_has_every_file(folder: Path) -> None:
    home = folder / "templates/welcome"
    (home / "vip").mkdir()
    (home / "vip/en.toml").write_text('title = "V"\nbody = "B"\n')
    (home / "en.b.toml").write_text('title = "B"\nbody = "B"\n')
    run(folder, "copy", "welcome", "hello")
    read = templates.read(folder / "templates", "hello")
    assert read == templates.read(folder / "templates", "welcome")
    assert {"vip/en.toml", "en.b.toml", "tr.toml"} <= set(read)


def test_a_translation_is_outdated_once_its_text_says_something_else(folder: Path) -> None:
    home = folder / "templates/sale"
    home.mkdir()
    english = home / "en.toml"
    english.write_text('title = "Sale"\nbody = """\nToday\nonly"""\n')
    (home / "tr.toml").write_text('# ours\ntitle = "İndirim"\nbody = "Yalnızca bugün"\n')
    assert listed(folder, "sale")["outdated"] == []  # nobody knows of what it is one
    assert "tr.toml: marked, a translation of en" in run(
        folder, "translated", "sale", "--language", "tr"
    )
    assert (home / "tr.toml").read_text().startswith('of = "en ')
    # Set otherwise, the words are the same; and no time of a file counts.
    english.write_text('# new\ntitle = "Sale"\nbody = "Today only"\nurl = "/now"\n')
    assert listed(folder, "sale")["outdated"] == []
    english.write_text('title = "Sale"\nbody = "Until Sunday"\n')
    assert listed(folder, "sale")["outdated"] == ["tr"]
    checked = pushctl("check", cwd=folder)
    assert "1 text (sale/tr) older than the text" in " ".join(checked.out.split())
    run(folder, "translated", "--language", "tr")
    assert listed(folder, "sale")["outdated"] == []
    assert "said so already" in run(folder, "translated", "sale", "--language", "tr")


def test_a_text_that_was_read_loses_its_mark_and_nothing_else(folder: Path) -> None:
    file = folder / "templates/sale/tr.toml"
    file.parent.mkdir()
    file.write_text('# ours\nreviewed = false\ntitle = "T"  # short\nbody = "B"\n')
    file.with_name("en.toml").write_text('title = "A"\nbody = "B"\n')
    assert listed(folder, "sale")["unreviewed"] == ["tr"]
    checked = pushctl("check", cwd=folder)
    assert "not yet read by somebody who speaks" in " ".join(checked.out.split())
    (line,) = [one for one in checked.out.splitlines() if "not yet read" in one]
    assert line.startswith("✓ templates")  # a hint, and no warning
    run(folder, "reviewed", "sale", "--language", "tr")
    assert listed(folder, "sale")["unreviewed"] == []
    of, *rest = file.read_text().splitlines()
    assert of.startswith('of = "en ')
    assert rest == ["# ours", 'title = "T"  # short', 'body = "B"']


def test_thanks_for_buyers_come_along_and_are_marked_as_read(folder: Path) -> None:
    run(folder, "new", "basket", "--from", "abandoned_basket_1", "--languages", "en,fi,tr-CY")
    home = folder / "templates/basket"
    assert {file.name for file in home.glob("*.bought.toml")} == {
        "en.bought.toml", "fi.bought.toml", "tr-CY.bought.toml",
    }  # fmt: skip
    assert "Thank you" in (home / "fi.bought.toml").read_text()  # still English, like fi.toml
    unread = ["fi", "tr-CY", "fi.bought", "tr-CY.bought"]
    assert listed(folder, "basket")["unreviewed"] == unread
    run(folder, "translated", "basket", "--language", "tr-CY")  # they translate nothing
    assert listed(folder, "basket")["unreviewed"] == unread
    said = run(folder, "reviewed", "basket", "--language", "tr-CY")
    assert "basket/tr-CY.bought.toml: marked" in said
    assert listed(folder, "basket")["unreviewed"] == ["fi", "fi.bought"]
    run(folder, "copy", "basket", "other")
    assert listed(folder, "other")["unreviewed"] == ["fi", "fi.bought"]
    shown = json.loads(run(folder, "preview", "other", "--language", "tr-CY", "--json"))
    assert shown["thanks"]["title"] == "Siparişiniz için teşekkürler"
    assert shown["thanks"]["title"] in run(folder, "preview", "other", "--language", "tr-CY")


def test_marks_are_kept_apart_by_segment_and_variant() -> None:
    made = Template.from_sources(
        "t",
        {
            "en.toml": 'title = "A"\nbody = "A"\n',
            "en.b.toml": 'title = "B"\nbody = "B"\n',
            "tr.toml": 'of = "en 00000000"\ntitle = "C"\nbody = "C"\n',
            "tr.b.toml": 'of = "en 00000000"\ntitle = "D"\nbody = "D"\n',
        },
    )
    assert find_standing(made.texts).outdated == ("tr.b", "tr")
    plain = made.choose("en", (), "en")
    mended = write_marks('title = "C"\nbody = "C"\n', f"en {plain.words}", False)
    again = Template.from_sources("t", {"en.toml": 'title="A"\nbody="A"', "tr.toml": mended})
    assert find_standing(again.texts) == ((), (), ())


def test_every_shipped_translation_is_of_the_english_text_as_it_is() -> None:
    folder = shipped.find("templates")
    for name in templates.list_names(folder):
        made = Template.from_sources(name, templates.read(folder, name))
        standing = find_standing(made.texts)
        assert (standing.outdated, standing.copied) == ((), ()), name
        assert all(text.of for text in made.texts if text.language != themes.MAIN), name
