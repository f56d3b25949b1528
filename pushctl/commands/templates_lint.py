"""Hold templates against the rules for good messages."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption
from pushctl.errors import TemplateError
from pushctl.rules.wording import counted

COLUMNS = (
    output.Column("place", "File"),
    output.Column("rule", "Rule"),
    output.Column("fault", "What"),
    output.Column("remedy", "Remedy"),
)


_MOST_LINES = 4  # before a question: `templates lint` has them all


def warn(here: context.Context, name: str, sources: Mapping[str, str]) -> None:
    """Warn of what could be better in the texts of a campaign that is to be sent."""
    from pushctl.jobs.campaigns.draft import BY_HAND
    from pushctl.jobs.messages import lint
    from pushctl.templates import Template

    if name == BY_HAND:
        return
    # Languages, and values that people lack, are said of this audience already.
    found = [
        one
        for one in lint.lint_template(here.config, None, Template.from_sources(name, sources))
        if one.rule not in ("missing_language", "no_default")
    ]
    for one in found[:_MOST_LINES]:
        output.warn(f"{one.place}: {one.fault} ({one.rule})")
    if found[_MOST_LINES:]:
        more = counted(len(found) - _MOST_LINES, "more finding")
        output.warn(f"{more}: pushctl templates lint {name}")


def lint(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(help="Only these templates. Default: all.")
    ] = None,
    online: Annotated[
        bool, typer.Option("--online", help="Also ask your sites whether links answer.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with exit code 3 if there is a finding.")
    ] = False,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Show what could be better in your texts.

    \b
    pushctl templates lint sale
    pushctl templates lint --online --strict

    It counts bytes and characters, and looks for questions, capitals, values that people
    lack, missing languages, dead links and more. docs/templates.md has every rule; switch
    one off by its name in pushctl.toml ([lint] off) or message.toml (lint_off).
    """
    from pushctl.jobs.messages import lint, question_figures

    here = context.of(ctx)
    store = here.store if here.config.database.exists() else None
    unusable: list[str] = []
    found = list(
        lint.lint_templates(here.config, store, names or (), online=online, unusable=unusable)
    )
    rows = [asdict(one) for one in found]
    output.rows(rows, COLUMNS, format, empty="Nothing to improve.")
    if store is not None and any(one.rule == "question" for one in found):
        output.say(question_figures.compare(store, here.config).describe())
    if unusable:
        output.warn(f"not looked at, because of mistakes: {', '.join(unusable)}. pushctl check")
    if strict and unusable:
        raise TemplateError(f"{counted(len(unusable), 'template')} can't be used")
    if strict and found:
        raise TemplateError(f"{counted(len(found), 'finding')}; see above")
