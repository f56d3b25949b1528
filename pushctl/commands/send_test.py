"""Send one real message to named subscribers, as a test."""

from typing import TYPE_CHECKING, Annotated

import typer

from pushctl import output
from pushctl.commands import context, options
from pushctl.commands.options import FormatOption, Text
from pushctl.rules.messages.arms import FIRST
from pushctl.rules.wording import counted

if TYPE_CHECKING:
    from pushctl.jobs.campaigns.trial_message import TestPlan


def command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="A template: a folder in templates/.")],
    to: Annotated[
        list[str], typer.Option(help="A subscriber: an id or a signed alias; may be repeated.")
    ],
    language: Annotated[
        Text, typer.Option(help="The text in this language. Default: each person's own.")
    ] = None,
    variant: Annotated[Text, typer.Option(help="This variant of an A/B test.")] = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Send a real message to yourself, as a test.

    \b
    pushctl send-test summer_sale --to alias:anna --language ar --variant b

    It goes through the push service to each browser of who is named, at most 20. It counts
    in no figures and no frequency cap, and nobody is left out later for having had it. A
    basket, an event or a promo code that the person lacks gets a sample value.

    Exit codes: those of `pushctl send`.
    """
    from pushctl.commands import send_results
    from pushctl.jobs.campaigns import trial_message

    here = context.of(ctx)
    wish = trial_message.Wish(name, to, language, variant, options.find_login())
    made = trial_message.plan(here.store, here.config, wish, here.now)
    send_results.warn_of_loopback(here)
    _show(made, variant)
    _send(here, made, format)


def _send(here: context.Context, made: "TestPlan", format: output.Format) -> None:
    from pushctl.commands import send_results
    from pushctl.jobs.campaigns import broadcast
    from pushctl.jobs.delivery import deliver

    deliver.check_ready(here.store, here.config)
    now = here.later()
    campaign = broadcast.freeze(here.store, made.plan, now)
    report = send_results.deliver_frozen(here, campaign, now)
    if made.plan.verdict is not None:
        report.sent.update(made.plan.verdict.list_statuses())
    send_results.conclude(here, report, format)


def _show(made: "TestPlan", variant: str | None) -> None:
    from pushctl.commands import send_results

    if (shown := made.plan.example) is not None:
        send_results.show_example(made.plan.template, shown, dry_run=False)
        if variant not in (None, FIRST, *shown.file.split(".")):
            output.warn(f"{shown.file} goes out: it has no variant {variant} beside it")
    output.say(f"A test for {counted(made.plan.count, 'browser')}: it counts in no figures.")
    if made.samples:
        output.say(f"  sample values where somebody has none: {', '.join(made.samples)}")
    if made.plan.verdict is not None:
        send_results.show_verdict(made.plan.verdict, made.plan.count, dry_run=False)
