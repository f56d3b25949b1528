"""List, import, export, tag and erase subscribers."""

import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushctl import output
from pushctl.commands import context, loading
from pushctl.commands.options import DryRunOption, FormatOption, Names, Text, YesOption
from pushctl.errors import InputError, NotFoundError, UsageError
from pushctl.jobs.subscribers import audience, exports
from pushctl.rules.wording import counted, iso, moment

if TYPE_CHECKING:
    from pushctl.rules.audience.expression import Expression

app = typer.Typer(
    no_args_is_help=True,
    help="""
    List, import, tag, erase people.

    \b
    pushctl subscribers import people.csv --site shop
    pushctl subscribers list --tag VIP
    """,
)


class FileFormat(StrEnum):
    JSON = "json"
    CSV = "csv"


TagOption = Annotated[Names, typer.Option("--tag", "-t", help="Filter by a tag.")]
SegmentOption = Annotated[Names, typer.Option("--segment", help="Filter by a segment.")]
WhereOption = Annotated[Names, typer.Option("--where", help="Filter by an expression.")]

WhoArgument = Annotated[
    str,
    typer.Argument(
        metavar="SUBSCRIBER", help="An id, its beginning, alias:NAME, or a browser's own id."
    ),
]
WhosArgument = Annotated[
    Names,
    typer.Argument(
        metavar="[SUBSCRIBER]...", help="Ids, their beginnings, alias:NAME, browsers' own ids."
    ),
]

_LIST = (
    output.Column("public_id", "Id"),
    output.Column("alias", "Alias", usual=None),
    output.Column("site", "Site", spare=True),
    output.Column("state", "State", usual="active"),
    output.Column("language", "Language"),
    output.Column("country", "Country", spare=True, usual=None),
    output.Column("browser", "Browser", usual=None),
    output.Column("os", "System", spare=True, usual=None),
    output.Column("tags", "Tags", kind=output.Kind.LIST),
    output.Column("subscribed_at", "Subscribed", kind=output.Kind.TIME),
    output.Column("last_seen_at", "Last seen", kind=output.Kind.TIME, spare=True),
)
_SHOW = (
    *_LIST[:4],
    output.Column("alias_trusted", "Alias signed"),
    *_LIST[4:6],
    output.Column("city", "City"),
    output.Column("timezone", "Time zone"),
    *_LIST[6:9],
    output.Column("source", "Source"),
    output.Column("attributes", "Attributes"),
    output.Column("no_tracking", "No tracking", usual=None),
    output.Column("worker", "Worker", usual=None),
    *_LIST[9:],
    output.Column("push_service", "Push service"),
    output.Column("key_id", "VAPID key"),
    output.Column("history", "History", kind=output.Kind.LIST),
    output.Column("events", "Events", kind=output.Kind.LIST),
    output.Column("reactions", "Reactions", kind=output.Kind.LIST),
)
_FORGOTTEN = (
    output.Column("subscriptions", "Browsers", kind=output.Kind.NUMBER),
    output.Column("tags", "Tags", kind=output.Kind.NUMBER),
    output.Column("events", "Events", kind=output.Kind.NUMBER),
    output.Column("deliveries", "Messages that lose their receiver", kind=output.Kind.NUMBER),
    output.Column("interactions", "Reactions that lose it", kind=output.Kind.NUMBER),
    output.Column("inbox_lines", "Inbox lines", kind=output.Kind.NUMBER),
    output.Column("quarantined_lines", "Quarantined lines", kind=output.Kind.NUMBER),
)


def _build_audience(
    here: context.Context, tag: Names, segment: Names, where: Names
) -> "Expression":
    from pushctl.commands import audience_warnings

    _, asked = audience.build(
        here.config, tags=tag or (), segments=segment or (), where=where or ()
    )
    audience_warnings.warn_of_tags(here, tag or (), where or ())
    return asked


@app.command("list")
def list_(
    ctx: typer.Context,
    tag: TagOption = None,
    segment: SegmentOption = None,
    where: WhereOption = None,
    all: Annotated[bool, typer.Option("--all", help="Also list people who left.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="List at most this many.")] = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    List active subscribers. Tags, segments and expressions filter the list.

    \b
    pushctl subscribers list --tag "Abandoned basket 1" --where "country = 'TR'"
    """
    here = context.of(ctx)
    asked = _build_audience(here, tag, segment, where)
    people = here.store.audience.list_subscriptions(asked, here.now, limit=limit, any_state=all)
    output.rows(people, _choose_columns(here), format, empty="No subscriber matches.")


def _choose_columns(here: context.Context) -> Sequence[output.Column]:
    """Return the columns of the list, without the site where there is only one."""
    sites = list(here.config.sites)
    only = sites[0] if len(sites) == 1 else None
    return [replace(each, usual=only) if each.key == "site" else each for each in _LIST]


@app.command()
def show(
    ctx: typer.Context, subscriber: WhoArgument, format: FormatOption = output.Format.TABLE
) -> None:
    """
    Show all data of one subscriber, except the keys.

    \b
    pushctl subscribers show 1tQ9mX
    pushctl subscribers show 3fa9-c21b-77e0

    The second is what a browser shows in its preferences, for visitors without an account.
    """

    here = context.of(ctx)
    person = here.store.subscriptions.get(subscriber, here.now)
    clock = moment if output.is_for_people(format) else iso
    output.record(exports.describe(here.store, person, clock), _SHOW, format)


loading.add(app, "import", "pushctl.commands.subscribers_import")


@app.command()
def export(
    ctx: typer.Context,
    to: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file.")
    ] = None,
    tag: TagOption = None,
    segment: SegmentOption = None,
    where: WhereOption = None,
    alias: Annotated[Text, typer.Option(help="Export all data of one person.")] = None,
    ids: Annotated[
        Names, typer.Option("--id", help="The same, by a browser's id; may be repeated.")
    ] = None,
    keys: Annotated[
        bool | None,
        typer.Option(
            "--with-keys/--without-keys",
            help="Include endpoints and keys.  [default: with; without for a person]",
        ),
    ] = None,
    format: Annotated[
        FileFormat, typer.Option("--format", "-f", help="Output format; JSON keeps everything.")
    ] = FileFormat.JSON,
) -> None:
    """
    Export subscribers to a file. Tags, segments and expressions filter them.

    \b
    pushctl subscribers export -o subscribers.jsonl
    pushctl subscribers export --csv --without-keys --tag VIP > vip.csv
    pushctl subscribers export --alias customer-7 -o ann.json

    The file has subscribers in every state. With the file and keys/vapid-*.pem, another
    tool can send to your subscribers, so keep both secret. With --alias or --id you get
    the data of one person, to give it to that person: one JSON object with everything in
    the database about them.
    """
    here = context.of(ctx)
    if alias is not None or ids:
        if tag or segment or where or format is FileFormat.CSV:
            raise UsageError("one person's data is JSON: leave out filters and CSV")
        _export_person(here, to, alias, ids or (), keys=bool(keys))
        return
    asked = _build_audience(here, tag, segment, where)
    _export_audience(here, to, asked, format is FileFormat.CSV, keys=keys is not False)


def _export_audience(
    here: context.Context, to: Path | None, asked: "Expression", as_csv: bool, *, keys: bool
) -> None:

    _guard_secrets(to, keys)
    lines = exports.export(here.store, asked, here.now, as_csv=as_csv, keys=keys)
    if to is None:
        output.lines(lines)
    else:
        written = exports.write(to, lines) - as_csv
        output.say(f"{counted(written, 'subscriber')} written to {to}.")


def _export_person(
    here: context.Context, to: Path | None, alias: str | None, ids: Sequence[str], *, keys: bool
) -> None:
    from pushctl.jobs.subscribers import personal_data

    _guard_secrets(to, keys)
    person = personal_data.find_people(here.store, alias, ids, here.now)
    text = personal_data.render(here.store, person, here.now, keys=keys)
    if to is None:
        output.lines([text])
    else:
        exports.write(to, [text])
        output.say(f"The data of {counted(len(person), 'browser')} is written to {to}.")
    if alias is not None:
        _warn_of_claims(here, f"alias:{alias}", {one.public_id for one in person})


def _warn_of_claims(here: context.Context, ref: str, included: Collection[str] = ()) -> None:
    """Name the browsers that claim an alias without a signature: they are left out."""
    alias = ref.removeprefix("alias:")
    claims = here.store.subscriptions.list_claims(alias) if alias != ref else []
    if others := [one for one in claims if one not in included]:
        names = ", ".join(others[:5]) + (", ..." if len(others) > 5 else "")
        output.warn(
            f"left out: {counted(len(others), 'browser')} claimed the alias {alias!r} without "
            f"your shop's signature: {names}. If they are this person's, name them by id."
        )


def _guard_secrets(to: Path | None, keys: bool) -> None:
    if to is None and keys and sys.stdout.isatty():
        raise UsageError("the export holds secrets: give --output FILE, or --without-keys")


@app.command("tag")
def tag_(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The tag.")],
    subscribers: WhosArgument = None,
    where: WhereOption = None,
    expires: Annotated[
        Text, typer.Option(help="Remove the tag after this time: 30m, 7d.")
    ] = None,
) -> None:
    """
    Add a tag to subscribers.

    \b
    pushctl subscribers tag "Wholesale" 1tQ9mX alias:customer-7
    pushctl subscribers tag "Spring" --where "country = 'TR'" --expires 30d
    """
    from pushctl.rules import timing

    here = context.of(ctx)
    _check_tag(name)
    until = None if expires is None else here.now + timing.duration(expires)
    ids = _find_rows(here, subscribers, where)
    count = here.store.tags.add(ids, name, here.now, until)
    output.say(f"{count} tagged, {len(ids) - count} had it already.")


def _check_tag(name: str) -> None:
    from pushctl.rules.web import fields

    try:
        fields.tag(name)
    except InputError as error:
        raise InputError(f"the tag's name {error}") from error


@app.command()
def untag(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The tag.")],
    subscribers: WhosArgument = None,
    where: WhereOption = None,
) -> None:
    """
    Remove a tag from subscribers.

    \b
    pushctl subscribers untag "Wholesale" 1tQ9mX
    pushctl subscribers untag "Spring" --where everyone
    """
    here = context.of(ctx)
    if here.store.tags.find(name) is None:
        raise NotFoundError(f"there is no tag {name!r}. `pushctl tags list` shows all tags.")
    count = here.store.tags.remove(_find_rows(here, subscribers, where), name)
    output.say(f"Removed from {counted(count, 'subscriber')}.")


def _find_rows(here: context.Context, refs: Names, where: Names) -> Sequence[int]:

    if bool(refs) == bool(where):
        raise UsageError("give subscribers, or an audience with --where")
    asked = _build_audience(here, None, None, where) if where else None
    return audience.find_rows(here.store, refs or (), asked, here.now)


loading.add(app, "unsubscribe", "pushctl.commands.subscribers_unsubscribe", "unsubscribe")


@app.command()
def forget(
    ctx: typer.Context,
    subscriber: WhoArgument,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Erase a person for good, from database, inbox and quarantine.

    \b
    pushctl subscribers forget alias:customer-7 --dry-run
    pushctl subscribers forget alias:customer-7 --yes

    Campaigns keep their figures, without the person. Delete backups and exported files
    yourself (docs/subscribers.md).
    """
    from pushctl.jobs.subscribers import forget

    here = context.of(ctx)
    question = f"{forget.describe(here.store, subscriber)}. Continue?"
    if dry_run or output.confirm(question, yes):
        done = forget.forget(
            here.store, here.config, here.config.secret(), subscriber, here.now, dry_run=dry_run
        )
        output.record(done, _FORGOTTEN, format)
        _warn_of_claims(here, subscriber)
