"""Advice about texts: each rule finds what it names, and nothing beside it."""

import re
from dataclasses import replace

import pytest

from pushctl.model import Action, Message
from pushctl.rules.messages import lint
from pushctl.rules.messages.lint import Look
from tests.support import ROOT

GOOD = Message(
    title="Your basket is saved",
    body="Everything you chose is in its place.",
    url="https://shop.example/cart",
    language="en",
    dir="ltr",
    icon="https://shop.example/icon.png",
    actions=(Action("basket", "To my basket", "https://shop.example/cart"),),
)


def found(size: int = 400, names: frozenset[str] = frozenset(), **change: object) -> list[str]:
    """Return "rule: fault" of GOOD with *change*."""
    message = replace(GOOD, **change)  # type: ignore[arg-type]
    look = Look("templates/t/en.toml", message, size, ("https://shop.example",), names)
    return [f"{one.rule}: {one.fault}" for one in lint.list_findings(look)]


def test_a_good_message_has_no_finding() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("language", "title"),
    [
        ("en", "Forgot something?"),
        ("en", "“Forgot something?”"),
        ("ar", "هل نسيت شيئًا؟"),
        ("ar", "هل نسيت \u2068Lamp؟\u2069"),
        ("el", "Ξεχάσατε κάτι;"),
        ("el", "Ξεχάσατε κάτι\u037e"),
        ("zh", "忘了什么吗？"),
        ("es", "¿Olvidaste algo? Míralo"),
    ],
)
def test_questions_are_found_in_every_script(language: str, title: str) -> None:
    there = {"dir": "rtl", "body": "سلتك محفوظة"} if language == "ar" else {}
    assert found(title=title, language=language, **there) == [
        "question: the title is a question"
    ]


@pytest.mark.parametrize(
    "title", ["Lamp? Saved.", "Saved; and safe;", "https://a.example/?a=b"]
)
def test_a_mark_inside_a_statement_asks_nothing(title: str) -> None:
    assert not [one for one in found(title=title) if one.startswith("question")]


def test_a_text_on_two_lines_may_ask_in_each() -> None:
    assert found(body="Still there?\nIt is saved.") == ["question: the body is a question"]


def test_capitals_are_words_and_no_codes_names_or_short_ones() -> None:
    assert found(title="LAST chance, FREE") == ["capitals: in capitals: LAST, FREE"]
    assert found(title="USB and EU, code SAVE10, LED") == []
    assert found(title="IKEA has it", names=frozenset({"IKEA"})) == []
    assert found(title="ŞİMDİ burada", language="tr") == ["capitals: in capitals: ŞİMDİ"]
    assert found(title="سلة", body="سلتك محفوظة هنا", language="ar", dir="rtl") == []


def test_a_cut_names_the_platforms_and_what_is_sure_to_be_seen() -> None:
    (cut,) = found(title="Your basket is saved and waits for you")
    assert cut.startswith("cut: title: 38 characters, may be cut by Chrome, macOS (35)")
    assert "Chrome, Android (30)" in cut
    # A text that opening the notification shows whole is not cut.
    assert found(body="x" * 80) == []
    (cut,) = found(body="x" * 100)
    assert cut.startswith("cut: body: 100 characters, may be cut by Chrome, macOS (88)")


def test_a_button_is_cut_by_what_a_reader_sees_as_a_character() -> None:
    family = "👨\u200d👩\u200d👧"
    assert found(actions=(Action("a", family * 19),)) == []
    (cut,) = found(actions=(Action("a", family * 20),))
    assert cut.startswith("cut: button")


@pytest.mark.parametrize(
    ("language", "body", "word"),
    [
        ("en", "Tap the button to go on", "button"),
        ("tr", "Aşağıdaki bağlantıya dokunun", "Aşağıdaki"),
        ("ar", "اضغط على الزر للمتابعة", "الزر"),
        ("ru", "Нажмите кнопку", "кнопку"),
        ("nl", "Tik hieronder", "hieronder"),
    ],
)
def test_a_text_that_points_at_a_button_hangs_on_it(
    language: str, body: str, word: str
) -> None:
    right = language == "ar"
    title = "سلة" if right else "Basket"
    (one,) = found(title=title, body=body, language=language, dir="rtl" if right else "ltr")
    assert one.startswith(f"hangs_on_button: “{word}” points at a button")
    assert "iOS" in one
    # Without a button there is nothing to hang on.
    shown = {"title": title, "body": body, "language": language}
    assert found(**shown, dir="rtl" if right else "ltr", actions=()) == []


def test_a_title_alone_hangs_on_its_buttons() -> None:
    (one,) = found(body="")
    assert one.startswith("hangs_on_button: only its buttons")


def test_more_than_two_buttons_links_icon_and_size() -> None:
    three = tuple(Action(name, name.upper()[:3]) for name in ("one", "two", "three"))
    assert found(actions=three) == ["many_buttons: 3 buttons: “THR” may not be shown"]
    assert found(url="http://shop.org/cart") == [
        "link: url is plain http: http://shop.org/cart"
    ]
    assert found(url="https://www.example.com/cart") == [
        "link: url leads to an example's address: https://www.example.com/cart"
    ]
    assert found(url="http://127.0.0.1:8080/") == []
    assert found(icon=None) == ["icon: no icon"]
    assert found(size=2_641)[0].startswith("bytes: 2,641 bytes")
    assert found(size=2_640) == []


def test_a_text_must_be_laid_out_as_its_letters_run() -> None:
    arabic = {"title": "سلتك", "body": "محفوظة من أجلك", "language": "ar", "actions": ()}
    assert found(**arabic, dir="rtl") == []
    (one,) = found(**arabic, dir="ltr")
    assert one.startswith("direction: its letters run from right to left")
    # A Latin name in it changes nothing: it stands in an isolate, as the renderer writes it.
    name = arabic | {"body": "من أجلك \u2068The Royal Academy of Arts\u2069"}
    assert found(**name, dir="rtl") == []


def test_rules_are_switched_off_by_name_and_all_are_in_the_docs() -> None:
    look = Look("t", replace(GOOD, icon=None, title="Why?"), 400, ("https://shop.example",))
    assert [one.rule for one in lint.list_findings(look, {"icon"})] == ["question"]
    assert lint.check_name("question") is None
    assert lint.check_name("qestion") is not None
    page = (ROOT / "docs/templates.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", page, re.MULTILINE)
    told = {name: (looks, source) for name, looks, source in rows if name in lint.RULES}
    assert told == {name: tuple(rule) for name, rule in lint.RULES.items()}
