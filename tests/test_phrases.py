"""Words that templates share: templates/phrases.toml."""

from pathlib import Path

import pytest

from pushctl import templates
from pushctl.errors import TemplateError
from pushctl.rules.messages import values
from pushctl.rules.messages.content import hash_content
from pushctl.templates import Template
from tests.support import project
from tests.support.program import pushctl

SITE = values.site("shop", "https://shop.example", "The Shop")
PHRASES = """\
[delivery]
en = "Free delivery"
tr = "Ücretsiz kargo"
ar = "توصيل مجاني"

[returns]
en = "30 days to return it"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "phrases.toml", PHRASES)
    return tmp_path


def write(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, "utf-8")


def load(folder: Path, **bodies: str) -> Template:
    for tag, body in bodies.items():
        write(folder / f"sale/{tag}.toml", f"title = 'Sale'\nbody = '''\n{body}'''\n")
    return Template.from_sources("sale", templates.read(folder, "sale"))


def read(made: Template, tag: str) -> str:
    text = made.choose(tag, (), "en")
    return text.render({"site": SITE}).body


def find_problems(folder: Path, **bodies: str) -> list[str]:
    with pytest.raises(TemplateError) as caught:
        load(folder, **bodies)
    return [f"{it.place}: {it.fault}" for it in caught.value.problems]


def test_each_language_has_its_words(folder: Path) -> None:
    body = "{{ phrases.delivery }} - {{ phrases['delivery']|upper }}."
    made = load(folder, en=body, tr=body, ar=body)
    assert read(made, "en") == "Free delivery - FREE DELIVERY."
    assert read(made, "tr") == "Ücretsiz kargo - ÜCRETSİZ KARGO."
    assert read(made, "ar").startswith("توصيل مجاني - ")  # its own words: no isolate
    assert made.choose("tr", (), "en").variables == frozenset()


def test_a_country_has_its_languages_words(folder: Path) -> None:
    made = load(folder, en="-", **{"tr-CY": "{{ phrases.delivery }}"})
    assert read(made, "tr-CY") == "Ücretsiz kargo"


def test_phrases_work_in_conditions_and_filters(folder: Path) -> None:
    body = "{% if site.brand %}{{ attributes.x|default(phrases.delivery) }}{% endif %}"
    assert read(load(folder, en=body), "en") == "Free delivery"


def test_what_is_used_is_frozen_with_the_campaign(folder: Path) -> None:
    made = load(folder, en="{{ phrases.delivery }}")
    frozen = templates.read(folder, "sale")
    assert "phrases.toml" in frozen and "returns" not in frozen["phrases.toml"]
    # Other phrases change nothing, and edits don't reach what is frozen.
    write(folder / "phrases.toml", PHRASES.replace("30 days", "14 days"))
    again = templates.read(folder, "sale")
    assert hash_content(again, {}) == hash_content(frozen, {})
    write(folder / "phrases.toml", PHRASES.replace("Free", "Fast"))
    later = templates.read(folder, "sale")
    assert hash_content(later, {}) != hash_content(frozen, {})
    assert read(Template.from_sources("sale", frozen), "en") == read(made, "en")
    assert read(Template.from_sources("sale", later), "en") == "Fast delivery"


def test_a_template_without_phrases_is_what_it_was(folder: Path) -> None:
    load(folder, en="Hello")
    assert set(templates.read(folder, "sale")) == {"en.toml"}


def test_a_missing_phrase_is_named_with_file_and_line(folder: Path) -> None:
    assert find_problems(folder, en="-", tr="One\n{{ phrases.returns }}") == [
        "templates/sale/tr.toml:4: body: the phrase 'returns' in templates/phrases.toml "
        "has no tr"
    ]
    write(folder / "sale/tr.toml", "title = 'T'\nbody = '{{ phrases.delivry }}'\n")
    assert find_problems(folder) == [
        "templates/sale/tr.toml:2: body: there is no phrase 'delivry' in templates/phrases.toml"
    ]


@pytest.mark.parametrize(
    ("phrases", "problem"),
    [
        ("[delivery\n", "phrases.toml:1: can't be read"),
        ('[other]\nen = "x"\n[delivery]\nen = 5\n', "phrases.toml:4: delivery.en is no text"),
        ('[delivery]\nen = "{{ promo }}"\n', "phrases.toml:2: delivery.en has a variable"),
        ('[delivery]\nEN = "x"\n', "phrases.toml:2: delivery.EN is no language"),
        ('delivery = "x"\n', "phrases.toml:1: delivery is no table"),
        ('[delivery]\nen = """a\nb"""\n', "phrases.toml:2: delivery.en has a variable"),
        (f'[delivery]\nen = "{"x" * 1001}"\n', "phrases.toml:2: delivery.en is too long"),
    ],
)
def test_a_fault_of_the_file_has_its_line(folder: Path, phrases: str, problem: str) -> None:
    write(folder / "phrases.toml", phrases)
    (found,) = find_problems(folder, en="{{ phrases.delivery }}")
    assert found.startswith(f"templates/{problem}")


@pytest.mark.parametrize(
    "body",
    ["{{ phrases }}", "{{ phrases[attributes.x] }}", "{% set phrases = 1 %}{{ phrases.x }}"],
)
def test_phrases_are_read_by_name_alone(folder: Path, body: str) -> None:
    assert find_problems(folder, en=body)


def test_phrases_stand_in_no_link_and_in_no_templates_folder(folder: Path) -> None:
    write(folder / "sale/message.toml", 'url = "/{{ phrases.delivery }}"\n')
    (problem,) = find_problems(folder, en="-")
    assert "message.toml:1: url: phrases are for the texts of a language" in problem
    write(folder / "sale/message.toml", "")
    write(folder / "sale/phrases.toml", PHRASES)
    (problem,) = find_problems(folder, en="-")
    assert "phrases stand in no template's folder" in problem


def test_check_names_each_fault_of_the_file_once_and_copy_leaves_it_shared(
    tmp_path: Path,
) -> None:
    folder = project.make(tmp_path)
    home = folder / "templates"
    write(home / "phrases.toml", PHRASES)
    for name in ("one", "two"):
        write(home / f"{name}/en.toml", "title = 'T'\nbody = '{{ phrases.delivery }}'\n")
    copied = pushctl("templates", "copy", "one", "three", cwd=folder)
    assert copied.code == 0, copied.err
    assert [it.name for it in (home / "three").iterdir()] == ["en.toml"]
    assert pushctl("check", cwd=folder).code == 0
    assert "Free delivery" in pushctl("templates", "preview", "three", cwd=folder).out
    write(home / "phrases.toml", "[delivery]\nen = 5\n")
    checked = pushctl("check", cwd=folder)
    assert checked.code == 3
    assert checked.out.count("delivery.en is no text") == 1
