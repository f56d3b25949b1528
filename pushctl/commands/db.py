"""Check, prune and vacuum the database."""

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import DryRunOption, FormatOption, YesOption
from pushctl.errors import DamagedError
from pushctl.rules.wording import counted

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Check, prune and vacuum the database.

    \b
    pushctl db check
    """,
)

_PRUNED = (
    output.Column("name", "Kind"),
    output.Column("what", "What it is"),
    output.Column("days", "Kept, days", kind=output.Kind.NUMBER),
    output.Column("rows", "Rows", kind=output.Kind.NUMBER),
)
_SIZES = (
    output.Column("file", "File, MB", kind=output.Kind.NUMBER),
    output.Column("free", "Free in it, MB", kind=output.Kind.NUMBER),
    output.Column("log", "Log beside it, MB", kind=output.Kind.NUMBER),
)


@app.command()
def check(ctx: typer.Context, format: FormatOption = output.Format.TABLE) -> None:
    """
    Look for damage, in every page and every index.

    \b
    pushctl db check

    It reads all of the database, a gigabyte in some seconds, and hinders nobody. With damage
    the exit code is 3: restore a backup (pushctl restore). pushctl check looks at the rest of
    the project.
    """
    here = context.of(ctx)
    if broken := here.store.soundness.find_all():
        raise DamagedError(
            f"{here.config.database} is damaged: {'; '.join(broken)}. Restore it from a backup "
            "(docs/backup.md), then run `pushctl release`."
        )
    sizes = here.store.soundness.measure()
    row = {name: round(size / 1e6, 1) for name, size in sizes._asdict().items()}
    output.rows([row], _SIZES, format)
    output.say("No damage was found.")


@app.command()
def prune(
    ctx: typer.Context,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Delete what is older than [retention] says.

    \b
    pushctl db prune --dry-run

    A sweep does the same once a day; this is for a [retention] that was shortened. Orders,
    subscribers, campaigns and their messages are kept whatever it says. The file stays as
    large: its free room is used again, or given back by pushctl db vacuum.
    """
    from pushctl.jobs.sweep import retention
    from pushctl.jobs.triggers import load_facts

    here = context.of(ctx)
    triggers = load_facts.load_settings(here.config, here.store).triggers.values()
    found = retention.count(here.store, here.config, triggers, here.now)
    output.rows(found, _PRUNED, format)
    total = sum(each.rows for each in found)
    if dry_run or not total or not output.confirm(f"Delete {counted(total, 'row')}?", yes):
        return
    done = retention.prune(here.store, here.config, triggers, here.now)
    output.say(f"{counted(sum(each.rows for each in done), 'row')} deleted.")


@app.command()
def vacuum(ctx: typer.Context) -> None:
    """
    Give the free room in the database back.

    \b
    pushctl db vacuum

    It writes the database anew, which needs room for two copies of it. Nothing else can write
    meanwhile, so it refuses while a sweep, a watch, an import or a send is at work; sweeps of
    cron's end with exit code 75 until it is done. The receiver goes on.
    """
    from pushctl.jobs.project import vacuum

    here = context.of(ctx)
    before, after = vacuum.vacuum(here.store, here.config)
    output.say(f"{before.file / 1e6:,.1f} MB before, {after.file / 1e6:,.1f} MB now.")
