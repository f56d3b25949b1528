"""Carry out what the files of campaigns/ say."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import DryRunOption, FormatOption, Text, YesOption
from pushctl.errors import UsageError


def command(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(help="Only these files of campaigns/.")
    ] = None,
    draft: Annotated[
        Text, typer.Option(help="Look at this file of campaigns/drafts/, then apply it.")
    ] = None,
    plan: Annotated[
        Text, typer.Option(help="Carry out this plan, or nothing: the hash of a --dry-run.")
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="With --dry-run: a review without personal data.")
    ] = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Schedule what the files of campaigns/ say.

    \b
    pushctl apply --dry-run
    pushctl apply december_sale
    pushctl apply --dry-run --markdown > review.md
    pushctl apply --plan 3f0c94c1a27e58b6-90e1f7ac55d20b13-7d2c6a0e4f9b1835-812

    A file campaigns/NAME.toml is one campaign, and NAME is its name. A new file is
    scheduled. A changed one takes the place of what it scheduled before, as long as no
    message of that was sent. What has begun stays as it is, and a file that is gone cancels
    nothing. See docs/campaigns.md.

    --draft is for what an assistant wrote (docs/mcp.md): it shows the text, asks, and only
    then makes it a file of campaigns/. It needs a person at a terminal.

    --plan refuses when a file, a text, a setting or the time is another than in the plan,
    or an audience by more than 1 %. Without a terminal, give --yes or --plan.

    Exit codes: 0 done, 2 another plan, 3 a file has a mistake, 4 there is no such file,
    75 another apply is running.
    """
    from pushctl.commands import apply_plan

    here = context.of(ctx)
    if plan is not None and (dry_run or markdown):
        raise UsageError("--plan carries a plan out, and --dry-run shows one: take one out")
    if draft is not None:
        if names or plan or markdown or dry_run or yes:
            raise UsageError("--draft goes alone: a person looks at it, and answers")
        apply_plan.apply_draft(here, draft)
    elif dry_run or markdown:
        apply_plan.show_plan(here, names or (), markdown, format)
    else:
        apply_plan.apply(here, names or (), plan, yes)
