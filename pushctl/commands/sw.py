"""``pushctl sw``: the scripts that pages load: sizes, integrity, a copy of your own."""

import base64
import hashlib
from typing import Annotated, Any

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption
from pushctl.config import Config
from pushctl.errors import ConfigError, Problem
from pushctl.jobs.project import scripts
from pushctl.rules.limits import MAX_SCRIPTS_BYTES

_COLUMNS = (
    output.Column("file", "File"),
    output.Column("loaded", "Loaded", spare=True),
    output.Column("bytes", "Bytes", kind=output.Kind.NUMBER),
    output.Column("gzip", "Gzip", kind=output.Kind.NUMBER),
    output.Column("integrity", "Integrity", whole=True),
)
_SITE = output.Column("site", "Site")
_LOADED = {
    "pushctl.js": "on every page",
    "pushctl.mjs": "by import",
    "pushctl-sw.js": "as worker",
}


def command(
    ctx: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Fail when sw/ is out of date or too large.")
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Write sw/ again, to serve the files yourself.")
    ] = False,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Show the scripts for your pages.

    \b
    pushctl sw --csv

    The table has the size and the integrity of each script that the receiver serves. Copy
    the integrity into integrity="..." of a script element. It changes with pushctl.toml
    and with each release of pushctl. --write gives you the files of this release.
    """
    config = context.of(ctx).config
    if write:
        written = scripts.fill_scripts(config, anew=True)
        output.say(f"Written: {len(written)} files in {config.folder / 'sw'}.")
    rows = list_scripts(config)
    columns = (_SITE, *_COLUMNS) if len(config.sites) > 1 else _COLUMNS
    output.rows(rows, columns, format)
    if check:
        _check(config, rows)


def list_scripts(config: Config) -> list[dict[str, Any]]:
    """Return every script of every site, as the receiver serves it."""
    from pushctl.push import vapid
    from pushctl.receiver.scripts import prepare

    return [
        {
            "site": site,
            "file": name,
            "loaded": _LOADED.get(name, "when needed"),
            "bytes": len(file.plain),
            "gzip": len(file.packed),
            "integrity": compute_integrity(file.plain),
        }
        for (name, site), file in prepare(config, vapid.load_public(config.keys)).items()
    ]


def compute_integrity(content: bytes) -> str:
    """Return "sha384-..." for Subresource Integrity."""
    return f"sha384-{base64.b64encode(hashlib.sha384(content).digest()).decode()}"


def _check(config: Config, rows: list[dict[str, Any]]) -> None:
    problems = [
        Problem(
            str(file),
            "does not match pushctl.toml and this release",
            "Run `pushctl sw --write`, and put sw/ onto your web site.",
        )
        for file in scripts.stale_scripts(config, anew=True)
    ]
    for site in config.sites:
        both = ("pushctl.js", "pushctl-sw.js")
        size = sum(row["gzip"] for row in rows if row["site"] == site and row["file"] in both)
        if size > MAX_SCRIPTS_BYTES:
            fault = f"page script and worker have {size:,} bytes together"
            remedy = f"At most {MAX_SCRIPTS_BYTES:,}: shorten the brand's name and addresses."
            problems.append(Problem(f"sites.{site}", fault, remedy))
    if problems:
        raise ConfigError("The scripts for your pages have problems:", problems)
