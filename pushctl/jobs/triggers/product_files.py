"""Reads lists of products, CSV or JSON lines: the first fault names its line and the remedy."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from pushctl.errors import InputError
from pushctl.model import Json
from pushctl.rules import amounts
from pushctl.rules.web import markup

_ABOUT = ("name", "url", "image", "line", "currency")
_YES, _NO = ("true", "1", "yes", "in_stock"), ("false", "0", "no", "out_of_stock")
_MARKS = ",;\t|"
_MAX_PRICE = 1e12
# Excel's own way to say which separator a file has.
_SEPARATOR = re.compile(r"sep=(.)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Product:
    id: str
    price: float | None
    available: bool | None
    about: Mapping[str, Json]


class _Row(NamedTuple):
    place: str  # the file and the line where it begins
    values: Mapping[str, Json]


def read(text: str, name: str, currency: str | None = None) -> Iterator[Product]:
    """
    Yield the products of a file; *currency* is that of the site.

    Raises InputError with *name* and the line for what can't be meant.
    """
    text = text.removeprefix("\ufeff")
    rows = _read_json if text.lstrip()[:1] in ("{", "[") else _read_csv
    prices = (row.values.get("price") for row in rows(text, name))
    decimal = amounts.agree(price for price in prices if isinstance(price, str))
    met: dict[str, tuple[float | None, bool | None]] = {}
    for place, values in rows(text, name):
        product = _build_product(values, place, currency, decimal)
        state = (product.price, product.available)
        if met.setdefault(product.id, state) != state:
            # Else one of them would be a lower price at each import.
            raise InputError(
                f"{place}: {product.id!r} stands there twice, with another price or stock. "
                "Give each variant an id of its own, as in your page's events."
            )
        yield product


def _read_csv(text: str, name: str) -> Iterator[_Row]:
    # Not splitlines(): U+2028 and others may stand in a text.
    lines, mark, number = [f"{line}\n" for line in text.split("\n")], "", 0
    if declared := _SEPARATOR.fullmatch(lines[0].strip()):
        mark, number = declared[1], 1
    header = lines[number] if len(lines) > number else ""
    mark = mark or max(_MARKS, key=header.count)
    reader = csv.reader(lines[number:], delimiter=mark, strict=True)
    columns: list[str] | None = None
    while True:
        first = number + reader.line_num + 1
        place = f"{name}, line {first}"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(_describe_fault(error, place)) from error
        if columns is None:
            columns = [cell.strip().casefold() for cell in cells]
            _check_header(columns, place)
        elif any(cell.strip() for cell in cells):
            yield _Row(place, _name_cells(columns, cells, place))


def _describe_fault(error: csv.Error, place: str) -> str:
    if "unexpected end" in str(error):
        return (
            f"{place}: a quotation mark is opened in this line, and never closed. Close it, or "
            'write it twice ("") where it belongs to the text.'
        )
    if "field larger" in str(error):
        return (
            f"{place}: a cell has more than {csv.field_size_limit():,} characters. Is a "
            "quotation mark left open in this line?"
        )
    return f"{place} is no CSV: {error}. Is a quotation mark left open in this line?"


def _check_header(columns: Sequence[str], place: str) -> None:
    twice = sorted({one for one in columns if one and columns.count(one) > 1})
    if twice:
        raise InputError(f"{place}: two columns are called {', '.join(twice)}. Remove one.")
    if "id" not in columns:
        raise InputError(
            f"{place}: there is no column called id. It has {', '.join(columns[:20])[:300]}."
        )


def _name_cells(columns: Sequence[str], cells: Sequence[str], place: str) -> dict[str, Json]:
    if any(cell.strip() for cell in cells[len(columns) :]):
        raise InputError(
            f"{place} has {len(cells)} cells, the header {len(columns)}. Put values with a "
            'separator into quotation marks: "19,90".'
        )
    return dict(zip(columns, cells, strict=False))


def _read_json(text: str, name: str) -> Iterator[_Row]:
    if text.lstrip().startswith("["):
        raise InputError(
            f"{name} is one JSON array. Give one object a line: jq -c '.[]' {name}"
        )
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        place = f"{name}, line {number}"
        try:
            # Refuses lone surrogates, and more than 1,024 levels.
            row = orjson.loads(line.encode("utf-8", "surrogatepass"))
        except ValueError as error:
            hint = f" Give one object a line: jq -c . {name}" if number == 1 else ""
            raise InputError(f"{place} is no JSON: {error}.{hint}") from error
        if not isinstance(row, dict):
            raise InputError(f"{place} is no JSON object.")
        yield _Row(place, row)


def _build_product(
    row: Mapping[str, Json], place: str, currency: str | None, decimal: str | None
) -> Product:
    identity = row.get("id")
    if not _is_plain(identity) or not str(identity).strip():
        raise InputError(f"{place} has no id. Each needs one, as in your page's events.")
    about = {
        key: markup.mend(str(row[key]))[:500]
        for key in _ABOUT
        if row.get(key) and _is_plain(row[key])
    }
    if (own := amounts.read_currency(about.get("currency"))) is None and "currency" in about:
        currency = None  # another one, which has no code
    price, beside = _read_price(row.get("price"), place, own, currency, decimal)
    if beside and "currency" not in about:
        about["currency"] = beside
    number = markup.mend(str(identity).strip()[:200])
    return Product(number, price, _read_flag(row.get("available"), place), about)


def _is_plain(value: Json) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _read_price(
    price: Json, place: str, own: str | None, usual: str | None, decimal: str | None
) -> tuple[float | None, str | None]:
    """
    Return the price, and the currency that stands beside it: "49.00 EUR".

    *own* is the product's currency, *usual* the site's.
    """
    if price is None or (isinstance(price, str) and not price.strip()):
        return None, None
    found = amounts.read(price, own or usual, decimal)
    shown = repr(price)[:80]
    if found.number is None or not 0 <= found.number < _MAX_PRICE:
        raise InputError(
            f"{place} has the price {shown}. Write a number with two digits behind its "
            "separator: 19.90 or 19,90 or 1.249,00 EUR."
        )
    single = len(found.currencies) == 1
    if not found.fits(own or usual) and (own is not None or not single):
        raise InputError(
            f"{place} has the price {shown}, and its currency is {own or usual or 'unknown'}. "
            "Write the code of its currency: 19.90 USD."
        )
    return found.number, next(iter(found.currencies)) if single else None


def _read_flag(value: Json, place: str) -> bool | None:
    word = str("" if value is None else value)[:80].strip().casefold().replace(" ", "_")
    if word in _YES:
        return True
    if word in _NO:
        return False
    if not word:
        return None
    raise InputError(f"{place}: available is {str(value)[:80]!r}. Write true or false.")
