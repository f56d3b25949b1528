"""Words of markup from outside: what people would read, whatever stands around it."""

import time

import pytest

from pushctl.rules.limits import MAX_MARKUP_CHARACTERS
from pushctl.rules.web import markup


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("a &amp; b\n c", "a & b c"),
        ("AT&T", "AT&T"),
        ("1 < 2", "1 < 2"),
        ("I <3 you", "I <3 you"),
        ('<img alt="a > b" src="data:x">text', "text"),
        ("<p>Hi <b>there</b></p>", "Hi there"),
        ("<!-- no -->yes", "yes"),
        ("x<![foo[ y]]>z", "xz"),
        ("<script>x < <b></script>y<STYLE>a{}</style >z", "yz"),
        ('<a href="open>y', "y"),
        ("a&#xd800;b\ud800", "a\ufffdb\ufffd"),
        ("<![foo[ never closed", ""),
    ],
)
def test_the_words_of_markup(given: str, words: str) -> None:
    assert markup.read_words(given, 300) == words


def test_words_are_cut() -> None:
    assert markup.read_words("ab" * 1_000, 300) == "ab" * 150


@pytest.mark.parametrize(
    "piece",
    ["<", "<a ", "<!--", "<?", "</a ", "<a b=\"", "<a b=c ", "<a 'b'", "<a/", "<script>", "&a",
     "<a \"'> ", "<![foo["],
)  # fmt: skip
def test_hostile_markup_is_read_in_linear_time(piece: str) -> None:
    """html.parser needs minutes of CPU for some of these; each takes below 0.15 s."""
    hostile = (piece * MAX_MARKUP_CHARACTERS)[:MAX_MARKUP_CHARACTERS]
    began = time.process_time()
    assert len(markup.read_words(hostile, 300)) <= 300
    assert time.process_time() - began < 5
