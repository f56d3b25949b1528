"""Show and create VAPID keys."""

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption, YesOption
from pushctl.jobs.project import scripts

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Show the VAPID keys or create a new one.

    \b
    pushctl keys show
    """,
)

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
    Show the public keys that pages use to subscribe.

    \b
    pushctl keys show --csv
    """
    from pushctl.jobs.project import keys

    here = context.of(ctx)
    # The receiver's machine has keys and no database.
    there = here.config.database.exists()
    found = keys.list_keys(here.config, here.store.soundness.count_keys() if there else None)
    output.rows(found, _COLUMNS, format, empty="No key yet.", tall=True)


@app.command()
def new(ctx: typer.Context, yes: YesOption = False) -> None:
    """
    Create a new key for new subscribers.

    \b
    pushctl keys new --yes

    No subscriber is lost. Earlier subscribers keep their key as long as its file is there.
    They move to the new key when they visit your site again.
    """
    from pushctl.jobs.project import keys

    question = "Subscribers move to the new key when they visit again. Continue?"
    if output.confirm(question, yes):
        key, written = keys.renew(context.of(ctx).config)
        output.answer(key.id)
        output.say(f"Written: {key.file}. The key is also in {len(written)} files of sw/ now.")
        output.say("Put sw/ onto your web site again. Keep a copy of keys/ in a safe place.")


@app.command()
def fill(ctx: typer.Context) -> None:
    """
    Write the key, the receiver URL and the brand into sw/ again.

    \b
    pushctl keys fill

    Run it after a change of pushctl.toml. Your other changes in these files stay.
    """
    for path in scripts.fill_scripts(context.of(ctx).config):
        output.answer(str(path))
