"""Make, preview and check message templates."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from pushctl import output
from pushctl.commands import context, loading
from pushctl.commands.options import FormatOption

if TYPE_CHECKING:
    from pushctl.jobs.messages.overview import Summary

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Make, preview and check message templates.

    \b
    pushctl templates preview abandoned_basket_1 --language ar
    """,
)

_LIST = (
    output.Column("name", "Template"),
    output.Column("languages", "Languages", kind=output.Kind.LIST),
    output.Column("missing", "Missing", kind=output.Kind.LIST, usual=()),
    output.Column("outdated", "Outdated", kind=output.Kind.LIST, usual=()),
    output.Column("copied", "Not translated", kind=output.Kind.LIST, usual=()),
    output.Column("unreviewed", "Not reviewed", kind=output.Kind.LIST, usual=()),
    output.Column("variants", "Variants", kind=output.Kind.LIST, usual=()),
    output.Column("segments", "Segments", kind=output.Kind.LIST, usual=()),
    output.Column("bytes", "Bytes", kind=output.Kind.NUMBER),
    output.Column("problems", "Problems", kind=output.Kind.NUMBER, usual=0),
)


@app.command("list")
def list_(ctx: typer.Context, format: FormatOption = output.Format.TABLE) -> None:
    """
    List templates with languages, variants and sizes.

    \b
    pushctl templates list

    Missing: languages of the site without a text. Outdated: the text that it translates has
    changed. Not reviewed: nobody who speaks the language well has read it; see `templates
    reviewed`.
    A push message holds 3,993 bytes. Firefox on Android may not get more than 2,640.
    """
    from pushctl.jobs.messages import overview

    found = list(overview.list_templates(context.of(ctx).config))
    rows = map(_build_summary, found)
    output.rows(rows, _LIST, format, empty="No template yet: `pushctl init` creates some.")
    for problem in (problem for one in found for problem in one.problems):
        output.warn(str(problem))


def _build_summary(one: "Summary") -> dict[str, Any]:
    variants = one.variants if len(one.variants) > 1 else ()
    return asdict(one) | {"variants": variants, "problems": len(one.problems)}


for _module, _verb in (
    ("lint", "lint"),
    ("previews", "preview"),
    ("files", "themes"),
    ("files", "new"),
    ("files", "copy"),
    ("files", "translated"),
    ("files", "reviewed"),
):
    loading.add(app, _verb, f"pushctl.commands.templates_{_module}", _verb)
