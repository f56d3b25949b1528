"""How a spreadsheet program of the user's locale writes CSV."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pushctl.rules.csv_lines import Dialect


def find_dialect() -> "Dialect":
    """
    Return the dialect of the locale in LC_ALL, LC_NUMERIC or LANG.

    Where a comma stands in numbers, a semicolon stands between cells: so do Excel and
    LibreOffice. Without a known locale it is the comma.
    """
    from babel import Locale, UnknownLocaleError
    from babel.numbers import get_decimal_symbol

    from pushctl.rules.csv_lines import Dialect

    given = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_NUMERIC", "LANG"))), "C")
    name = given.partition(".")[0].partition("@")[0]
    try:
        decimal = get_decimal_symbol(Locale.parse(name)) if name not in ("C", "POSIX") else "."
    except (ValueError, UnknownLocaleError):
        decimal = "."
    if decimal == ",":
        return Dialect(";", ",", spreadsheet=True)
    return Dialect(spreadsheet=True)
