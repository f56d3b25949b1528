"""Import, make and show promo codes."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption, Text, YesOption
from pushctl.errors import UsageError
from pushctl.output import Column, Format, Kind
from pushctl.rules.shops.code_files import Discount, Shop
from pushctl.rules.shops.promo_codes import mask
from pushctl.rules.wording import counted

if TYPE_CHECKING:
    from pushctl.jobs.messages.promo_pools import Settings

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Import, make and show promo codes.

    \b
    pushctl promo import basket15 codes.csv --expires 2026-12-31
    pushctl promo list
    pushctl promo show basket15 --codes
    """,
)

_LIST = (
    Column("name", "Pool"),
    Column("state", "State", usual="good"),
    Column("codes", "Codes", kind=Kind.NUMBER),
    Column("free", "Free", kind=Kind.NUMBER),
    Column("given", "Given out", kind=Kind.NUMBER),
    Column("set_aside", "Set aside", kind=Kind.NUMBER, usual=0),
    Column("redeemed", "Redeemed", kind=Kind.NUMBER),
    Column("fallback", "Fallback", usual=None),
    Column("expires_at", "Lapses", kind=Kind.TIME, usual=None),
)
_ONE = (
    *_LIST,
    Column("remind_at", "Reminds", kind=Kind.TIME, usual=None),
    Column("reminded_at", "Reminded", kind=Kind.TIME, usual=None),
    Column("low", "Low below", kind=Kind.NUMBER),
)
_CODES = (
    Column("code", "Code"),
    Column("state", "State"),
    Column("subscriber", "Subscriber"),
    Column("campaign", "Campaign"),
    Column("status", "Message"),
    Column("bound_at", "Since", kind=Kind.TIME),
    Column("orders", "Orders", kind=Kind.NUMBER),
    Column("redeemed_at", "Redeemed", kind=Kind.TIME, usual=None),
)

_Name = Annotated[str, typer.Argument(help="The pool.")]
_Expires = Annotated[
    Text, typer.Option(help="When its codes lapse at the shop: 2026-12-31, never.")
]
_Remind = Annotated[
    Text, typer.Option(help="Tell people so long before: 3d (if nothing is said), never.")
]
_Low = Annotated[
    int | None, typer.Option(help="Warn below so many free codes. At first: 100.", min=0)
]
_Fallback = Annotated[
    Path | None,
    typer.Option(help="A file with the code for everybody once none is left; - for stdin."),
]


@app.command("import")
def import_(
    ctx: typer.Context,
    name: _Name,
    file: Annotated[Path, typer.Argument(help="One code a line, or CSV; - for stdin.")],
    column: Annotated[Text, typer.Option(help="The column of the codes in CSV.")] = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="The file has one code, which everybody gets.")
    ] = False,
    expires: _Expires = None,
    remind: _Remind = None,
    low: _Low = None,
    fallback: _Fallback = None,
    yes: YesOption = False,
) -> None:
    """
    Add codes to a pool; make it where there is none.

    \b
    pushctl promo import basket15 codes.csv --expires 2026-12-31
    pushctl promo import basket15 more.txt --fallback basket10.txt
    pushctl promo import sale10 code.txt --shared

    All codes are added, or none. Codes that are in a pool already are counted and left
    out; shops don't tell abc from ABC, so these are one code.
    """
    from pushctl.jobs.messages import promo_pools

    here = context.of(ctx)
    if not _may_begin(here, name, yes):
        return
    settings = _read_settings(expires, remind, low, fallback)
    pool, done = promo_pools.import_codes(
        here.store, here.config, name, file, column, settings, here.now, shared=shared
    )
    again = f", {counted(done.duplicates, 'duplicate')} left out" if done.duplicates else ""
    output.say(f"{pool.name}: {counted(done.new, 'new code')}{again}.")
    _say_paused(here)


@app.command()
def generate(
    ctx: typer.Context,
    name: _Name,
    count: Annotated[int, typer.Argument(help="How many codes.")],
    shop: Annotated[Shop, typer.Option("--for", help="The shop that imports the file.")],
    file: Annotated[Path, typer.Option(help="The file to write; it must not exist yet.")],
    percent: Annotated[
        float | None, typer.Option(help="For WooCommerce: percent off.", min=0, max=100)
    ] = None,
    amount: Annotated[
        float | None, typer.Option(help="For WooCommerce: amount off.", min=0)
    ] = None,
    expires: _Expires = None,
    remind: _Remind = None,
    low: _Low = None,
    fallback: _Fallback = None,
    yes: YesOption = False,
) -> None:
    """
    Make codes, and the file with which your shop learns them.

    \b
    pushctl promo generate basket15 5000 --for shopify --file discounts.csv
    pushctl promo generate basket15 5000 --for woocommerce --percent 15 --file coupons.csv
    pushctl promo generate basket15 5000 --for 2checkout --file codes.txt

    Import the file into the shop before you send: a code that no shop knows is worth
    nothing. Codes have 10 characters, without those that look alike. Only you can read the
    file; delete it once the shop has it.
    """
    from pushctl.jobs.messages import promo_pools

    here = context.of(ctx)
    if not _may_begin(here, name, yes):
        return
    settings, off = _read_settings(expires, remind, low, fallback), Discount(percent, amount)
    pool = promo_pools.generate(
        here.store, here.config, name, count, shop, file, off, settings, here.now
    )
    output.say(f"{pool.name}: {counted(count, 'new code')}, and {file} for {shop.value}.")
    output.say("Import it there before you send; then delete it: codes are money.")
    _say_paused(here)


@app.command("set")
def set_(
    ctx: typer.Context,
    name: _Name,
    expires: _Expires = None,
    remind: _Remind = None,
    low: _Low = None,
    fallback: _Fallback = None,
    no_fallback: Annotated[
        bool, typer.Option("--no-fallback", help="Stop where no code is left.")
    ] = False,
) -> None:
    """
    Change when a pool lapses, reminds and warns, and its fallback.

    \b
    pushctl promo set basket15 --expires 2027-01-31 --remind 5d
    pushctl promo set basket15 --fallback basket10.txt
    """
    from dataclasses import replace

    from pushctl.jobs.messages import promo_pools

    here = context.of(ctx)
    settings = _read_settings(expires, remind, low, fallback)
    if no_fallback:
        settings = replace(settings, fallback="")
    pool = promo_pools.change(here.store, here.config, name, settings, here.now)
    output.record(promo_pools.describe(here.store, pool, here.now), _ONE)


@app.command("list")
def list_(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """
    List pools with what is left of each.

    \b
    pushctl promo list
    pushctl promo list --json
    """
    from pushctl.jobs.messages import promo_pools

    here = context.of(ctx)
    rows = promo_pools.list_pools(here.store, here.now)
    output.rows(rows, _LIST, format, empty="No pool yet: pushctl promo import")
    for pool in here.store.promo_codes.list_pools():
        if why := promo_pools.find_shortage(here.store, pool, here.now):
            output.warn(f"{why}.")


@app.command()
def show(
    ctx: typer.Context,
    name: _Name,
    codes: Annotated[
        bool, typer.Option("--codes", help="List the codes that are given out, too.")
    ] = False,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show them whole; needs a terminal.")
    ] = False,
    last: Annotated[int | None, typer.Option(help="Only the newest codes.", min=1)] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """
    Show a pool, and who has which of its codes.

    \b
    pushctl promo show basket15
    pushctl promo show basket15 --codes --last 20
    pushctl promo show basket15 --codes --reveal

    Codes are money: three characters of each are shown.
    """
    from pushctl.jobs.messages import promo_pools

    here = context.of(ctx)
    pool = here.store.promo_codes.get(name)
    if reveal and not sys.stdout.isatty():
        raise UsageError("--reveal shows codes to a person: it needs a terminal")
    if not (codes or reveal):
        output.record(promo_pools.describe(here.store, pool, here.now), _ONE, format)
        return
    rows = here.store.promo_codes.list_codes(pool.id, last)
    shown = (row if reveal else row | {"code": mask(row["code"])} for row in rows)
    output.rows(shown, _CODES, format, empty="None is given out yet.")


@app.command()
def remind(ctx: typer.Context, name: _Name, yes: YesOption = False) -> None:
    """
    Tell now who has not used their code: the event promo_expiring.

    \b
    pushctl promo remind basket15

    Triggers with on = "promo_expiring" send the reminder. A sweep does this by itself at
    the pool's time; nobody is told twice of one code and end.
    """
    from pushctl.jobs.triggers import promo_reminders

    here = context.of(ctx)
    pool = here.store.promo_codes.get(name)
    if not output.confirm(f"Tell everybody with an unused code of {pool.name}?", yes):
        return
    told = promo_reminders.tell(here.store, here.config, pool, 0, here.now)
    output.say(f"{counted(told, 'person', 'people')} told; the next sweep sends what follows.")
    if not promo_reminders.list_triggers(here.config):
        output.warn('No trigger begins with "promo_expiring": nothing follows.')


def _read_settings(
    expires: str | None, remind: str | None, low: int | None, fallback: Path | None
) -> "Settings":
    from pushctl.jobs.messages import promo_pools

    code = None if fallback is None else promo_pools.read_one(fallback)
    return promo_pools.Settings(expires, remind, low, code)


def _may_begin(here: context.Context, name: str, yes: bool) -> bool:
    """Ask before the name of a new pool, which steps send as a code, means that pool."""
    from pushctl.jobs.messages import promo_pools

    steps = promo_pools.find_static_use(here.config, name)
    if not steps or here.store.promo_codes.find(name) is not None:
        return True
    who = ", ".join(steps)
    output.say(
        f"{who}: promo = {mask(name)!r} is sent as a code now, and means this pool then."
    )
    return output.confirm("Make the pool?", yes)


def _say_paused(here: context.Context) -> None:
    """Name the campaigns that had no codes left."""
    for name in here.store.campaigns.list_out_of_codes():
        output.say(f"It waits for codes: pushctl campaigns resume {name!r}")
