"""
Product lists in XML, as Google Merchant takes them: RSS 2.0 or Atom with ``g:`` names.

https://support.google.com/merchants/answer/7052112 has the names. A file with a document
type is refused: no shop writes one, and entities are how a few bytes become gigabytes. Read
as a stream; the bounds below hold for each product.
"""

from collections.abc import Iterator, Mapping
from typing import IO, Any
from xml.parsers import expat

from pushctl import records
from pushctl.errors import InputError
from pushctl.model import Json

_GOOGLE = "http://base.google.com/ns/1.0"
_ITEMS = frozenset({"item", "entry"})
_CHUNK_BYTES = 1 << 16
_MOST_LEVELS = 32
_MOST_FIELDS = 500  # of one product
_MOST_CHARACTERS = records.MAX_RECORD  # of one product
_HEAD_BYTES = 1024


def is_xml(file: IO[bytes], name: str) -> bool:
    """Return whether the first character of *file* opens markup."""
    head = records.guard(records.unpack(file, name).peek, 1)[:_HEAD_BYTES]
    return head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<" or head[:4] in (
        b"\xff\xfe<\x00",
        b"\xfe\xff\x00<",
    )


def read(file: IO[bytes], name: str) -> Iterator[tuple[int, Mapping[str, Json]]]:
    """Yield each product's line and fields by Google's names; raises InputError."""
    stream, reading = records.unpack(file, name), _Reading(name)
    for chunk in iter(lambda: records.guard(stream.read1, _CHUNK_BYTES), b""):
        yield from reading.feed(chunk)
    yield from reading.feed(b"", end=True)
    if not reading.found:
        raise InputError(f"{name} has no product: no <item> as in RSS, no <entry> as in Atom.")


class _Reading:
    """A parser, and the product that it is in."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._done: list[tuple[int, Mapping[str, Json]]] = []
        self._path: list[str] = []
        self.found = False
        self._item = 0  # how deep the product stands; 0: outside of one
        self._line = self._length = 0
        self._fields: dict[str, str] = {}
        self._text: list[str] = []
        self._sure: set[str] = set()  # fields with a name of Google's
        parser = self._parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._add
        parser.StartDoctypeDeclHandler = self._refuse

    def feed(self, chunk: bytes, *, end: bool = False) -> list[tuple[int, Mapping[str, Json]]]:
        try:
            self._parser.Parse(chunk, end)
        except expat.ExpatError as error:
            raise InputError(f"{self._name} is no XML: {error}") from error
        except (ValueError, LookupError) as error:  # also of one with several bytes a letter
            raise InputError(
                f"{self._name} has an unknown encoding. Save it in UTF-8."
            ) from error
        done, self._done = self._done, []
        return done

    def _refuse(self, *_: Any) -> None:
        raise InputError(
            f"{self._name}, line {self._parser.CurrentLineNumber} declares a document type. "
            "Remove <!DOCTYPE ...>: a product list needs none."
        )

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._path.append(tag)
        if len(self._path) > _MOST_LEVELS:
            self._fail(f"more than {_MOST_LEVELS} levels")
        self._text.clear()
        if not self._item and _cut(tag) in _ITEMS:
            self._item, self._line = len(self._path), self._parser.CurrentLineNumber
            self._fields, self._length = {}, 0
            self._sure.clear()
        elif self._item and "href" in attributes and _cut(tag) == "link":  # Atom's
            self._keep(tag, attributes["href"])

    def _add(self, text: str) -> None:
        if not self._item:
            return
        self._length += len(text)
        if self._length > _MOST_CHARACTERS:
            self._fail(f"a product of more than {_MOST_CHARACTERS:,} characters")
        self._text.append(text)

    def _end(self, tag: str) -> None:
        depth = len(self._path)
        self._path.pop()
        if depth == self._item:
            self._item, self.found = 0, True
            self._done.append((self._line, self._fields))
        elif self._item and depth == self._item + 1:
            self._keep(tag, "".join(self._text).strip())

    def _keep(self, tag: str, text: str) -> None:
        name, is_google = _cut(tag), tag.startswith(f"{_GOOGLE} ")
        # Google's own name is meant for this; of several the first is the main one.
        if text and (name not in self._fields or (is_google and name not in self._sure)):
            self._fields[name] = text
        if is_google and text:
            self._sure.add(name)
        if len(self._fields) > _MOST_FIELDS:
            self._fail(f"a product of more than {_MOST_FIELDS} fields")

    def _fail(self, what: str) -> None:
        raise InputError(f"{self._name}, line {self._parser.CurrentLineNumber}: {what}")


def _cut(tag: str) -> str:
    return tag.rpartition(" ")[2].lower()
