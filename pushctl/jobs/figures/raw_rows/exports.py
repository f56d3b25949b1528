"""Raw rows as files: CSV, JSON lines or Parquet, written page by page in bounded memory."""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeGuard

import orjson

from pushctl.errors import ConfigError, UsageError
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.subscribers import exports
from pushctl.model import Json, Millis
from pushctl.rules import csv_lines, wording
from pushctl.rules.csv_lines import Dialect, Lines
from pushctl.rules.figures.views.catalogue import VIEWS, Field, Type
from pushctl.rules.units import SECOND
from pushctl.store import Store
from pushctl.store.pages import read_pages

_LAST_MOMENT = 253_402_300_800_000  # the end of the year 9999: no calendar goes further
_GROUP_PAGES = 10  # of one row group: 50,000 rows, as far as all of them are asked for

Rows = Sequence[Sequence[Json]]


class Form(StrEnum):
    CSV = "csv"
    EXCEL = "excel"  # CSV as a spreadsheet program opens it
    JSONL = "jsonl"
    PARQUET = "parquet"


class Bar(Protocol):
    def advance(self, count: int = 1) -> None: ...

    def total(self, count: int) -> None: ...


def export(
    store: Store, name: str, path: Path, form: Form, bar: Bar, *, asked: Filter,
    people: bool = False, dialect: Dialect = csv_lines.PLAIN, stream: BinaryIO | None = None,
) -> int:  # fmt: skip
    """
    Write the view *name* to *path* in one step, or to *stream*; return the number of rows.

    The file is there whole, or as it was; a stream gets pages as they are read. *dialect* is
    that of EXCEL. Raises UsageError for a site of what has none, ConfigError where pyarrow is
    missing.
    """
    view = VIEWS[name]
    fields = view.list_fields(people=people)
    if asked.site is not None and all(field.name != "site" for field in fields):
        raise UsageError(f"{name} belong to no site: leave out --site")
    count = 0

    def read() -> Iterator[Rows]:
        nonlocal count
        for page in read_pages(
            store.path, name, people=people, site=asked.site, since=asked.since,
            until=asked.until,
        ):  # fmt: skip
            bar.total(page.total)
            bar.advance(page.done)
            count += len(page.rows)
            if page.rows:
                yield page.rows

    match form:
        case Form.CSV | Form.EXCEL:
            pieces = _render_csv(fields, read(), dialect if form is Form.EXCEL else None)
        case Form.JSONL:
            pieces = _render_jsonl(fields, read())
        case Form.PARQUET:
            pieces = _open_parquet(fields)(read())
    if stream is None:
        exports.write_pieces(path, pieces)
    else:
        exports.write_to_stream(stream, pieces)
    return count


def _render_csv(
    fields: Sequence[Field], pages: Iterable[Rows], dialect: Dialect | None
) -> Iterator[bytes]:
    lines = Lines(dialect or csv_lines.PLAIN, csv.QUOTE_MINIMAL)
    head = csv_lines.BOM if dialect else ""
    yield f"{head}{lines.render([[field.name for field in fields]])}".encode()
    cells: dict[Type, Callable[[Any], object]] = {
        Type.TEXT: _write_text,
        Type.BOOLEAN: _write_boolean,
        Type.TIME: _write_date if dialect else _write_moment,
    }
    for rows in pages:
        yield lines.render(zip(*_convert(fields, rows, cells), strict=True)).encode()


def _render_jsonl(fields: Sequence[Field], pages: Iterable[Rows]) -> Iterator[bytes]:
    names = [field.name for field in fields]
    cells: dict[Type, Callable[[Any], object]] = {
        Type.BOOLEAN: _read_boolean,
        Type.TIME: _write_moment,
    }
    for rows in pages:
        lines = [
            orjson.dumps(dict(zip(names, row, strict=True)))
            for row in zip(*_convert(fields, rows, cells), strict=True)
        ]
        # orjson escapes C0 alone.
        yield wording.escape_hostile(b"\n".join([*lines, b""]).decode()).encode()


def _convert(
    fields: Sequence[Field], rows: Rows, cells: dict[Type, Callable[[Any], object]]
) -> Iterator[Iterable[object]]:
    """Yield the columns of *rows*, each with its type's function over its values."""
    for field, values in zip(fields, zip(*rows, strict=True), strict=True):
        convert = cells.get(field.type)
        yield map(convert, values) if convert else values


@lru_cache(maxsize=1 << 16)
def _write_text(value: Json) -> object:
    return wording.csv_cell(value)


def _read_boolean(value: int | None) -> bool | None:
    return None if value is None else bool(value)


def _write_boolean(value: int | None) -> str:
    return "" if value is None else "true" if value else "false"


def _is_moment(value: Millis | None) -> TypeGuard[Millis]:
    """Return whether a calendar has *value*; of a row of others it may be anything."""
    return value is not None and 0 <= value < _LAST_MOMENT


def _write_moment(value: Millis | None) -> str | None:
    if not _is_moment(value):
        return None
    at = datetime.fromtimestamp(value // SECOND, UTC).isoformat()
    return f"{at[:19]}.{value % SECOND:03}Z"


def _write_date(value: Millis | None) -> str | None:
    """Return a time of UTC as Excel and LibreOffice take it for one."""
    if not _is_moment(value):
        return None
    return f"{datetime.fromtimestamp(value // SECOND, UTC):%Y-%m-%d %H:%M:%S}"


class _Sink:
    """A file that Parquet is written to; ``take`` returns what was written since."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._size += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def take(self) -> bytes:
        pieces, self._pieces = b"".join(self._pieces), []
        return pieces


def _open_parquet(fields: Sequence[Field]) -> Callable[[Iterable[Rows]], Iterator[bytes]]:
    """Return what renders pages, a row group each; raises ConfigError without pyarrow."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise ConfigError(
            "Parquet needs the package pyarrow: pip install 'pushctl[parquet]'"
        ) from error
    types = {
        Type.TEXT: pyarrow.string(),
        Type.INTEGER: pyarrow.int64(),
        Type.REAL: pyarrow.float64(),
        Type.BOOLEAN: pyarrow.bool_(),
        Type.TIME: pyarrow.timestamp("ms", tz="UTC"),
    }
    schema = pyarrow.schema([(field.name, types[field.type]) for field in fields])

    def render(pages: Iterable[Rows]) -> Iterator[bytes]:
        sink = _Sink()
        cells: dict[Type, Callable[[Any], object]] = {Type.BOOLEAN: _read_boolean}
        with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
            group: list[Any] = []
            for rows in pages:
                columns = _convert(fields, rows, cells)
                arrays = [
                    pyarrow.array(list(values), types[field.type])
                    for field, values in zip(fields, columns, strict=True)
                ]
                group.append(pyarrow.Table.from_arrays(arrays, schema=schema))
                if len(group) == _GROUP_PAGES:
                    writer.write_table(pyarrow.concat_tables(group).combine_chunks())
                    group.clear()
                    yield sink.take()
            if group:
                writer.write_table(pyarrow.concat_tables(group).combine_chunks())
        yield sink.take()

    return render
