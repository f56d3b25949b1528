"""``pushctl subscribers import``: bring in a file of subscribers, of ours or another tool's."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pushctl import output
from pushctl.commands import context, run_recording
from pushctl.commands.options import DryRunOption, FormatOption, Names, Text
from pushctl.errors import UsageError
from pushctl.model import Worker
from pushctl.rules.vendors.exports import Vendor
from pushctl.rules.wording import counted

if TYPE_CHECKING:
    from pushctl.jobs.subscribers.known_people import ImportReport
    from pushctl.jobs.subscribers.questions import Question
    from pushctl.rules.web.opt_out import Answers

_COLUMNS = (
    output.Column("lines", "Lines", kind=output.Kind.NUMBER),
    output.Column("added", "Added", kind=output.Kind.NUMBER),
    output.Column("updated", "Updated", kind=output.Kind.NUMBER),
    output.Column("unknown", "Unknown", kind=output.Kind.NUMBER),
    output.Column("unsubscribed", "Unsubscribed", kind=output.Kind.NUMBER),
    output.Column("refused", "Refused", kind=output.Kind.NUMBER),
    output.Column("fields_left_out", "Fields left out", kind=output.Kind.NUMBER),
    output.Column("rejects", "Refused lines in"),
)


def command(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help='CSV or JSON, plain or gzip; "-": stdin.')],
    site: Annotated[Text, typer.Option(help="Site for lines without a site.")] = None,
    key: Annotated[Text, typer.Option(help="VAPID key for lines without a key.")] = None,
    subscribed: Annotated[
        Names, typer.Option(metavar="COLUMN=VALUE", help="This value means subscribed.")
    ] = None,
    unsubscribed: Annotated[
        Names, typer.Option(metavar="COLUMN=VALUE", help="This value means unsubscribed.")
    ] = None,
    ignore: Annotated[
        Names, typer.Option(metavar="COLUMN", help="This column does not say who left.")
    ] = None,
    vendor: Annotated[
        Vendor | None, typer.Option("--from", help="The service that wrote the file.")
    ] = None,
    our_worker: Annotated[
        bool,
        typer.Option("--our-worker", help="The former worker now imports pushctl-sw.js."),
    ] = False,
    dry_run: DryRunOption = False,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Import subscribers from a file of pushctl or of another tool.

    \b
    pushctl subscribers import subscribers.jsonl
    pushctl subscribers import export.csv.gz --from onesignal --key Jv2xY0aB
    pushctl subscribers import users.csv --unsubscribed "status=paused"
    pushctl subscribers import points.csv --dry-run

    Known endpoints are updated, but their keys never change. A file without endpoints changes
    known people by alias: other columns are their attributes. Refused lines are written to
    a file beside it, with the reasons. You can import a file again without harm.
    """
    from pushctl import records
    from pushctl.jobs.subscribers import imports

    here = context.of(ctx)
    report = imports.import_file(
        here.store, here.config, file, here.now, site=site, key=key,
        secret=here.config.secret(), answers=_read_answers(subscribed, unsubscribed, ignore),
        ask=_ask if output.is_interactive() and str(file) != "-" else None,
        bar=output.progress("Importing", records.count_lines(file), estimated=True),
        dry_run=dry_run, vendor=vendor, our_worker=our_worker,
    )  # fmt: skip
    _show(here, report, format)
    if dry_run:
        output.say("Nothing was written.")


_COUNTED = ("lines", "added", "updated", "unknown", "refused")


def _read_answers(yes: Names, no: Names, ignored: Names) -> "Answers":
    from pushctl.jobs.subscribers.files import column
    from pushctl.rules.web import opt_out

    said = {
        opt_out.make_key(column(name), value): state
        for given, state in ((yes, opt_out.ACTIVE), (no, opt_out.LEFT))
        for name, value in _split(given)
    }
    return opt_out.Answers(said, frozenset(map(column, ignored or ())))


def _split(given: Names) -> Iterator[tuple[str, str]]:
    for each in given or ():
        name, mark, value = each.partition("=")
        if not (name and mark and value):
            raise UsageError(f"{each!r} is no answer. Write COLUMN=VALUE, like status=paused.")
        yield name, value


def _ask(question: "Question") -> Literal["subscribed", "unsubscribed", "ignore"]:
    output.say(
        f"{question.column} is {question.value[:80]!r} in {counted(question.lines, 'line')} "
        f"(the first is {question.first}). It may say that these people left; "
        "answer ignore if it is about something else."
    )
    answer = output.ask(
        "Are they subscribed (yes, no, ignore)?",
        fault=lambda given: None if given.lower() in _ANSWERS else "Write yes, no or ignore.",
    )
    return _ANSWERS[answer.lower()]


_ANSWERS: dict[str, Literal["subscribed", "unsubscribed", "ignore"]] = {
    **dict.fromkeys(("y", "yes"), "subscribed"),
    **dict.fromkeys(("n", "no"), "unsubscribed"),
    **dict.fromkeys(("i", "ignore"), "ignore"),
}


def _say_attributes(report: "ImportReport") -> str:
    # A file about people who are known has every other column as an attribute already.
    if not report.added:
        return ""
    return f". Rename one to attr.{output.clean(report.ignored[0])} to keep it as an attribute"


def _show(here: context.Context, report: "ImportReport", format: output.Format) -> None:
    run_recording.count(here, {name: getattr(report, name) for name in _COUNTED})
    output.record(report, _COLUMNS, format)
    if report.ignored:
        output.warn(f"ignored columns: {', '.join(report.ignored)}{_say_attributes(report)}")
    if report.origin.strange:
        names = ", ".join(output.clean(each) for each in report.origin.strange)
        output.warn(f"columns that no export of {report.origin.title} has: {names}")
    _show_workers(report)
    if report.unknown:
        people = counted(report.updated, "person", "people")
        output.say(f"{people} updated, {report.unknown:,} unknown.")
    if report.untracked:
        output.warn(
            f"{counted(report.untracked, 'person', 'people')} asked not to be tracked: "
            "alias, city, source, attributes and tags were not taken"
        )
    if report.without_key:
        output.warn(
            f"{counted(report.without_key, 'line')} named no VAPID key, and got your own. "
            "People of another service need its key (--key): nothing reaches them with yours."
        )
    for (name, reason), count in report.left_out.most_common(10):
        output.warn(f"{name} left out {counted(count, 'time')}: it {reason}")
    for reason, count in report.rejected.most_common(5):
        output.warn(f"{count} refused: {reason}")
    if report.rejects_left_out:
        output.warn(
            f"{report.rejects_left_out:,} more refused lines are not in that file: it is full"
        )
    if report.lines and not report.added + report.updated:
        raise UsageError("no line could be imported; see the reasons above")


def _show_workers(report: "ImportReport") -> None:
    bridged, waiting = report.workers[Worker.ONESIGNAL], report.workers[Worker.UNKNOWN]
    if bridged:
        they = counted(bridged, "person gets", "people get")
        output.say(f"{they} messages in OneSignal's form until their next visit.")
    if waiting:
        they = counted(waiting, "person waits", "people wait")
        output.say(
            f"{they} for their next visit: only then can a message reach them (docs/moving.md)."
        )
