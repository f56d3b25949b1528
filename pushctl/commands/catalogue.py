"""Catalogue: prices and stock that changed."""

from pathlib import Path
from typing import Annotated

import typer

from pushctl import output, records
from pushctl.commands import context
from pushctl.commands.options import Text
from pushctl.errors import InputError
from pushctl.jobs.ingest import products
from pushctl.jobs.triggers import catalogue, product_files

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Import products: prices and stock.

    \b
    pushctl catalogue import products.csv --site shop
    """,
)


@app.callback()
def _group() -> None:
    pass


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(help="CSV, JSON or XML; - for standard input.")],
    site: Annotated[
        Text, typer.Option(help="Site of the products; needed with several sites.")
    ] = None,
) -> None:
    """
    Import a product list.

    \b
    pushctl catalogue import products.csv
    shop-export | pushctl catalogue import - --site shop

    Columns: id, price, available, name, url, image, line, category, brand, family, was,
    currency; or those of Google Merchant, also as XML. Missing values stay unchanged. A
    price is 1249, 1.249,00 or "49.00 EUR"; was is the price before a reduction. Templates
    propose products of the same line, category or brand. A lower price causes the event
    price_dropped; new stock causes back_in_stock. They are for people who looked at the
    product, or put it into the basket, within 90 days and did not buy it. Triggers can
    start with these events.
    """
    here = context.of(ctx)
    name = site or next(iter(here.config.sites))
    if site is None and len(here.config.sites) > 1:
        raise InputError(f"Several sites. Add --site: {', '.join(here.config.sites)}.")
    home = here.config.sites.get(name)
    currency = home.currency if home else None
    with records.open_seekable(Path(file)) as stream:
        listed = product_files.read(stream, file, currency, here.now)
        counts = catalogue.apply(here.config, here.store, name, listed, here.now)
    output.say(
        f"Products: {counts['products']:,}. Events for subscribers: price_dropped "
        f"{counts[products.DROPPED]:,}, back_in_stock {counts[products.BACK]:,}."
    )
