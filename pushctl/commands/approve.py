"""Approve a campaign that somebody else has asked for."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import DryRunOption, FormatOption, YesOption
from pushctl.errors import UsageError
from pushctl.rules.wording import counted, moment

if TYPE_CHECKING:
    from pushctl.jobs.messages.approval_requests import Request

_LIST = (
    output.Column("campaign", "Campaign"),
    output.Column("people", "People", kind=output.Kind.NUMBER),
    output.Column("asked_by", "Asked by"),
    output.Column("why", "Why"),
    output.Column("approval", "Approved"),
    output.Column("hash", "Request", spare=True),
)
_EMPTY = "Nothing waits for approval."


def command(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="A campaign, or the beginning of a request's hash.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="The folder of requests. Default: that of pushctl.toml.")
    ] = None,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Take the approval back.")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with all previews.")] = None,
    texts: Annotated[
        bool, typer.Option("--texts", help="Show all texts as they were written.")
    ] = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Approve what somebody else asked for.

    \b
    pushctl approve                      what waits
    pushctl approve "sale 2026-11-29"    look at it, then agree
    pushctl approve "sale 2026-11-29" --html look.html --dry-run

    It shows audience, languages, times and every text. Your user account is the
    signature, so it has to be another one than that which asked. It needs the folder of
    requests alone, no database and no keys. The next sweep sends what is approved.
    """
    from pushctl.jobs.messages import approval_requests as requests

    where = folder or _find_folder(context.of(ctx))
    if name is None:
        short = format is output.Format.TABLE
        rows = [_build_row(one, short=short) for one in requests.list_requests(where)]
        output.rows(rows, _LIST, format, empty=_EMPTY)
    elif withdraw:
        _withdraw(where, requests.find_request(where, name))
    else:
        one = requests.find_request(where, name)
        _show(one, format, texts=texts, html=html)
        _agree(where, one, yes=yes, dry_run=dry_run)


def _find_folder(here: context.Context) -> Path:
    approval = here.config.approval
    if approval is None:
        raise UsageError(
            "pushctl.toml has no [approval]: nothing waits. Or name the folder: --folder PATH"
        )
    return approval.folder


def _build_row(one: "Request", *, short: bool) -> dict[str, object]:
    return {
        "campaign": one.campaign,
        "people": one.people,
        "asked_by": one.said.get("asked_by"),
        "why": one.said.get("why"),
        "approval": one.approval or "no",
        "hash": one.hash[:12] if short else one.hash,
    }


def _agree(where: Path, one: "Request", *, yes: bool, dry_run: bool) -> None:
    from pushctl.jobs.messages import approval_requests as requests

    if dry_run:
        return
    whom = counted(one.people, "person", "people")
    if not output.confirm(f"Approve that {one.campaign!r} goes to {whom}?", yes):
        output.say("Nothing was approved.")
        return
    who = requests.approve(where, one)
    output.say(f"{one.campaign} is approved by {who}. The next sweep sends it in its time.")


def _withdraw(where: Path, one: "Request") -> None:
    from pushctl import approval_files

    if approval_files.withdraw(where, one.hash):
        output.say(f"{one.campaign} is not approved any more. What is out stays out.")
    else:
        output.say(f"{one.campaign} was not approved.")


def _show(one: "Request", format: output.Format, *, texts: bool, html: Path | None) -> None:
    if format is not output.Format.TABLE:
        record = {"hash": one.hash, **one.said}
        output.record(record, [output.Column(key, key) for key in record], format)
        return
    facts = dict(_list_facts(one))
    output.record(facts, [output.Column(key, key) for key in facts])
    output.gap()
    _show_previews(one, html)
    _show_texts(one, whole=texts)


def _show_previews(one: "Request", html: Path | None) -> None:
    from pushctl.commands.templates_previews import draw, show
    from pushctl.jobs.messages import approval_requests as requests

    made = []
    for each in requests.render_all(one):
        if isinstance(each, str):
            output.warn(each)
            continue
        show(each)
        draw(each)
        made.append(each)
    if html and made:
        output.say(f"Wrote {requests.write_page(html, one, made)}")


def _show_texts(one: "Request", *, whole: bool) -> None:
    """Print what previews can't show: conditions, and texts for some people alone."""
    from pushctl.jobs.messages import approval_requests as requests

    shown = sorted(one.said["texts"].items()) if whole else requests.list_hidden(one)
    for name, text in shown:
        output.panel(text.strip(), f"{name}, as it was written", stdout=True)


def _list_facts(one: "Request") -> Iterator[tuple[str, object]]:
    said, content = one.said, one.said["content"]
    yield "Campaign", one.campaign
    yield "Why", said["why"]
    yield "Asked by", f"{said['asked_by']}, {moment(said['asked_at'])}"
    yield "Audience", said["audience"]
    rows = content.get("rows")
    frozen = f" ({rows:,} messages frozen)" if rows is not None else ""
    yield "People", f"{one.people:,}{frozen}"
    yield "Messages", _join(said["states"])
    languages = [f"{tag or '?'} {count:,} ({site})" for site, tag, count in said["languages"]]
    yield "Languages", ", ".join(languages) or "none"
    yield "Goes out", _say_times(said)
    yield "Of use until", moment(said["expires_at"]) if said["expires_at"] else "its own time"
    yield "Manners", said["manners"]
    yield "Topic", said["topic"] or "none"
    yield "Promo codes", f"pool {said['promo']}" if said["promo"] else "none"
    if said["test"]:
        yield "Test", _say_test(said["test"])
    yield "Options", _join(said["options"]) or "none"
    yield "Approved", one.approval or "no"
    yield "Request", one.hash


def _say_times(said: "Mapping[str, object]") -> str:
    first, last = int(str(said["first"])), int(str(said["last"]))
    asked = int(str(said["asked_at"]))
    begin = "at once, when it is approved" if first <= asked else moment(first)
    return begin if last <= max(first, asked) else f"{begin} to {moment(last)}"


def _say_test(test: "Mapping[str, Any]") -> str:
    arms = [arm.get("template") or arm.get("time") or arm["variant"] for arm in test["arms"]]
    return f"{', '.join(arms)}, on {test['test_share']:.0%}; on a tie: {test['tie']}"


def _join(table: "Mapping[str, object]") -> str:
    return ", ".join(f"{key} {value}" for key, value in table.items())
