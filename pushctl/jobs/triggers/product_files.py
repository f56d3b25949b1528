"""Reads lists of products: the first fault names its line and the remedy."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import IO, NamedTuple

from pushctl import records
from pushctl.errors import InputError
from pushctl.jobs.triggers import product_xml
from pushctl.model import Json, Millis
from pushctl.rules import amounts
from pushctl.rules.units import SECOND
from pushctl.rules.web import markup

_ABOUT = ("name", "url", "image", "currency", "line", "category", "brand", "family")
# Google Merchant's names of the same (and Facebook's); ours come first where both stand.
_ALSO = {
    "title": "name", "link": "url", "image_link": "image", "availability": "available",
    "product_type": "category", "google_product_category": "category",
    "item_group_id": "family", "sale_price_effective_date": "sale_days",
}  # fmt: skip
_YES = ("true", "1", "yes", "in_stock")
# What is ordered for later is not in stock.
_NO = ("false", "0", "no", "out_of_stock", "outofstock", "preorder", "pre-order", "backorder",
       "available_for_order", "discontinued")  # fmt: skip
_MAX_PRICE = 1e12
_MAX_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Product:
    id: str
    price: float | None
    available: bool | None
    about: Mapping[str, Json]
    was: float | None = None  # the price before a reduction


class _Row(NamedTuple):
    place: str  # the file and the line where it begins
    values: Mapping[str, Json]


def read(
    file: IO[bytes], name: str, currency: str | None = None, now: Millis = 0
) -> Iterator[Product]:
    """
    Yield the products of a file that can be read twice; *currency* is that of the site.

    A sale price with days of its own holds on these, *now* being one of them. Raises
    InputError with *name* and the line for what can't be meant.
    """
    prices = (
        row.values.get(key) for row in _list_rows(file, name) for key in ("price", "sale_price")
    )
    decimal = amounts.agree(price for price in prices if isinstance(price, str))
    met: dict[str, tuple[float | None, bool | None]] = {}
    for place, values in _list_rows(file, name):
        product = _build_product(values, place, currency, decimal, now)
        state = (product.price, product.available)
        if met.setdefault(product.id, state) != state:
            # Else one of them would be a lower price at each import.
            raise InputError(
                f"{place}: {product.id!r} stands there twice, with another price or stock. "
                "Give each variant an id of its own, as in your page's events."
            )
        yield product


def _list_rows(file: IO[bytes], name: str) -> Iterator[_Row]:
    if product_xml.is_xml(file, name):
        for number, fields in product_xml.read(file, name):
            yield _Row(f"{name}, line {number}", _translate(fields))
        return
    found = records.read(file, name)
    columns = None
    if found.columns is not None:
        columns = [_spell(column) for column in found.columns]
        _check_header(columns, name)
    for record in found.rows:
        place = f"{name}, line {record.number}"
        if isinstance(record.found, InputError):
            raise InputError(f"{place}: {record.found}") from record.found
        if isinstance(record.found, Mapping):
            named = {_spell(str(key)): value for key, value in record.found.items()}
        else:
            named = _name_cells(columns or [], record.found, place)
        yield _Row(place, _translate(named))


def _spell(column: str) -> str:
    """Return "image_link" for "g:image link"."""
    return column.strip().casefold().removeprefix("g:").replace(" ", "_")


def _translate(row: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return *row* by our names, where it has Google's."""
    also = {
        ours: row[name]
        for name, ours in reversed(_ALSO.items())
        if row.get(name) not in (None, "")
    }
    return {**also, **{key: value for key, value in row.items() if value not in (None, "")}}


def _check_header(columns: Sequence[str], name: str) -> None:
    twice = sorted(one for one, count in Counter(columns).items() if one and count > 1)
    if twice:
        named = ", ".join(twice[:20])[:300]
        raise InputError(f"{name}: two columns are called {named}. Remove one.")
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
    row: Mapping[str, Json], place: str, currency: str | None, decimal: str | None, now: Millis
) -> Product:
    identity = row.get("id")
    if not _is_plain(identity) or not str(identity).strip():
        raise InputError(f"{place} has no id. Each needs one, as in your page's events.")
    about = {
        key: markup.mend(" ".join(str(row[key]).split()))[:500]
        for key in _ABOUT
        if row.get(key) and _is_plain(row[key])
    }
    own = amounts.read_currency(about.get("currency"))
    if own is None and "currency" in about:
        currency = None  # another one, which has no code
    price, beside = _read_price(row.get("price"), place, own, currency, decimal)
    if beside and "currency" not in about:
        about["currency"] = beside
    known = own or beside or currency
    reduced, _ = _read_price(row.get("sale_price"), place, own, known, decimal)
    was, _ = _read_price(row.get("was"), place, own, known, decimal)
    lower = reduced is not None and price is not None and reduced < price
    if lower and _is_between(row.get("sale_days"), place, now):
        price, was = reduced, price
    number = markup.mend(str(identity).strip()[:200])
    return Product(number, price, _read_flag(row.get("available"), place), about, was)


def _is_between(days: Json, place: str, now: Millis) -> bool:
    """Return whether *now* is within "2026-11-27T00:00+0100/2026-11-30T23:59+0100"."""
    if not days:
        return True
    try:
        since, until = (datetime.fromisoformat(one.strip()) for one in str(days).split("/"))
        return since.timestamp() * SECOND <= now < until.timestamp() * SECOND
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{place} has sale days {_show(days)}. Write two moments: "
            "2026-11-27T00:00+0100/2026-11-30T23:59+0100."
        ) from error


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
