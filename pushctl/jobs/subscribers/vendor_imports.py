"""Files of other push services: whose they are, and which columns are strange there."""

from itertools import chain
from typing import IO, NamedTuple

from pushctl import records
from pushctl.errors import InputError
from pushctl.jobs.subscribers import files
from pushctl.rules.vendors import exports
from pushctl.rules.vendors.exports import EXPORTS, Vendor
from pushctl.rules.web import opt_out
from pushctl.store.imports import OURS

_READ = {"keys", *files.WHOLE, *chain.from_iterable(files.COLUMNS.values())}


class Origin(NamedTuple):
    """Where a file comes from."""

    vendor: Vendor | None = None  # None: from no service that we know
    strange: tuple[str, ...] = ()  # columns that this service's files do not have

    @property
    def title(self) -> str:
        return EXPORTS[self.vendor].title if self.vendor else ""


def find_origin(file: IO[bytes], name: str, told: Vendor | None) -> Origin:
    """
    Return where *file* comes from: *told*, else what its columns plainly say.

    Raises InputError for a file without the columns of the service that was told.
    """
    columns = _read_columns(file, name)
    vendor = told or exports.recognise(columns)
    if vendor is None or not columns:
        return Origin(vendor)
    missing = EXPORTS[vendor].marks.difference(columns)
    if missing:
        raise InputError(
            f"{name}: a file of {EXPORTS[vendor].title} has the columns "
            f"{', '.join(sorted(missing))}, and this one has not: {', '.join(columns[:20])}. "
            "Export them as well (docs/moving.md), or import it with --from csv."
        )
    understood = {each for each in columns if _is_understood(each)}
    return Origin(vendor, tuple(exports.list_strange(vendor, columns, understood)))


def choose_worker(origin: Origin, *, ours: bool) -> str | None:
    """Return whose worker the people of a file run; None: the file says nothing of it."""
    if ours:
        return OURS
    return EXPORTS[origin.vendor].worker if origin.vendor else None


def _is_understood(name: str) -> bool:
    """Whether a column is read in every file, whoever wrote it."""
    return name in _READ or name.startswith("attr.") or opt_out.recognise(name) is not None


def _read_columns(file: IO[bytes], name: str) -> tuple[str, ...]:
    """Return the columns of a table, or the fields of the first object, as compared."""
    found = records.read(file, name)
    if found.columns is not None:
        return tuple(map(files.column, found.columns))
    first = next(found.rows, None)
    if first is None or not isinstance(first.found, dict):
        return ()
    return tuple(map(files.column, first.found))
