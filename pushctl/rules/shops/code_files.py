"""
Files of promo codes: what shops import, and what they and others export.

Shopify has no import of its own: the columns are those of Matrixify's "Discounts", which adds
codes to the discount of that title (https://matrixify.app/documentation/discounts/).
WooCommerce has none either: the columns are WordPress's own names of a coupon's fields, which
its import plugins take (https://www.webtoffee.com/bulk-import-coupons-using-csv-file-coupon-data/).
2Checkout takes one code a line for a promotion with several coupons.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

from pushctl.errors import InputError, UsageError
from pushctl.rules.shops import promo_codes

# The header of the column with the codes, in any case.
_COLUMNS = (
    "code", "codes", "promo code", "promo_code", "coupon", "coupon code", "coupon_code",
    "discount code", "discount_code", "voucher", "voucher code", "post_title",
)  # fmt: skip


class Shop(StrEnum):
    SHOPIFY = "shopify"
    WOOCOMMERCE = "woocommerce"
    TWOCHECKOUT = "2checkout"


@dataclass(frozen=True)
class Discount:
    """What a code takes off: percent, or an amount of the shop's currency."""

    percent: float | None = None
    amount: float | None = None
    until: str = ""  # the last day, as 2026-12-31


def write(shop: Shop, title: str, codes: Iterable[str], discount: Discount) -> Iterator[bytes]:
    """Yield the file that *shop* imports; raises UsageError for what it has no place for."""
    if shop is Shop.TWOCHECKOUT:
        yield from (f"{code}\r\n".encode() for code in codes)
    elif shop is Shop.SHOPIFY:
        rows = ((title, "MERGE", code) for code in codes)
        yield from _write_csv(("Title", "Command", "Code"), rows)
    else:
        yield from _write_coupons(title, codes, discount)


def _write_coupons(title: str, codes: Iterable[str], discount: Discount) -> Iterator[bytes]:
    if (discount.percent is None) == (discount.amount is None):
        raise UsageError("what does a WooCommerce coupon take off? --percent 15 or --amount 10")
    kind = "fixed_cart" if discount.percent is None else "percent"
    worth = discount.amount if discount.percent is None else discount.percent
    header = (
        "post_title", "post_excerpt", "post_status", "discount_type", "coupon_amount",
        "individual_use", "usage_limit", "expiry_date",
    )  # fmt: skip
    yield from _write_csv(
        header,
        (
            (code, title, "publish", kind, f"{worth:g}", "yes", "1", discount.until)
            for code in codes
        ),
    )


def _write_csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    for row in rows:
        writer.writerow(row)
        if out.tell() > 1 << 16:
            yield out.getvalue().encode()
            out.seek(0)
            out.truncate()
    yield out.getvalue().encode()


def read(lines: Iterable[str], column: str | None = None) -> Iterator[str]:
    """
    Yield the codes of a file: one a line, or a column of CSV.

    *column* names it, where its header does not. Raises InputError with the line's number.
    """
    left = iter(lines)
    first = next(left, "").removeprefix("\ufeff")
    separator = max(",;\t|", key=first.count)
    names = [one.strip().strip('"').casefold() for one in first.split(separator)]
    wanted = [column.casefold()] if column else [one for one in _COLUMNS if one in names]
    if column and wanted[0] not in names:
        raise InputError(f"there is no column called {column!r}")
    if not wanted and separator in first:
        raise InputError(
            "none of its columns is called code: name the one with the codes by --column"
        )
    if not wanted:
        yield from _read_lines(chain([first], left), 1)
        return
    place = names.index(wanted[0])
    if len(names) == 1:
        yield from _read_lines(left, 2)
        return
    rows = csv.reader(left, delimiter=separator)
    try:
        for number, row in enumerate(rows, 2):
            if row:
                yield _check(row[place] if place < len(row) else "", number)
    except csv.Error as error:
        raise InputError(f"line {rows.line_num}: no CSV ({error})") from None


def _read_lines(lines: Iterable[str], first: int) -> Iterator[str]:
    for number, line in enumerate(lines, first):
        if text := line.strip().strip('"'):
            yield _check(text, number)


def _check(text: str, number: int) -> str:
    # The usual code needs no look at each of its characters.
    if text.isascii() and text.isalnum() and len(text) <= 30:
        return text
    try:
        return promo_codes.read(text)
    except InputError as error:
        raise InputError(f"line {number}: {error}") from None
