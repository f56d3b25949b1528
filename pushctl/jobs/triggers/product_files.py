"""Reads lists of products: the first fault names its line and the remedy."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, NamedTuple

from pushctl import records
from pushctl.errors import InputError
from pushctl.model import Json
from pushctl.rules import amounts
from pushctl.rules.web import markup

_ABOUT = ("name", "url", "image", "line", "currency")
_YES, _NO = ("true", "1", "yes", "in_stock"), ("false", "0", "no", "out_of_stock")
_MAX_PRICE = 1e12
_MAX_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Product:
    id: str
    price: float | None
    available: bool | None
    about: Mapping[str, Json]


class _Row(NamedTuple):
    place: str  # the file and the line where it begins
    values: Mapping[str, Json]


def read(file: IO[bytes], name: str, currency: str | None = None) -> Iterator[Product]:
    """
    Yield the products of a file that can be read twice; *currency* is that of the site.

    Raises InputError with *name* and the line for what can't be meant.
    """
    prices = (row.values.get("price") for row in _list_rows(file, name))
    decimal = amounts.agree(price for price in prices if isinstance(price, str))
    met: dict[str, tuple[float | None, bool | None]] = {}
    for place, values in _list_rows(file, name):
        product = _build_product(values, place, currency, decimal)
        state = (product.price, product.available)
        if met.setdefault(product.id, state) != state:
            # Else one of them would be a lower price at each import.
            raise InputError(
                f"{place}: {product.id!r} stands there twice, with another price or stock. "
                "Give each variant an id of its own, as in your page's events."
            )
        yield product


def _list_rows(file: IO[bytes], name: str) -> Iterator[_Row]:
    found = records.read(file, name)
    columns = None
    if found.columns is not None:
        columns = [column.strip().casefold() for column in found.columns]
        _check_header(columns, name)
    for record in found.rows:
        place = f"{name}, line {record.number}"
        if isinstance(record.found, InputError):
            raise InputError(f"{place}: {record.found}") from record.found
        if isinstance(record.found, Mapping):
            yield _Row(place, record.found)
        else:
            yield _Row(place, _name_cells(columns or [], record.found, place))


def _check_header(columns: Sequence[str], name: str) -> None:
    twice = sorted({one for one in columns if one and columns.count(one) > 1})
    if twice:
        raise InputError(f"{name}: two columns are called {', '.join(twice)}. Remove one.")
    if columns and "id" not in columns:
        raise InputError(
            f"{name}: there is no column called id. It has {', '.join(columns[:20])[:300]}."
        )


def _name_cells(columns: Sequence[str], cells: Sequence[str], place: str) -> dict[str, Json]:
    for cell in cells:
        if not cell.isascii() and any("\udc80" <= mark <= "\udcff" for mark in cell):
            raise InputError(f"{place} is not in UTF-8. Save the file in that encoding.")
    return dict(zip(columns, cells, strict=False))


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
    own = amounts.read_currency(about.get("currency"))
    if own is None and "currency" in about:
        currency = None  # another one, which has no code
    price, beside = _read_price(row.get("price"), place, own, currency, decimal)
    if beside and "currency" not in about:
        about["currency"] = beside
    number = markup.mend(str(identity).strip()[:200])
    return Product(number, price, _read_flag(row.get("available"), place), about)


def _is_plain(value: Json) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _show(value: Json) -> str:
    return repr(value)[:_MAX_SHOWN] if _is_plain(value) else "that is no number"


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
    if found.number is None or not 0 <= found.number < _MAX_PRICE:
        raise InputError(
            f"{place} has a price {_show(price)}. Write a number with two digits behind its "
            "separator: 19.90 or 19,90 or 1.249,00 EUR."
        )
    single = len(found.currencies) == 1
    if not found.fits(own or usual) and (own is not None or not single):
        raise InputError(
            f"{place} has a price {_show(price)}, its currency is {own or usual or 'unknown'}. "
            "Write the code of its currency: 19.90 USD."
        )
    return found.number, next(iter(found.currencies)) if single else None


def _read_flag(value: Json, place: str) -> bool | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return value
    if _is_plain(value):
        word = str(value)[:_MAX_SHOWN].strip().casefold().replace(" ", "_")
        if word in (*_YES, *_NO, ""):
            return word in _YES if word else None
    raise InputError(f"{place}: available is {_show(value)}. Write true or false.")
