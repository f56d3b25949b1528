"""
Texts in grapheme clusters: what a reader sees as one character (UAX #29).

An emoji with a skin tone, a flag, a letter with its accent are one cluster and several
characters. A text that is cut inside one shows another letter, or a box.
"""

import functools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pushctl.rules.limits import MAX_CLUSTER_CHARACTERS

if TYPE_CHECKING:
    from regex import Pattern

ELLIPSIS = "…"

# Marks of direction take no room on the screen (UAX #9, table 4, with LRM, RLM and ALM).
_UNSEEN_MARKS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_UNSEEN = re.compile(f"[{''.join(_UNSEEN_MARKS)}]")
_OPENS, _CLOSES = "\u2066\u2067\u2068", "\u2069"


def count_clusters(text: str) -> int:
    """Return how many characters a reader sees; marks of direction are none."""
    if text.isascii():
        return len(text) - text.count("\r\n")
    return sum(1 for _ in iterate_clusters(_UNSEEN.sub("", text)))


def cut(text: str, clusters: int, end: str = ELLIPSIS, *, at_word: bool = False) -> str:
    """
    Return *text* with at most *clusters* clusters, *end* among them where it was cut.

    An isolate that the cut leaves open is closed again: what follows the text on the
    screen keeps its own direction. What is shorter comes back as it is. With *at_word* the
    last word is left out where half of the text or more stays.
    """
    # A cluster has a character or more.
    if len(text) <= clusters:
        return text
    room = clusters - count_clusters(end)
    if room < 0:
        end, room = "", clusters
    kept = text[:room] if text.isascii() else _take(text, room, clusters)
    if kept is None:
        return text
    if at_word:
        head, space, _ = kept.rpartition(" ")
        kept = head if space and 2 * len(head) > len(kept) else kept
    return _close(kept.rstrip(" \n" + _OPENS)) + end


def iterate_clusters(text: str) -> Iterator[str]:
    """Yield the clusters of *text*, none of them longer than a sane one."""
    for found in _compile().finditer(text):
        cluster = found[0]
        if len(cluster) <= MAX_CLUSTER_CHARACTERS:
            yield cluster
            continue
        # A letter with a thousand accents is one cluster and would fill the message.
        for at in range(0, len(cluster), MAX_CLUSTER_CHARACTERS):
            yield cluster[at : at + MAX_CLUSTER_CHARACTERS]


def _take(text: str, room: int, most: int) -> str | None:
    """Return the first *room* clusters of *text*; None where it has no more than *most*."""
    taken: list[str] = []
    count = 0
    for cluster in iterate_clusters(text):
        count += cluster not in _UNSEEN_MARKS  # they take no room
        if count > most:
            return "".join(taken)
        if count <= room:
            taken.append(cluster)
    return None


def _close(text: str) -> str:
    """Return *text* with each isolate closed that it opens (UAX #9, BD9)."""
    depth = 0
    for letter in text:
        if letter in _OPENS:
            depth += 1
        elif letter == _CLOSES and depth:
            depth -= 1
    return text + _CLOSES * depth


@functools.cache
def _compile() -> "Pattern[str]":
    # Loaded at first use: most commands cut no text.
    import regex

    # Flags first: \X counts all that come before each, so a thousand of them cost seconds.
    return regex.compile(r"\p{RI}{2}[\p{Grapheme_Extend}\u200d]*+|\X")
