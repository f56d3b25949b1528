"""Feeds are texts of third parties: an odd item costs no other, a hostile one no time."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from pushctl import config as configs
from pushctl.jobs.triggers import feed_items, lint
from pushctl.rules.limits import MAX_FEED_ITEMS
from pushctl.web import WebError
from tests.support import project

SHOP = ("https://shop.example",)
DATE = "<pubDate>Tue, 28 Apr 2026 10:00:00 GMT</pubDate>"


def item(title: str, more: str = DATE) -> str:
    link = f"https://shop.example/{title[0]}"
    return f"<item><title>{title}</title><link>{link}</link>{more}</item>"


def rss(*items: str, head: str = '<?xml version="1.0"?>') -> bytes:
    body = "".join(items)
    return f'{head}<rss version="2.0"><channel>{body}</channel></rss>'.encode()


def titles(text: bytes) -> Sequence[object]:
    return sorted(str(one.values["title"]) for one in feed_items.read(text, SHOP).items)


@pytest.mark.parametrize(
    ("odd", "title"),
    [
        (item("B&#xd800;"), "B\ufffd"),
        (item("B&#99999999;"), "B\ufffd"),
        (item("B", "<guid>&#xdfff;</guid>"), "B"),
        (item("B<![CDATA[<![foo[ x]]>"), "B"),
        (item("B&lt;![foo[ x"), "B"),
        (item("B", "<pubDate>0000-00-00</pubDate>"), "B"),
        (item("B", f"<gml:pos>1 2</gml:pos>{DATE}"), "B"),
        (item("B", '<x xmlns:gml="http://www.opengis.net/gml"><gml:pos>1</gml:pos></x>'), "B"),
        (item("B", "<description>" + "<b>" * 180_000 + "</description>"), "B"),
    ],
)
def test_an_odd_item_is_read_and_costs_no_other(odd: str, title: str) -> None:
    assert titles(rss(item("A"), odd, item("C"))) == ["A", title, "C"]


@pytest.mark.parametrize("encoding", ["undefined", "rot13", "no-such", "idna"])
def test_an_encoding_that_is_none_is_not_believed(encoding: str) -> None:
    head = f'<?xml version="1.0" encoding="{encoding}"?>'
    assert titles(rss(item("A"), head=head)) == ["A"]


def test_an_item_that_cannot_be_read_is_named_by_a_key_and_keeps_its_date() -> None:
    hostile = item("<b>" * 6_000)
    reading = feed_items.read(rss(item("A"), hostile, item("C", f"<gml:pos/>{DATE}")), SHOP)
    assert [one.values["title"] for one in reading.items] == ["A", "C"]
    assert [one.dated for one in reading.items] == [1_777_370_400_000] * 2
    assert list(reading.left_out.values()) == ["it holds too much markup"]
    again = feed_items.read(rss(hostile, item("D", f"<gml:pos/>{DATE}")), SHOP)
    assert again.left_out == reading.left_out


@pytest.mark.parametrize(
    "more",
    [
        "<description><![CDATA[" + "<!--" * 140_000 + "]]></description>",
        "<description><![CDATA[" + "<a " * 180_000 + "]]></description>",
        "<description>" + "<a " * 180_000 + "</description>",
        "<x>" * 90_000 + "</x>" * 90_000,
        "".join(f'<x{one}:a xmlns:x{one}="u{one}"/>' for one in range(20_000)),
        "<x " + " ".join(f'a{one}="1"' for one in range(60_000)) + "/>",
    ],
    ids=["comments", "tags", "broken tags", "deep", "namespaces", "attributes"],
)
def test_560_kb_of_a_hostile_item_take_below_a_second(more: str) -> None:
    """They took up to 57 s of CPU; they take at most 0.7 s."""
    began = time.process_time()
    reading = feed_items.read(rss(item("A"), item("B", more)), SHOP)
    assert time.process_time() - began < 5
    assert [one.values["title"] for one in reading.items][:1] == ["A"]


def test_a_feed_of_30_000_items_is_read_as_far_as_it_counts() -> None:
    many = [item(f"{one} title") for one in range(30_000)]
    began = time.process_time()
    assert len(feed_items.read(rss(*many)[:2_000_000], SHOP).items) == MAX_FEED_ITEMS
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "text", [b"", b"<" * 500_000, b"/etc/passwd", b"[" * 500_000, b"<html><item/></html>"]
)
def test_what_is_no_feed_is_said(text: bytes) -> None:
    with pytest.raises(WebError, match="no RSS or Atom feed"):
        feed_items.read(text, SHOP)


def test_atom_and_rdf_with_an_odd_element() -> None:
    atom = """<feed xmlns="http://www.w3.org/2005/Atom"><entry><title>A</title><gml:pos>1
        </gml:pos><link href="https://shop.example/a"/>
        <updated>2026-04-28T10:00:00Z</updated></entry></feed>"""
    rdf = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
        xmlns="http://purl.org/rss/1.0/"><item rdf:about="x"><title>A</title>
        <link>https://shop.example/a</link><gml:pos>1</gml:pos></item></rdf:RDF>"""
    for text in (atom, rdf):
        assert titles(text.encode()) == ["A"]
    assert feed_items.read(atom.encode(), SHOP).items[0].dated == 1_777_370_400_000


def test_without_the_package_feeds_wait_and_check_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_items, "is_installed", lambda: False)
    with pytest.raises(WebError, match=r"pip install 'pushctl\[feeds\]'"):
        feed_items.read(rss(item("A")), SHOP)
    folder = project.make(tmp_path / "shop")
    feed = 'feed = "https://shop.example/feed"\nsteps = [{ template = "new_article" }]'
    project.add(folder, f"[triggers.news]\n{feed}")
    config = configs.load(folder / "pushctl.toml", {})
    (found,) = [each for _, each in lint.check_triggers(config) if "feedparser" in each.fault]
    assert found.remedy == "pip install 'pushctl[feeds]'"
    assert found.place.endswith("triggers.news.feed")
