"""
All rows of a view, in pages: each page is one short read, so no export holds the log.

What is written meanwhile may be in later pages; rows that are added are not.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from pushctl.model import Json, Millis
from pushctl.rules.figures.views.catalogue import VIEWS
from pushctl.store.views import name_table, open_views

PAGE_ROWS = 5_000


class Page(NamedTuple):
    rows: list[tuple[Json, ...]]
    done: int  # of all rows, about how many were looked at for this page
    total: int


def read_pages(
    path: Path, name: str, *, people: bool = False, site: str | None = None,
    since: Millis | None = None, until: Millis | None = None, size: int | None = None,
) -> Iterator[Page]:  # fmt: skip
    """
    Yield the rows of a view of *path* by their id, with all its columns.

    From *since* to before *until* by the view's moment, where rows without one are left out.
    """
    view, size = VIEWS[name], size or PAGE_ROWS
    connection, file = open_views(path, people=people)
    conditions: dict[str, Json] = {}
    if site is not None:
        conditions["site = :site"] = site
    if since is not None:
        conditions[f"{view.moment} >= :since"] = since
    if until is not None:
        conditions[f"{view.moment} < :until"] = until
    where = "".join(f" AND {condition}" for condition in conditions)
    values: Mapping[str, Json] = {"site": site, "since": since, "until": until}
    sql = f'SELECT * FROM "{name}" WHERE id BETWEEN :first AND :last{where} ORDER BY id'  # noqa: S608
    table = name_table(name, file)
    find = f"SELECT min(id) FROM {table} WHERE id >= :at"  # noqa: S608
    with closing(connection):
        connection.execute("PRAGMA cache_size = -16384")
        (end,) = connection.execute(f"SELECT max(id) FROM {table}").fetchone()  # noqa: S608
        at, total = 0, end or 0
        while end is not None and at <= end:
            (first,) = connection.execute(find, {"at": at}).fetchone()
            if first is None:
                break
            last = min(first + size - 1, end)
            found = connection.execute(sql, {**values, "first": first, "last": last})
            yield Page(found.fetchall(), last + 1 - max(at, 1), total)
            at = last + 1
