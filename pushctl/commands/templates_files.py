"""Make templates of themes, copy them, and mark translations."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption, Names, Text

Template = Annotated[str, typer.Argument(help="A template: a folder in templates/.")]
Templates = Annotated[
    list[str] | None, typer.Argument(help="Templates. Default: all that have such a text.")
]
Languages = Annotated[list[str], typer.Option("--language", help="The language: tr.")]

_THEMES = (
    output.Column("name", "Theme"),
    output.Column("purpose", "For"),
    output.Column("languages", "Languages", kind=output.Kind.LIST),
)


def themes(ctx: typer.Context, format: FormatOption = output.Format.TABLE) -> None:
    """
    List the themes for new templates.

    \b
    pushctl templates themes
    """
    from pushctl.jobs.messages import themes

    output.rows(themes.list_themes(), _THEMES, format)


def new(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The new template's name.")],
    theme: Annotated[str, typer.Option("--from", help="The theme: see `templates themes`.")],
    languages: Annotated[
        Text, typer.Option(help="Languages: en,de. Default: those of your sites.")
    ] = None,
) -> None:
    """
    Make a template of a theme, for you to edit.

    \b
    pushctl templates new summer_sale --from personal_discount --languages en,tr
    """
    from pushctl.jobs.messages import themes

    here = context.of(ctx)
    tags = [tag.strip() for tag in (languages or "").split(",") if tag.strip()]
    made = themes.create(here.config, name, theme, tags or None)
    output.say(f"{made.folder} is made in {', '.join(made.languages)}. Edit its texts, then:")
    output.say(f"  pushctl templates preview {name}")
    if made.copied:
        output.warn(f"Still English, for you to translate: {', '.join(made.copied)}")
    if made.missing:
        output.warn(f"The theme has no text in {', '.join(made.missing)}: write it.")


def copy(
    ctx: typer.Context,
    source: Template,
    name: Annotated[str, typer.Argument(help="The new template's name.")],
) -> None:
    """
    Copy a template as a whole.

    \b
    pushctl templates copy summer_sale winter_sale
    """
    from pushctl.jobs.messages import themes

    output.say(f"{themes.copy_template(context.of(ctx).config, source, name)} is made.")


def translated(ctx: typer.Context, language: Languages, names: Templates = None) -> None:
    """
    Mark translations as up to date.

    \b
    pushctl templates translated summer_sale --language tr

    The file then says of which text it is the translation: `of = "en 3f2a9c01"`. When that
    text changes, `templates list` and `check` call the translation outdated.
    """
    _mark(ctx, names, language, reviewed=False)


def reviewed(ctx: typer.Context, language: Languages, names: Templates = None) -> None:
    """
    Mark texts as read by a native speaker.

    \b
    pushctl templates reviewed summer_sale --language tr

    Somebody who speaks the language well has read them. It takes `reviewed = false` out of
    the file. The translation then also counts as up to date, as with `templates
    translated`.
    """
    _mark(ctx, names, language, reviewed=True)


def _mark(ctx: typer.Context, names: Names, languages: list[str], *, reviewed: bool) -> None:
    from pushctl.jobs.messages import translation_marks

    found = list(
        translation_marks.mark(
            context.of(ctx).config, names or (), languages, reviewed=reviewed
        )
    )
    for one in found:
        of = f", a translation of {one.of}" if one.of else ""
        said = f"marked{of}" if one.changed else "said so already"
        output.say(f"templates/{one.template}/{one.file}: {said}")
        if one.copied:
            output.warn(f"It is still the text in {one.of}, word for word.")
