"""A message as platforms show it: pure values, and the page that is made of them."""

import base64
import hashlib
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from pushctl.model import Action, Message
from pushctl.rules import limits
from pushctl.rules.messages import clusters, drawing, page, platforms, vector
from pushctl.rules.messages.drawing import Drawing, draw
from pushctl.rules.messages.page import Look, Sheet

FULL = Message(
    "Your basket is saved",
    "Brass lamp.",
    "https://shop.example/cart",
    "en",
    "ltr",
    icon="https://shop.example/i.png",
    image="https://shop.example/wide.jpg",
    badge="https://shop.example/b.png",
    actions=(Action("open", "To my basket"), Action("later", "Later"), Action("x", "Third")),
)
DRAWN = drawing.choose(drawing.DRAWN)
HOSTILE = "</style><script>alert(1)</script><img src=//evil.example/x onerror=alert(2)>\"'&"


def find(message: Message, name: str, view: str = "collapsed") -> Drawing:
    found = draw(message, [platforms.load()[name]])
    return next(one for one in found if one.view == view)


def make_page(*messages: Message, look: Look | None = None, everywhere: bool = True) -> str:
    chosen = drawing.choose(list(platforms.load()) if everywhere else ["ios"])
    site = look or Look("The Lamp", "shop.example")
    sheets = [Sheet("en", "413 bytes", site, draw(one, chosen)) for one in messages]
    return page.render("basket", sheets)


def test_a_platform_shows_what_it_has_and_says_what_it_has_not() -> None:
    windows, safari = find(FULL, "windows-chrome"), find(FULL, "macos-safari", "expanded")
    assert [it.text for it in windows.buttons] == ["To my basket", "Later"]
    assert windows.picture and windows.icon and not windows.badge
    assert "shows 2 of 3 buttons" in windows.notes
    assert not (safari.buttons or safari.picture or safari.icon)
    assert safari.notes[:3] == (
        "no large picture here", "no icon of your own here", "no buttons here",
    )  # fmt: skip


def test_who_has_bought_sees_the_thanks_last_on_each_platform() -> None:
    bought = {"title": "Thank you", "body": "x" * 70, "navigate": "https://shop.example/o"}
    both = replace(FULL, data={"bought": bought})
    assert [it.heading for it in draw(both, drawing.choose(["android-chrome"]))] == [
        "as it arrives", "opened", "to a person who has bought meanwhile",
    ]  # fmt: skip
    for platform in platforms.load().values():
        *shown, thanks = draw(both, [platform])
        assert shown == draw(FULL, [platform])
        assert (thanks.title.text, thanks.buttons, thanks.picture) == ("Thank you", (), None)
    (note,) = draw(both, drawing.choose(["android-chrome"]))[-1].notes
    assert note.startswith("the thanks: the body may be cut after 65 of its 70 characters")
    made = make_page(both)
    assert made.count("<em>to a person who has bought meanwhile</em>") == len(platforms.load())


def test_android_shows_picture_and_buttons_once_it_is_opened() -> None:
    arrived, opened = find(FULL, "android-chrome"), find(FULL, "android-chrome", "expanded")
    assert (arrived.picture, arrived.buttons) == (None, ())
    assert opened.picture == FULL.image and len(opened.buttons) == 2
    assert arrived.badge == FULL.badge


def test_a_text_is_sure_up_to_the_shortest_limit_and_maybe_up_to_the_longest() -> None:
    title = find(Message("x" * 50, "B", "/", "en", "ltr"), "macos-chrome").title
    assert (len(title.sure), len(title.maybe), title.is_cut) == (35, 8, True)
    short = find(Message("x" * 40, "B", "/", "en", "ltr"), "macos-chrome").title
    assert (len(short.sure), len(short.maybe), short.is_cut) == (35, 5, False)


def test_a_cut_is_told_in_words() -> None:
    (note,) = find(Message("x" * 50, "B", "/", "en", "ltr"), "macos-chrome").notes
    assert note == "the title may be cut after 35 to 43 of its 50 characters"
    (body,) = find(Message("T", "word " * 20, "/", "en", "ltr"), "android-chrome").notes
    assert body.startswith("the body may be cut after 65 of its 100 characters")
    assert body.endswith("; the rest appears when it is opened")


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))


def test_strangers_texts_stay_texts() -> None:
    bad = Message(HOSTILE, HOSTILE, "/", 'en"><b', "rtl", actions=(Action("a", HOSTILE),))
    made = make_page(bad, look=Look(HOSTILE, HOSTILE))
    tags = Tags()
    tags.feed(made)
    assert {tag for tag, _ in tags.found} <= {
        "html", "meta", "title", "style", "header", "h1", "h2", "p", "main", "section", "div",
        "figure", "figcaption", "b", "em", "i", "u", "span", "ul", "li",
    }  # fmt: skip
    for _, attributes in tags.found:
        assert not {"src", "href", "style"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)
    assert "evil.example" in made  # as text


def test_the_page_allows_its_own_style_and_nothing_else() -> None:
    made = make_page(FULL)
    style = made.split("<style>")[1].split("</style>")[0]
    wanted = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{wanted}'; img-src data:"
    assert f'content="{policy}"' in made
    assert not re.search(r"https?:|//[a-z]|@import|url\(", made)


def test_each_drawing_names_its_sources_and_that_it_is_drawn() -> None:
    made = make_page(FULL)
    for platform in platforms.load().values():
        assert f"drawn, not photographed · {platform.credits}".replace("'", "&#x27;") in made
        assert re.search(r"\((read )?20[0-9]{2}\)", platform.credits)


def test_a_picture_stands_in_the_page_once() -> None:
    data = "data:image/png;base64,AAAA"
    look = Look("The Lamp", "shop.example", pictures={FULL.image or "": data})
    made = make_page(FULL, FULL, look=look)
    assert made.count(data) == 1
    assert "picture none" not in made and "thumb none" in made


def test_many_languages_and_variants_stay_below_the_bound() -> None:
    long = Message("T" * 200, "word " * 600, "/", "ar", "rtl", actions=FULL.actions)
    assert len(make_page(*[long] * 20).encode()) < limits.MAX_PREVIEW_BYTES


@pytest.mark.parametrize(
    ("color", "on"),
    [("#fff", "#000"), ("#000000", "#fff"), ("#b04a26", "#fff"), ("#fd0", "#000")],
)
def test_what_is_written_on_the_brands_colour_can_be_read(color: str, on: str) -> None:
    assert Look("x", "y", color).on_color == on


def test_a_right_to_left_message_is_drawn_from_the_right() -> None:
    made = make_page(Message("سلتك", "محفوظة", "/", "ar", "rtl"), everywhere=False)
    assert '<div class="card" lang="ar" dir="rtl">' in made and "الآن" in made


@pytest.mark.parametrize("odd", ["\x1b[31m", "\x0b", "\ufffe", "\uffff", "\ud800"])
def test_what_xml_cannot_write_is_left_out_of_a_picture(odd: str) -> None:
    bad = Message(f"Sa{odd}le", "Now", "/", "en", "rtl", actions=(Action("a", f"{odd}Go"),))
    sheets = [Sheet(odd, odd, Look(odd, "shop.example"), draw(bad, drawing.choose(["ios"])))]
    made = vector.render(f"<{odd}>", sheets)
    assert "Sa" in "".join(ElementTree.fromstring(made).itertext())


@pytest.mark.parametrize("cluster", ["a\u0301", "\U0001f468\u200d\U0001f469\u200d\U0001f467"])
def test_a_word_that_never_ends_is_drawn_at_once(cluster: str) -> None:
    sheets = [
        Sheet("en", "", Look("A", "a"), draw(Message(it, it, "/", "en", "ltr"), DRAWN))
        for it in (cluster * 1_000,)
    ]
    begun = time.process_time()
    made = vector.render("x", sheets)
    assert time.process_time() - begun < 2  # 0.2 s; it was 8 s
    assert clusters.ELLIPSIS in made
