"""
The words of markup from outside, as plain text.

Python's html.parser needs minutes for hostile markup of 100 KB, as it looks for the end of
each broken tag in all that follows. This reader looks at each character a few times.
"""

import html
import re

from pushctl.rules.limits import MAX_MARKUP_CHARACTERS

# A tag with its quoted values, which may hold ">". The alternatives begin with different
# characters, so nothing is tried twice.
_TAG = re.compile(r"""</?([A-Za-z][^\s<>/"']*)(?:[^<>"']|"[^"]*"|'[^']*')*>""")
_NOT_SHOWN = {
    name: re.compile(rf"</{name}[\s/>]", re.IGNORECASE) for name in ("script", "style")
}
_SURROGATES = re.compile("[\ud800-\udfff]")


def read_words(markup: str, most: int) -> str:
    """
    Return the text of *markup* on one line, cut to *most* characters.

    Tags, comments, scripts and styles are left out, references such as ``&amp;`` are
    resolved. What comes behind MAX_MARKUP_CHARACTERS is not read.
    """
    pieces = _list_pieces(mend(markup[:MAX_MARKUP_CHARACTERS]), 8 * most)
    return mend(" ".join(html.unescape("".join(pieces)).split())[:most])


def mend(text: str) -> str:
    """Return *text* with U+FFFD for lone surrogates, which no encoding can write."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def _list_pieces(markup: str, most: int) -> list[str]:
    """Return the pieces of text between tags, until they have *most* characters."""
    pieces: list[str] = []
    at = length = 0
    while length < most:
        begin = markup.find("<", at)
        piece = markup[at:] if begin < 0 else markup[at:begin]
        pieces.append(piece)
        length += len(piece)
        if begin < 0:
            break
        at = _skip(markup, begin)
        if at == begin:  # no tag: "1 < 2"
            pieces.append("<")
            length, at = length + 1, begin + 1
    return pieces


def _skip(markup: str, begin: int) -> int:
    """Return where the markup that begins with "<" ends; *begin* itself where it is none."""
    if markup.startswith("<!--", begin):
        return _find_end(markup, "-->", begin + 2)
    mark = markup[begin + 1 : begin + 2]
    if mark in ("!", "?"):
        return _find_end(markup, ">", begin)
    if not (mark == "/" or mark.isalpha()):
        return begin
    tag = _TAG.match(markup, begin)
    if tag is None:  # a quote is left open
        return _find_end(markup, ">", begin)
    if mark != "/" and (closing := _NOT_SHOWN.get(tag[1].lower())):
        closed = closing.search(markup, tag.end())
        return closed.start() if closed else len(markup)
    return tag.end()


def _find_end(markup: str, mark: str, begin: int) -> int:
    found = markup.find(mark, begin)
    return len(markup) if found < 0 else found + len(mark)
