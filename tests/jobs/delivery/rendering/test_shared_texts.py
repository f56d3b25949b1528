"""A message that was made for other values says what its own rendering would."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushctl.errors import InputError, TemplateError
from pushctl.jobs.delivery.rendering.shared_texts import Renderings
from pushctl.model import Json
from pushctl.rules.messages import payload, values
from pushctl.rules.messages.json_templates import JsonTemplate
from pushctl.rules.messages.payload import Frame
from pushctl.store.ledger_rows import ClaimedRow
from pushctl.templates import Template, Text

SITE = values.site("shop", "https://shop.example")
SHARED = {"campaign": {"name": "spring"}}

PIECES = [
    "plain ", " 100 % ", " two  spaces ", '"quoted" ', "%b ", "سلة ", "😀", "\n",
    "{{ attributes.name }}", "{{ attributes['name'] }} ",
    "{{ attributes.name|default('you') }}",
    "{% if attributes.name %}{{ attributes.name }}, {% endif %}",
    "{{ 'a' if not attributes.name else 'b' }}",
    "{% if attributes.name and attributes.points %}both{% endif %}",
    "{{ attributes.city }}", "{{ attributes.city|default('there') }} ",
    "{% if attributes.points > 9 %}rich{% endif %}", "{{ attributes.name|upper }}",
    "{{ attributes.name ~ '!' }}", "{% if attributes.name == 'Anna' %}Anna{% endif %}",
    "{% for it in attributes.list|default([]) %}{{ attributes.name }} {{ it }}{% endfor %}",
    "{% set it = attributes.city %}{{ it }}", "{{ attributes.name.first }}",
    "{{ subscriber.language }}", "{{ campaign.name }}",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join)
LINKS = st.sampled_from(["/a", "/a?n={{ attributes.name }}", "/{{ attributes.city }}", "/%20"])
ODD = [
    "Anna", "Ada Lovelace", "علي", "Ö", "12", "10.5", "4 seasons", " x", "x ", "a  b",
    "a\tb", "a&amp;b", "R&D", '"', "\\", "</script>", "%b", "%", "\u2067x", "\u00a0",
    "", " ", "é0n", "s0n", "x" * 1200, "😀",
]  # fmt: skip
WORDS = st.one_of(
    st.sampled_from(ODD),
    st.text(max_size=8).map(lambda it: it.encode("utf-8", "ignore").decode()),
    st.sampled_from([None, 0, 1, 12, 1.0, 1.5, True, False, [], ["a", "b"], {"first": "A"}]),
)
PEOPLE = st.lists(
    st.fixed_dictionaries(
        {"name": WORDS, "city": WORDS}, optional={"points": st.integers(0, 20), "list": WORDS}
    ),
    min_size=1,
    max_size=5,
)


def choose(language: str = "en", link: str = "/a", **words: str) -> Text:
    text = "\n".join(f"{name} = '''{word}'''" for name, word in words.items())
    sources = {"message.toml": f"url = '''{link}'''", f"{language}.toml": text}
    return Template.from_sources("t", sources).choose(language, (), language)


def make_row(attributes: Json, *, small: int = 0) -> ClaimedRow:
    """Return a row as a brief claim does."""
    made = (
        1, 1, 0, 1, None, None, "https://push.example/1", b"", b"", "key", 0, small, "shop",
        "en", orjson.dumps(attributes).decode(), "active", None,
    )  # fmt: skip
    return tuple.__new__(ClaimedRow, made)


def render_alone(text: Text, row: ClaimedRow) -> object:
    """Return the row's own rendering, or its error."""
    try:
        context = values.context(row, SITE, text.variables, SHARED)
        message = text.render(context)
        return payload.frame(payload.fit(message) if row.small_payload else message)
    except (TemplateError, InputError) as error:
        return str(error)


def render_among_others(renderings: Renderings, row: ClaimedRow) -> object:
    try:
        return renderings.frame(row, None)
    except (TemplateError, InputError) as error:
        return str(error)


@settings(max_examples=300, deadline=None)
@given(
    language=st.sampled_from(["en", "ar"]),
    title=TEXTS,
    body=TEXTS,
    link=LINKS,
    people=PEOPLE,
    small=st.sampled_from([0, 0, 1]),
)
def test_what_others_share_says_what_each_one_s_own_would(
    language: str, title: str, body: str, link: str, people: list[Json], small: int
) -> None:
    try:
        text = choose(language, link, title=f"x {title}", body=body)
    except TemplateError:
        return
    renderings = Renderings(text, SITE, SHARED)
    for attributes in (*people, *people):
        row = make_row(attributes, small=small)
        assert render_among_others(renderings, row) == render_alone(text, row)


@pytest.mark.parametrize("small", [0, 1])
@pytest.mark.parametrize("language", ["en", "ar"])
def test_odd_values_come_out_as_ever(language: str, small: int) -> None:
    words = {"title": "x {{ attributes.name }} y", "body": "word " * 500}
    words["body"] += "{{ attributes.name }}"  # what is cut off for who takes little
    text = choose(language, **words)
    renderings = Renderings(text, SITE, SHARED)
    for name in ("Anna", "سارة", *ODD):
        row = make_row({"name": name}, small=small)
        assert render_among_others(renderings, row) == render_alone(text, row)


def count_rendered(renderings: Renderings, people: list[dict[str, Any]]) -> int:
    for attributes in people:
        renderings.frame(make_row(attributes), None)
    return len(renderings._frames)


@pytest.mark.parametrize(
    ("title", "count"),
    [
        ("{{ attributes.name }}, it is here", 1),
        ("{{ attributes.name|default('You') }}, it is here", 1),
        ("{% if attributes.name %}{{ attributes.name }}{% else %}You{% endif %}", 1),
        ("{{ attributes.name|upper }}, it is here", 40),  # another word for each
        ("{{ attributes.name }} {% if attributes.points > 9 %}x{% endif %}", 4),
    ],
)
def test_a_text_that_only_shows_a_value_is_rendered_once(title: str, count: int) -> None:
    people = [{"name": f"Anna {number}", "points": 8 + number % 4} for number in range(40)]
    assert (
        count_rendered(Renderings(choose(title=title, body="x"), SITE, SHARED), people) == count
    )


def test_a_value_between_both_directions_gets_its_own_isolate() -> None:
    text = choose("ar", title="مرحبا {{ attributes.name }}", body="x")
    people = [{"name": "Anna"}, {"name": "Ben"}, {"name": "علي"}, {"name": "سارة"}]
    assert count_rendered(Renderings(text, SITE, SHARED), people) == 2


def test_a_message_that_is_too_long_with_its_value_is_refused() -> None:
    text = choose(title="x", body="{{ attributes.name }}" * 8)
    renderings = Renderings(text, SITE, SHARED)
    assert isinstance(renderings._frames, dict)
    assert count_rendered(renderings, [{"name": "short"}]) == 1
    assert isinstance(next(iter(renderings._frames.values())), JsonTemplate)
    row = make_row({"name": "x" * 900})
    with pytest.raises(InputError, match="more than the 3,993"):
        renderings.frame(row, None)


def test_a_text_that_has_room_for_short_values_only_is_rendered_for_each() -> None:
    text = choose(title="x {{ attributes.name }}", body="word " * 759)
    renderings = Renderings(text, SITE, SHARED)
    for name in ("A", "B", "B", "a name that is far too long for so little room"):
        row = make_row({"name": name})
        assert render_among_others(renderings, row) == render_alone(text, row)
    assert [type(it) for it in renderings._frames.values()] == [Frame]  # B's


def test_thanks_for_buyers_get_the_values_too() -> None:
    words = "title = '''Hi {{ attributes.name }}'''\nbody = 'x'"
    sources = {"message.toml": "url = '/a'", "en.toml": words, "en.bought.toml": words}
    text = Template.from_sources("t", sources).choose("en", (), "en")
    renderings = Renderings(text, SITE, SHARED)
    for name in ("Anna", 'Ben "B"', "سارة", "100 %"):
        row = make_row({"name": name})
        made = renderings.frame(row, None)
        assert made == render_alone(text, row)
        shown = orjson.loads(made.with_token("1.x", 5))["notification"]
        assert (shown["title"], shown["data"]["bought"]["title"]) == (f"Hi {name}",) * 2
