"""Catalogue: prices and stock that changed."""

import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context

app = typer.Typer(no_args_is_help=True, help="Tell of prices and stock that changed.")


@app.callback()
def _group() -> None:
    pass


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(help="JSON lines or CSV; - for standard input.")],
    site: Annotated[
        str | None, typer.Option(help="Whose products; needed with several.")
    ] = None,
) -> None:
    """
    Take in a product list (id, price, available, name, url, image, line, currency).

    \b
    pushctl catalogue import products.csv
    shop-export | pushctl catalogue import - --site shop

    Who looked at a product within 90 days, or put it into the basket, and did not buy it,
    gets the event price_dropped or back_in_stock when it is so; triggers begin with them.
    What a list leaves out stays as it was told before.
    """
    from pushctl.errors import InputError
    from pushctl.jobs.triggers import catalogue

    here = context.of(ctx)
    name = site or next(iter(here.config.sites))
    if site is None and len(here.config.sites) > 1:
        raise InputError(f"Whose products? Add --site: {', '.join(here.config.sites)}.")
    products = catalogue.read(io.StringIO(_text(file)), file)
    counts = catalogue.apply(here.config, here.store, name, products, here.now)
    output.say(
        f"Products: {counts['products']:,}. People told of a lower price: "
        f"{counts[catalogue.DROPPED]:,}, that something is back: {counts[catalogue.BACK]:,}."
    )


def _text(file: str) -> str:
    from pushctl.errors import InputError

    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text("utf-8-sig")
    except OSError as error:
        raise InputError(f"{file} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8. Save it in that encoding.") from error
