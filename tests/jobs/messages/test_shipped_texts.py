"""Each shipped text, in its five languages, with values and without: what people will read."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from pushctl import shipped, templates
from pushctl.jobs.messages.samples import make_samples
from pushctl.model import Message
from pushctl.rules.limits import MAX_ANDROID_PAYLOAD_BYTES
from pushctl.rules.messages import payload, values
from pushctl.rules.messages.clusters import count_clusters
from pushctl.templates import Template, Text

FOLDER = shipped.find("templates")
NAMES = templates.list_names(FOLDER)
LANGUAGES = ("ar", "en", "nl", "ru", "tr")
SITE = values.site("shop", "https://shop.example", "Lampen & Co")

# What people see of it everywhere, by the cut table (docs/templates.md has its sources):
# iOS and Android show 30 characters of a title, macOS 35; 40 with a name in it. A button
# of Windows 11 has room for 19.
TITLE, NAMED_TITLE, BODY, LABEL = 35, 40, 150, 19
QUESTIONS = re.compile("[?\u061f\u037e\uff1f\u00bf]")
CAPITALS = re.compile(r"\b(?!WELCOMEBACK)[A-ZÇĞİÖŞÜА-ЯЁ]{4,}\b")


def load(name: str) -> Template:
    return Template.from_sources(name, templates.read(FOLDER, name))


def render(text: Text, **change: Any) -> Message:
    """Render with samples; an empty change takes a root's values away."""
    context = {**make_samples(text), "site": SITE} | change
    return text.render({key: value for key, value in context.items() if value is not None})


def list_renderings(text: Text) -> Iterator[Message]:
    yield render(text)
    if not text.variables & {"event.news", "event.holiday"}:  # these never go without
        yield render(text, cart=None, event=None, attributes=None, restore_url=None)
    cart = make_samples(text).get("cart")
    if cart:
        yield render(text, cart={**cart, "several": True, "names": ["Lamp", "Bulb"]})
        yield render(text, cart={"names": ["Lamp"], "several": False})


@pytest.mark.parametrize("name", NAMES)
def test_a_text_reads_well_in_every_language(name: str) -> None:
    made = load(name)
    assert made.languages == LANGUAGES
    for text in made.texts:
        assert text.reviewed is (text.language == "en"), text.place
        for shown in list_renderings(text):
            place = f"{text.place}: {shown}"
            most = NAMED_TITLE if "Anna" in shown.title else TITLE
            assert 0 < count_clusters(shown.title) <= most, place
            assert 0 < count_clusters(shown.body) <= BODY, place
            assert shown.actions, place
            for action in shown.actions:
                assert 0 < count_clusters(action.title) <= LABEL, place
            words = " ".join([shown.title, shown.body, *(it.title for it in shown.actions)])
            assert not QUESTIONS.search(words), place
            assert not CAPITALS.search(words), place
            assert "‹" not in words and "{" not in words and "  " not in words, place
            assert " ." not in words and " ," not in words and " )" not in words, place
            assert payload.frame(shown).size <= MAX_ANDROID_PAYLOAD_BYTES, place


def test_a_basket_that_was_bought_meanwhile_is_thanked_for_in_every_language() -> None:
    # As much as Android shows of it before it is opened: nobody opens a "thank you".
    most_title, most_body = 30, 65
    baskets = [name for name in NAMES if "basket" in name]
    assert len(baskets) == 3
    for text in (text for name in baskets for text in load(name).texts):
        assert text.thanks and text.thanks.reviewed is (text.language == "en"), text.place
        shown = payload.find_thanks(render(text))
        assert shown and (shown.url, shown.actions) == ("https://shop.example/", ())
        assert (shown.language, shown.dir) == (text.language, text.dir)
        assert 0 < count_clusters(shown.title) <= most_title, text.place
        assert 0 < count_clusters(shown.body) <= most_body, text.place
        words = f"{shown.title} {shown.body}"
        assert not QUESTIONS.search(words) and not CAPITALS.search(words), text.place


@pytest.mark.parametrize("name", NAMES)
def test_no_ending_hangs_on_a_value(name: str) -> None:
    """Turkish endings follow the vowels of a word, and nobody knows those of a value."""
    for file, source in templates.read(FOLDER, name).items():
        if file.startswith("tr"):
            assert not re.search(r"\}\}['’]?[^\W\d_]", source), file


def test_a_text_shows_its_values() -> None:
    shown = {(name, text.language): render(text) for name in NAMES for text in load(name).texts}
    assert "«Brass lamp»" in shown["abandoned_basket_1", "ru"].body
    assert "(49,00\xa0€)" in shown["abandoned_basket_2", "ru"].body
    assert "39,00" in shown["price_drop", "tr"].body
    assert shown["bonus_credited", "ru"].title == "Вам начислено 120 баллов"
    assert shown["birthday", "nl"].title == "Anna, fijne verjaardag!"
    assert shown["welcome", "ar"].dir == "rtl"


@pytest.mark.parametrize("name", ["price_drop", "back_in_stock"])
def test_a_products_picture_is_shown(name: str) -> None:
    picture = "https://cdn.example/lamp.jpg?w=600"
    text = load(name).choose("en", (), "en")
    assert render(text, event={"image": picture, "url": "/lamp"}).image == picture
    assert render(text, event={"url": "/lamp"}).image is None


def test_a_number_and_its_noun_agree() -> None:
    made = load("bonus_credited")

    def title(language: str, points: int) -> str:
        return render(made.choose(language, (), "en"), event={"points": points}).title

    assert title("en", 1) == "1 bonus point is yours"
    assert title("ru", 21) == "Вам начислен 21 балл"
    assert title("ru", 22) == "Вам начислено 22 балла"
    assert title("nl", 1) == "1 bonuspunt voor u"
    assert title("tr", 5) == "5 bonus puan kazandınız"
