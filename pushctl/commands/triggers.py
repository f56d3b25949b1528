"""Show, pause and test triggers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption
from pushctl.errors import InputError

if TYPE_CHECKING:
    from pushctl.jobs.triggers.trial import Tried

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Show, pause and test triggers.

    \b
    pushctl triggers list
    pushctl triggers pause abandoned_basket_1
    """,
)

_LIST = (
    output.Column("name", "Trigger"),
    output.Column("state", "State", usual="on"),
    output.Column("starts", "Starts with"),
    output.Column("steps", "Steps", kind=output.Kind.NUMBER, spare=True),
    output.Column("active", "Active", kind=output.Kind.NUMBER),
    output.Column("finished", "Finished", kind=output.Kind.NUMBER, usual=0),
    output.Column("cancelled", "Cancelled", kind=output.Kind.NUMBER, usual=0),
    output.Column("messages", "Accepted", kind=output.Kind.NUMBER),
    output.Column("calls", "Calls", kind=output.Kind.NUMBER, usual=0),
)
_SHOW = (output.Column("what", "What"), output.Column("how", "How"))
_TEST = (
    output.Column("at", "When", kind=output.Kind.TIME),
    output.Column("kind", "What"),
    output.Column("step", "Step", kind=output.Kind.NUMBER),
    output.Column("template", "Template"),
    output.Column("reason", "Why"),
)
_MESSAGE = (
    output.Column("title", "Title"),
    output.Column("body", "Text"),
    output.Column("fault", "Can't be written"),
)
_NONE = "No trigger yet. docs/triggers.md and pushctl.toml.example have examples."

NameArgument = Annotated[str, typer.Argument(help="A trigger of pushctl.toml.")]


@app.command("list")
def list_(ctx: typer.Context, format: FormatOption = output.Format.TABLE) -> None:
    """
    List triggers and count their people by state.

    \b
    pushctl triggers list
    """
    from pushctl.jobs.triggers import describe

    here = context.of(ctx)
    output.rows(describe.list_triggers(here.config, here.store), _LIST, format, empty=_NONE)


@app.command()
def show(
    ctx: typer.Context, name: NameArgument, format: FormatOption = output.Format.TABLE
) -> None:
    """
    Show one trigger in plain words.

    \b
    pushctl triggers show abandoned_basket_1
    """
    from pushctl.jobs.triggers import describe

    here = context.of(ctx)
    trigger = describe.get_trigger(here.config, name)
    state = describe.find_states(here.store).get(name, "on")
    pools = [one.name for one in here.store.promo_codes.list_pools()]
    lines = [
        *describe.describe_trigger(here.config, trigger, state, pools),
        *describe.describe_news(here.store, trigger, here.config.zone),
    ]
    output.rows(({"what": what, "how": how} for what, how in lines), _SHOW, format)


@app.command()
def pause(ctx: typer.Context, name: NameArgument) -> None:
    """
    Pause a trigger. It sends nothing until you resume it.

    \b
    pushctl triggers pause abandoned_basket_1

    Events still start and end enrolments. Messages that are too late after the pause expire.
    """
    from pushctl.jobs.triggers import describe

    here = context.of(ctx)
    describe.pause(here.config, here.store, name, here.now)
    output.say(f"{name} is paused.")


@app.command()
def resume(ctx: typer.Context, name: NameArgument) -> None:
    """
    Resume a paused trigger. Messages that are too late expire.

    \b
    pushctl triggers resume abandoned_basket_1
    """
    from pushctl.jobs.triggers import describe

    here = context.of(ctx)
    describe.pause(here.config, here.store, name, None)
    output.say(f"{name} continues with the next sweep.")


@app.command()
def test(
    ctx: typer.Context,
    name: NameArgument,
    to: Annotated[str, typer.Option("--for", help="A subscriber: an id or alias:NAME.")],
    given: Annotated[
        list[str] | None,
        typer.Option("--set", help="A value of the event: total=80 (JSON or text)."),
    ] = None,
    clicked: Annotated[
        list[int] | None,
        typer.Option("--clicked", help="A step whose message they click: 1."),
    ] = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Test a trigger for one person. Nothing is sent or changed.

    \b
    pushctl triggers test abandoned_basket_1 --for alias:ann --set total=80
    pushctl triggers test abandoned_basket_1 --for alias:ann --clicked 1

    It shows each step with its time, and each message as this person would read it. A
    value that the event does not have is shown as ‹its name›. Each message counts as
    shown in the minute that it is sent. Everything else is decided as in a sweep, with
    quiet hours, [holdout], [sunset] and the person's own time zone. A paused trigger is
    tested as if it were on.
    """
    from pushctl.jobs.triggers import describe, trial

    here = context.of(ctx)
    trigger = describe.get_trigger(here.config, name)
    who = here.store.subscriptions.get(to, here.now)
    event = dict(map(_parse_property, given or ()))
    happened = describe.rehearse(
        here.config, here.store, name, who, here.now, event, clicked or ()
    )
    steps = list(trial.render_all(here.config, here.store, trigger, who, happened, here.now))
    _show_trial(steps, format)
    if name in here.store.triggers.list_paused():
        output.warn(f"{name} is paused: it sends nothing until `pushctl triggers resume`.")


def _show_trial(steps: "Sequence[Tried]", format: output.Format) -> None:
    """Print what would happen, then each message in a frame; in one row for programs."""
    if format is not output.Format.TABLE:
        output.rows(steps, (*_TEST, *_MESSAGE), format)
        return
    output.rows(steps, _TEST)
    for one in steps:
        if one.title is not None:
            text = f"{one.title}\n{one.body or ''}".rstrip()
            output.panel(text, one.heading, stdout=True, right_to_left=one.right_to_left)
    for fault in dict.fromkeys(one.fault for one in steps if one.fault):
        output.warn(f"can't be written: {fault}")


def _parse_property(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise InputError(f"--set {text!r} has no value. Write it like --set total=80.")
    try:
        return name, orjson.loads(value)
    except orjson.JSONDecodeError:
        return name, value
