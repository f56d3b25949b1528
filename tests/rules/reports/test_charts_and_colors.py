"""Charts of a report: whole SVG whatever stands in it, and colours that can be read."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushctl.rules import colors
from pushctl.rules.reports import svg
from pushctl.rules.reports.words import Words, list_languages

TEXT = st.text(max_size=40)
VALUE = st.none() | st.floats(-1e9, 1e9)
COLOR = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")
HOSTILE = '"><script>alert(1)</script>&\x00\x1b[31m\u202e\ud800'


def show(value: float) -> str:
    return f"{value:.0f}"


def read(chart: str) -> ElementTree.Element:
    chart.encode()  # no lone surrogate
    return ElementTree.fromstring(chart)


@given(st.lists(st.tuples(TEXT, VALUE), max_size=40), TEXT, st.booleans())
def test_any_text_and_value_make_a_whole_chart(
    points: list[svg.Point], title: str, mirrored: bool
) -> None:
    frame = svg.Frame(title, title, mirrored)
    ranges = [svg.Range(label, value, value, value, label) for label, value in points]
    stages = [(label, value, label) for label, value in points]
    second = [value for _, value in points]
    for chart in (
        svg.draw_columns(frame, points, show, second=second),
        svg.draw_line(frame, points, show),
        svg.draw_ranges(frame, ranges, show, mark=0.5),
        svg.draw_funnel(frame, stages, show),
        svg.draw_heat(frame, ["a"], [label for label, _ in points], [second], show),
    ):
        root = read(chart)
        assert root.get("role") == "img" and root.get("aria-label")


def test_no_text_of_others_becomes_markup_or_a_command() -> None:
    frame = svg.Frame(HOSTILE, HOSTILE)
    chart = svg.draw_columns(frame, [(HOSTILE, 1.0)], lambda _: HOSTILE)
    names = {element.tag.partition("}")[2] for element in read(chart).iter()}
    assert names == {"svg", "title", "desc", "line", "rect", "text"}
    assert not {"\x00", "\x1b", "\u202e", "\ud800"} & set(chart)


def test_time_runs_from_where_reading_begins() -> None:
    points: list[svg.Point] = [("first", 1.0), ("last", 2.0)]

    def find(mirrored: bool) -> list[float]:
        root = read(svg.draw_columns(svg.Frame("", "", mirrored), points, show))
        bars = [it for it in root.iter() if it.get("class") == "bar"]
        return [float(it.get("x", "")) for it in bars]

    assert find(False) == sorted(find(False))
    assert find(True) == sorted(find(True), reverse=True)


def test_what_is_unknown_has_no_column_and_breaks_the_line() -> None:
    points: list[svg.Point] = [("1", 1.0), ("2", 2.0), ("3", None), ("4", 4.0), ("5", 5.0)]
    columns = read(svg.draw_columns(svg.Frame("", ""), points, show))
    assert sum(it.get("class") == "bar" for it in columns.iter()) == 4
    lines = read(svg.draw_line(svg.Frame("", ""), points, show))
    assert sum(it.get("class") == "line" for it in lines.iter()) == 2


def test_columns_stand_on_zero_in_the_scale_of_their_axis() -> None:
    root = read(svg.draw_columns(svg.Frame("", ""), [("1", 100.0), ("2", 50.0)], show))
    heights = [float(it.get("height", "")) for it in root.iter() if it.get("class") == "bar"]
    assert heights[0] == pytest.approx(2 * heights[1], abs=0.2)


def test_shades_are_of_one_width_in_value() -> None:
    values = [[0.0, 0.24, 0.26, 0.74, 1.0, None]]
    root = read(svg.draw_heat(svg.Frame("", ""), ["a"], list("123456"), values, show))
    cells = [it.get("class") for it in root.iter() if it.find("{*}title") is not None]
    assert cells[1:] == ["h0", "h0", "h1", "h2", "h3", "unknown"]


@given(COLOR, st.sampled_from([colors.LIGHT, colors.DARK]))
def test_any_colour_of_a_brand_can_be_read(color: str, background: str) -> None:
    text = colors.adjust(color, background, colors.TEXT_CONTRAST)
    measured = colors.measure_contrast(colors.parse_color(text), colors.parse_color(background))
    assert measured >= colors.TEXT_CONTRAST - 0.05  # it is written with two digits a part


def test_a_colour_that_can_be_read_stays() -> None:
    assert colors.adjust("#b04a26", colors.LIGHT, colors.TEXT_CONTRAST) == "#b04a26"
    assert colors.adjust("#fff", colors.LIGHT, colors.TEXT_CONTRAST) != "#ffffff"
    with pytest.raises(ValueError, match="no colour"):
        colors.parse_color("#12345")


def test_all_languages_have_all_words_and_their_places() -> None:
    english = Words("en")
    for language in list_languages():
        own = Words(language)
        assert len(own.days) == 7
        for key, words in english._words.items():
            if isinstance(words, str):
                places = sorted(re.findall(r"\{\w+\}", words))
                assert sorted(re.findall(r"\{\w+\}", str(own._words[key]))) == places, key
        missing = english._words.keys() - _keys(language)
        assert not missing, (language, missing)


def _keys(language: str) -> set[str]:
    from pushctl.rules.reports.words import _load

    return set(_load()[language])
