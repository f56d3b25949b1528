"""The VAPID keys: who we are to the push services."""

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption, YesOption

app = typer.Typer(no_args_is_help=True, help="Show the VAPID keys, or make a new one.")

_COLUMNS = (
    output.Column("id", "Key"),
    output.Column("use", "Use"),
    output.Column("subscribers", "Active subscribers", kind=output.Kind.NUMBER),
    output.Column("public", "Public key (applicationServerKey)"),
    output.Column("file", "File"),
)


@app.command()
def show(ctx: typer.Context, format: FormatOption = output.Format.TABLE) -> None:
    """
    Show the public keys: what pages subscribe with.

    \b
    pushctl keys show --csv
    """
    from pushctl.jobs.project import keys

    # One below the other: a public key has to be copied in one piece.
    here = context.of(ctx)
    # The receiver's machine has keys and no database.
    there = here.config.database.exists()
    found = keys.listed(here.config, here.store.soundness.keys_in_use() if there else None)
    output.rows(found, _COLUMNS, format, empty="No key yet.", tall=True)


@app.command()
def new(ctx: typer.Context, yes: YesOption = False) -> None:
    """
    Make one more key, for new subscribers.

    \b
    pushctl keys new --yes

    Nobody is lost: subscribers stay with the key that they were made with, as long
    as its file is there, and move to the new one when they visit again.
    """
    from pushctl.jobs.project import keys

    question = "Visitors will be subscribed again with a new key when they come back. Go on?"
    if output.confirm(question, yes):
        key, scripts = keys.renew(context.of(ctx).config)
        output.answer(key.id)
        output.say(f"Written: {key.file}, and the key into {len(scripts)} files of sw/.")
        output.say("Put sw/ onto your web site again, and keep a copy of keys/ in a safe.")


@app.command()
def fill(ctx: typer.Context) -> None:
    """
    Write key, receiver URL and brand into sw/ again.

    \b
    pushctl keys fill

    After a change of pushctl.toml. The rest of those files stays as you left it.
    """
    from pushctl.jobs.project import scripts

    for path in scripts.fill_scripts(context.of(ctx).config):
        output.answer(str(path))
