"""
One statement that a person wrote, on the views alone, in bounded time and memory.

Four bounds, each enough by itself against a mistake, together against malice: the file is
opened mode=ro, under a name that nobody knows (store/views.py); SQLite asks ``_Judge`` for
each table, column and function before a statement runs; a handler ends it when its time is
over; ``bound_process`` has the kernel end a process that a single long function keeps from
looking at the time. Rows are fetched first and shown later, so whoever reads them slowly
holds no part of the write-ahead log.
"""

import re
import resource
import signal
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from pushctl.errors import InputError
from pushctl.model import Json
from pushctl.rules import wording
from pushctl.rules.figures.views.catalogue import VIEWS
from pushctl.rules.limits import (
    MAX_SQL_CELL_BYTES,
    MAX_SQL_HEAP_BYTES,
    MAX_SQL_RESULT_BYTES,
    MAX_SQL_ROWS,
    MAX_SQL_SECONDS,
    MAX_SQL_TEMPORARY_BYTES,
)
from pushctl.store.views import SECRETS, open_views

_NAMES = """
    abs char coalesce glob hex ifnull iif instr length like likelihood likely lower ltrim
    max min nullif quote replace round rtrim sign soundex substr substring trim typeof
    unicode unlikely upper random
    date time datetime julianday strftime unixepoch timediff
    avg count group_concat string_agg sum total
    row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value
    nth_value
    ceil ceiling floor trunc exp ln log log10 log2 mod pi pow power sqrt degrees radians
    acos asin atan atan2 cos sin tan
    json_array_length json_group_array json_group_object json_array json_object -> ->>
"""
_FUNCTIONS = frozenset(_NAMES.split())

# SQLite's own limits for one connection (https://sqlite.org/limits.html).
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: MAX_SQL_CELL_BYTES,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_COLUMN: 200,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 100_000,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 64,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 255,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_OPERATIONS_BETWEEN_LOOKS = 10_000  # at the time; some 0.2 ms

_BLANK = re.compile(r"(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?(?:\*/|\Z))+", re.DOTALL)

# Tables of SQLite's own, that no view can hide: FULL JOIN ... USING shows columns unasked.
_OF_SQLITE = re.compile(r"sqlite_|pragma_", re.IGNORECASE)


class Answer(NamedTuple):
    """What a statement gave."""

    names: list[str]  # of the columns, as SQLite calls them
    rows: list[tuple[Json, ...]]
    cut: bool  # there are more rows than MAX_SQL_ROWS


class Function(NamedTuple):
    """A function that statements may call beside those of SQLite; it may not raise."""

    arguments: int
    call: Callable[..., Json]


class _Judge:
    """Says which tables, columns and functions a statement may touch."""

    def __init__(self, file: str, functions: Collection[str]) -> None:
        self._file = file  # its secret name: only a view leads to its tables
        self._functions = _FUNCTIONS.union(functions)

    def __call__(
        self, action: int, first: str | None, second: str | None, database: str | None,
        context: str | None,
    ) -> int:  # fmt: skip
        match action:
            case sqlite3.SQLITE_SELECT | sqlite3.SQLITE_RECURSIVE:
                allowed = True
            case sqlite3.SQLITE_FUNCTION:
                allowed = (second or "").lower() in self._functions
            case sqlite3.SQLITE_READ:
                allowed = self._may_read((first or "").lower(), second, database, context)
            case _:
                allowed = False
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

    def _may_read(
        self, table: str, column: str | None, database: str | None, context: str | None
    ) -> bool:
        if not column:
            # Asked for each name in FROM of which no column is read: views, tables behind
            # them, and names of WITH.
            return not table.startswith(("pragma_", "sqlite_"))
        if database == self._file:
            return (context or "").lower() in VIEWS and column.lower() not in SECRETS
        return database == "temp" and table in VIEWS


def ask(
    path: Path,
    statement: str,
    *,
    people: bool,
    seconds: float = MAX_SQL_SECONDS,
    functions: Mapping[str, Function] = MappingProxyType({}),
) -> Answer:
    """
    Run one SELECT on the views of *path*; raises InputError for all that it may not do.

    *functions* are further ones, by their names in lower case.

    The transaction ends before this returns, and after *seconds* at the latest.
    """
    _check_form(statement)
    deadline = time.monotonic() + seconds
    connection, file = open_views(path, people=people)
    with closing(connection):
        for limit, value in _LIMITS.items():
            connection.setlimit(limit, value)
        connection.set_progress_handler(
            lambda: time.monotonic() > deadline, _OPERATIONS_BETWEEN_LOOKS
        )
        for name, function in functions.items():
            connection.create_function(
                name, function.arguments, function.call, deterministic=True
            )
        connection.set_authorizer(_Judge(file, functions))
        try:
            return _fetch(connection, statement, deadline)
        except (sqlite3.Error, sqlite3.Warning, MemoryError, OverflowError) as error:
            raise InputError(_explain(error, seconds).replace(file, "file")) from None


@contextmanager
def bound_process() -> Iterator[None]:
    """
    Bound this whole process: SQLite's heap for good, and for the block files and time.

    The kernel ends a process that is still in the block three seconds after its time. The
    heap is that of every connection, so this is for a program that does nothing else.
    """
    with closing(sqlite3.connect(":memory:")) as own:
        own.execute(f"PRAGMA hard_heap_limit = {MAX_SQL_HEAP_BYTES}").fetchall()
    size, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # What one statement sorts in. The block writes nothing to the database.
    most = MAX_SQL_TEMPORARY_BYTES if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_FSIZE, (min(most, MAX_SQL_TEMPORARY_BYTES), hard))
    before = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, MAX_SQL_SECONDS + 3)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


def _check_form(statement: str) -> None:
    rest = _BLANK.sub("", statement, count=1) if _BLANK.match(statement) else statement
    word = re.match(r"\w*", rest)
    if word is None or word[0].upper() not in ("SELECT", "WITH", "VALUES"):
        raise InputError("the statement begins with SELECT, WITH or VALUES; docs/sql.md")
    if _OF_SQLITE.search(statement):
        raise InputError("a statement has no name with sqlite_ or pragma_ in it; docs/sql.md")
    if "\0" in statement:
        raise InputError("the statement has a NUL character")


def _fetch(connection: sqlite3.Connection, statement: str, deadline: float) -> Answer:
    found = connection.execute(statement)
    rows: list[tuple[Json, ...]] = []
    size, cut = 0, False
    for row in found:
        if len(rows) == MAX_SQL_ROWS:
            cut = True
            break
        size += sum(len(one) if isinstance(one, str | bytes) else 8 for one in row)
        if size > MAX_SQL_RESULT_BYTES:
            raise MemoryError
        if time.monotonic() > deadline:
            raise sqlite3.OperationalError("interrupted")
        rows.append(row)
    names = [column[0] for column in found.description or ()]
    found.close()
    return Answer(names, rows, cut)


def _explain(error: BaseException, seconds: float) -> str:
    text = str(error)
    if isinstance(error, MemoryError) or "out of memory" in text:
        return "SQL: the statement needs too much memory. Ask for fewer rows, or sum them up."
    if "interrupted" in text:
        return (
            f"SQL: the statement took longer than {seconds:g} s and was ended. Ask for less, "
            "such as WHERE campaign_id = 7; or export the rows: docs/export.md"
        )
    if "one statement" in text:
        return "SQL: one statement at a time."
    if "no such column: alias" in text or "no such column: city" in text:
        return f"SQL: {text}. It names a person: --people shows it, and is logged."
    if "prohibited" in text or "not authorized" in text or "no such table" in text:
        hint = _ask_nearest(text, VIEWS) or f"Only these can be asked: {', '.join(VIEWS)}."
        return f"SQL: {text}. {hint} docs/sql.md"
    if "no such column" in text:
        names = dict.fromkeys(each.name for view in VIEWS.values() for each in view.fields)
        hint = _ask_nearest(text, names)
        return f"SQL: {text}. {hint or '`pushctl sql` shows the columns.'}"
    return f"SQL: {text}"


def _ask_nearest(text: str, names: Collection[str]) -> str:
    """Return a question with those of *names* that are most like the last one in *text*."""
    return wording.ask_nearest(text.rpartition(" ")[2].rpartition(".")[2], names)
