"""Read the documentation that ships with the program."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands.options import FormatOption
from pushctl.jobs.project import manual

_PAGES = (
    output.Column("page", "Page", whole=True),
    output.Column("content", "Content"),
)
_LINES = (
    output.Column("page", "Page", whole=True),
    output.Column("chapter", "Chapter"),
    output.Column("line", "Line"),
)


def command(
    page: Annotated[str | None, typer.Argument(help="Name of a page.")] = None,
    search: Annotated[
        str | None, typer.Option("--search", "-s", help="List lines with all these words.")
    ] = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Read the documentation, without internet.

    \b
    pushctl docs triggers
    pushctl docs --search "quiet hours"

    Without a page, it lists all pages. On a terminal a page is shown by $PAGER, else less;
    elsewhere as Markdown.
    """
    if search is not None:
        found = manual.search(search)
        output.rows(found, _LINES, format, empty=f"No page has {search!r}.")
    elif page is None:
        output.rows(manual.list_pages(), _PAGES, format)
    else:
        output.page(manual.read_page(page))
