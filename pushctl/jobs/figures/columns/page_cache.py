"""
Pages of columns: read where they are kept, else built from their rows, and kept.

What is not kept is kept where the database can be written to at once (``store/kept_pages.py``
says why nothing here is ever stale).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from secrets import token_hex

import numpy as np
import orjson
from numpy.typing import NDArray

from pushctl.errors import ConfigError, DatabaseBusyError
from pushctl.model import Json
from pushctl.store import Store
from pushctl.store.kept_pages import BITS, KeptPage, find_end

Numbers = NDArray[np.int64]
Columns = dict[str, Numbers]
Words = list[str | None]

_VERSION = 2  # another where what is kept means something else
_BUILD_BYTES = 12
_BATCH = 4  # pages in one transaction: others wait for some tenths of a second


class Page:
    """The columns of a page; *words* has those of a column that is an index into them."""

    def __init__(self, columns: Columns, words: Mapping[str, Sequence[str | None]]) -> None:
        self.columns, self.words = columns, words


# Builds the pages of names between two numbers.
Build = Callable[[int, int, Sequence[str]], dict[str, Page]]


def load(store: Store, source: str, names: Sequence[str], build: Build) -> list[Page]:
    """Return all pages of *names*, in the order of their numbers."""
    return [page for *_, page in load_numbered(store, source, names, build)]


def load_numbered(
    store: Store, source: str, names: Sequence[str], build: Build
) -> Iterator[tuple[int, str, Page]]:
    """
    Yield each page of *names* in order: its first number, its name, its columns.

    What is kept is read page by page, at one moment: all of ten million people at once would
    take more memory than the columns that are made of it.
    """
    bits, last = BITS[source], store.kept_pages.find_last(source)
    ends = {number: find_end(number, bits, last)
            for number in store.kept_pages.list_pages(source, bits)}  # fmt: skip
    whole = {
        (number, name)
        for number, name, upto, version in store.kept_pages.list_kept(source, names)
        if version == _VERSION and upto == ends.get(number)
    }
    made: dict[tuple[int, str], KeptPage] = {}  # what nothing keeps, in few bytes
    missing = [one for one in ends if any((one, name) not in whole for name in names)]
    for start in range(0, len(missing), _BATCH):
        batch = missing[start : start + _BATCH]
        # Not those that are there: a page that is built anew is another one (answers.py).
        lacking = [name for name in names if any((one, name) not in whole for one in batch)]
        made |= _build_batch(store, source, batch, lacking, build)
    with store.snapshot():
        for number, end in ends.items():
            found = {one.name: one for one in store.kept_pages.read_page(source, number, names)}
            found |= {
                name: made.pop((number, name)) for name in names if (number, name) in made
            }
            pages = {name: decode(one) for name, one in found.items() if one.upto == end}
            # One of them may have been deleted since.
            gone = [name for name in names if pages.get(name) is None]
            anew = build(number << bits, end, gone) if gone else {}
            for name in names:
                page = pages.get(name) or anew[name]
                yield number << bits, name, page


def _build_batch(
    store: Store, source: str, batch: Sequence[int], names: Sequence[str], build: Build
) -> dict[tuple[int, str], KeptPage]:
    """Keep the pages *batch* of *names*; return them where they can't be kept."""
    kept = store.kept_pages
    if kept.is_free():
        # Somebody writes, or nobody can: the figures are counted all the same.
        with suppress(DatabaseBusyError, ConfigError), kept.keep():
            for each in _build_pages(store, source, batch, names, build):
                kept.write(source, each)
            return {}
    return {
        (one.page, one.name): one
        for each in _build_pages(store, source, batch, names, build)
        for one in each
        if one.name in names
    }


def _build_pages(
    store: Store, source: str, batch: Sequence[int], names: Sequence[str], build: Build
) -> Iterator[list[KeptPage]]:
    bits, last = BITS[source], store.kept_pages.find_last(source)
    for number in batch:
        end = find_end(number, bits, last)
        made = build(number << bits, end, names)
        yield [encode(name, number, end, page) for name, page in made.items()]


def transpose(
    rows: Sequence[Sequence[Json]], names: Sequence[str], worded: str | None = None
) -> Page:
    """Return the columns *names* of *rows*; of *worded* the words stand apart."""
    columns, words = dict[str, Numbers](), dict[str, Sequence[str | None]]()
    for name, values in zip(names, zip(*rows, strict=True) if rows else [()] * len(names),
                            strict=True):  # fmt: skip
        numbers: Sequence[int] = values
        if name == worded:
            codes: dict[str | None, int] = {}
            numbers = [codes.setdefault(value, len(codes)) for value in values]
            words[name] = list(codes)
        columns[name] = np.array(numbers, np.int64)
    return Page(columns, words)


def join(
    pages: Sequence[Page], names: Sequence[str], worded: str | None = None
) -> tuple[Columns, list[str | None]]:
    """Return the columns of all *pages* in one, and the words of *worded*."""
    known: dict[str | None, int] = {}
    none = np.empty(0, np.int64)
    found = {
        name: np.concatenate([none, *(page.columns[name] for page in pages)])
        for name in names
        if name != worded
    }
    if worded is not None:
        parts = [none]
        for page in pages:
            codes = [known.setdefault(word, len(known)) for word in page.words.get(worded, ())]
            parts.append(np.array(codes, np.int64)[page.columns[worded]])
        found[worded] = np.concatenate(parts)
    return found, list(known)


def encode(name: str, page: int, upto: int, made: Page) -> KeptPage:
    """Return a page as it is kept: each column less its lowest value, in few bytes each."""
    columns, data = list[tuple[str, int, str]](), []
    count = 0
    for word, values in made.columns.items():
        count = len(values)
        low = int(values.min()) if count else 0
        span = int(values.max()) - low if count else 0
        kind = f"<u{next(size for size in (1, 2, 4, 8) if span < 1 << 8 * size)}"
        columns.append((word, low, kind))
        data.append((values - low).astype(kind).tobytes())
    about = {
        "version": _VERSION,
        # No two are alike: as long as it stands here nothing has changed (answers.py).
        "build": token_hex(_BUILD_BYTES),
        "count": count,
        "columns": columns,
        "words": made.words,
    }
    return KeptPage(name, page, upto, orjson.dumps(about).decode(), b"".join(data))


def decode(one: KeptPage) -> Page | None:
    """Return the columns of a page that is kept, None where they are of another version."""
    about = orjson.loads(one.about)
    if about.get("version") != _VERSION:
        return None
    columns, start = dict[str, Numbers](), 0
    for word, low, kind in about["columns"]:
        values = np.frombuffer(one.data, kind, about["count"], start)
        start += values.nbytes
        columns[word] = values.astype(np.int64)
        columns[word] += low
    return Page(columns, about["words"])
