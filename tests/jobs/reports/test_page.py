"""A report's page: one file that loads nothing, runs nothing, and escapes everything."""

import base64
import hashlib
import re
from html.parser import HTMLParser

from pushctl.jobs.reports import page
from pushctl.rules.reports import svg
from pushctl.rules.reports.content import Card, Report, Section, Table

HOSTILE = "</style><script>alert(1)</script>\x1b[31m\u202e{{ 7 * 7 }}"


def make_report(text: str = "Sale", color: str = "#b04a26") -> Report:
    chart = svg.draw_columns(svg.Frame(text, text), [(text, 1.0)], lambda value: text)
    table = Table([text, text], [[text, text]], frozenset({1}), text)
    section = Section("sent", text, text, [chart], [table], [text], text)
    card = Card(text, text, text, text, [1.0, 2.0])
    return Report(text, text, text, "ar", True, color, [card], [section], [text])


class Reader(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "style")]


def test_a_page_loads_and_runs_nothing() -> None:
    made = page.render(make_report())
    read = Reader(made)
    assert "script" not in read.tags and not read.links
    assert "url(" not in made and "@import" not in made


def test_its_policy_allows_its_own_style_alone() -> None:
    made = page.render(make_report())
    style = re.search(r"<style>(.*)</style>", made, re.DOTALL)
    assert style
    own = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', made)
    assert policy
    assert (
        policy[1]
        .replace("&#39;", "'")
        .startswith(f"default-src 'none'; style-src 'sha256-{own}';")
    )


def test_texts_of_others_stay_texts() -> None:
    tags = Reader(page.render(make_report())).tags
    made = page.render(make_report(HOSTILE))
    assert Reader(made).tags == tags
    assert "\x1b" not in made and "\u202e" not in made and "49" not in made


def test_a_page_runs_as_its_language_does() -> None:
    assert '<html lang="ar" dir="rtl">' in page.render(make_report())


def test_every_name_of_a_colour_is_filled_in() -> None:
    for color in ("#b04a26", "#fff", "#000000"):
        style = page.write_style(color)
        assert not re.search(r"(LIGHT|DARK)_", style)
        assert set(re.findall(r"var\((--\w+)\)", style)) <= set(re.findall(r"(--\w+):", style))
