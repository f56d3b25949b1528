"""List and preview message templates."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption, Text

if TYPE_CHECKING:
    from pushctl.jobs.messages.preview import Preview, Summary

app = typer.Typer(
    no_args_is_help=True,
    help="""
    List and preview message templates.

    \b
    pushctl templates preview abandoned_basket_1 --language ar
    """,
)

_LIST = (
    output.Column("name", "Template"),
    output.Column("languages", "Languages", kind=output.Kind.LIST),
    output.Column("variants", "Variants", kind=output.Kind.LIST, usual=()),
    output.Column("segments", "Segments", kind=output.Kind.LIST, usual=()),
    output.Column("bytes", "Bytes", kind=output.Kind.NUMBER),
    output.Column("problems", "Problems", kind=output.Kind.NUMBER, usual=0),
)
_PREVIEW = tuple(
    output.Column(key, key.capitalize())
    for key in (
        "template", "file", "language", "variant", "segment", "bytes", "title", "body", "url",
        "dir", "icon", "image", "badge", "actions",
    )
)  # fmt: skip


@app.command("list")
def list_(ctx: typer.Context, format: FormatOption = output.Format.TABLE) -> None:
    """
    List templates with languages, variants and the size of the largest message.

    \b
    pushctl templates list

    A push message holds 3,993 bytes. Firefox on Android may not get more than 2,640.
    """
    from pushctl.jobs.messages import preview

    found = preview.list_templates(context.of(ctx).config)
    rows = map(_build_summary, found)
    output.rows(rows, _LIST, format, empty="No template yet: `pushctl init` creates some.")
    for problem in (problem for one in found for problem in one.problems):
        output.warn(str(problem))


def _build_summary(one: "Summary") -> dict[str, Any]:
    variants = one.variants if len(one.variants) > 1 else ()
    return asdict(one) | {"variants": variants, "problems": len(one.problems)}


@app.command()
def preview(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="A template: a folder in templates/.")],
    subscriber: Annotated[
        str | None,
        typer.Option("--for", help="Show it for this subscriber: an id or alias:NAME."),
    ] = None,
    language: Annotated[Text, typer.Option(help="Show it in this language.")] = None,
    variant: Annotated[Text, typer.Option(help="Show this variant of an A/B test.")] = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Show a message as a subscriber will see it, and its size.

    \b
    pushctl templates preview abandoned_basket_1 --for alias:customer-17

    Without --for, a value is shown by its name.
    """
    from pushctl.jobs.messages import preview

    here = context.of(ctx)
    store = here.store if subscriber else None
    options = {"subscriber": subscriber, "language": language, "variant": variant}
    made = preview.preview(here.config, store, name, here.now, **options)
    if format is output.Format.TABLE:
        show(made)
    else:
        output.record(_build_row(made), _PREVIEW, format)


def show(made: "Preview") -> None:
    """Print a message in a frame, with its links and its size below."""
    message = made.message
    buttons = "   ".join(f"[ {action.title} ]" for action in message.actions)
    text = "\n".join([message.title, "", message.body, *(["", buttons] if buttons else [])])
    rtl = message.dir == "rtl"
    output.panel(text, f"{made.template}/{made.file}", stdout=True, right_to_left=rtl)
    links = [("opens", message.url), ("icon", message.icon), ("image", message.image)]
    links += [(action.action, action.url) for action in message.actions]
    for what, url in links:
        if url:
            output.answer(f"  {what}: {url}")
    output.answer(f"  {made.language}, {message.dir}, {made.bytes:,} of 3,993 bytes")
    if made.warning:
        output.warn(made.warning)


def _build_row(made: "Preview") -> dict[str, object]:
    keys = ("action", "title", "url")
    actions = [{key: getattr(it, key) for key in keys} for it in made.message.actions]
    return asdict(made.message) | asdict(made) | {"actions": actions}
