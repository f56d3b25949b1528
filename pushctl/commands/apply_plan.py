"""What `apply` shows, asks and does."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pushctl import lock, output
from pushctl.commands import options, send
from pushctl.commands.context import Context
from pushctl.errors import ConfigError, TemplateError, UsageError
from pushctl.jobs.campaigns import apply as applying
from pushctl.jobs.campaigns import drafts, files, plan_files, plan_hashes
from pushctl.jobs.campaigns.plan_files import Item, State
from pushctl.jobs.delivery import deliver
from pushctl.rules.wording import counted

if TYPE_CHECKING:
    from pushctl.jobs.messages.missing_languages import Readers

_COLUMNS = (
    output.Column("file", "File"),
    output.Column("state", "State"),
    output.Column("before", "People before", kind=output.Kind.NUMBER),
    output.Column("after", "People", kind=output.Kind.NUMBER),
    output.Column("note", "Note"),
)
_NOTHING = "There is nothing to apply."


def show_plan(
    here: Context, names: Sequence[str], markdown: bool, format: output.Format
) -> None:
    """Print what applying would do, and the hash of that plan, on stdout."""
    items = _propose(here, names)
    if format is not output.Format.TABLE:
        rows = [
            {"file": item.name, "state": item.state.value, "before": item.people_before,
             "after": item.people, "note": item.note}
            for item in items
        ]  # fmt: skip
        output.rows(rows, _COLUMNS, format)
        _say_hash(here, items, output.say)
        return
    if markdown:
        _write_markdown(here, items)
        return
    items = [_show(here, item, dry_run=True) for item in items]
    _say_hash(here, items, output.propose)


def _say_hash(here: Context, items: Sequence[Item], tell: Callable[[str], None]) -> None:
    made = plan_hashes.compute_hash(here.config, items)
    tell(f"To carry out exactly this: pushctl apply --plan {made}" if made else _NOTHING)


def _write_markdown(here: Context, items: Sequence[Item]) -> None:
    from pushctl.jobs.campaigns import rehearsal, review

    rehearsed = [
        replace(item, plan=rehearsal.rehearse(here.store, here.config, item.plan, here.now))
        if item.plan is not None and item.plan.count
        else item
        for item in items
    ]
    made = plan_hashes.compute_hash(here.config, items)
    output.lines(review.write_markdown(here.store, here.config, rehearsed, made, here.now))


def apply(here: Context, names: Sequence[str], plan: str | None, yes: bool) -> None:
    """Show what is to be done, ask, and do it; one at a time."""
    with lock.hold(applying.find_lock(here.store), "pushctl apply"):
        items = _propose(here, names)
        if plan is not None:
            made = plan_hashes.refuse_other(here.config, items, plan)
        items = [_show(here, item, dry_run=False) for item in items]
        if plan is None:
            items = [item for item in items if _is_agreed(item, yes)]
            made = plan_hashes.compute_hash(here.config, items)
        actions = [item for item in items if item.is_action]
        if not actions:
            output.say(_NOTHING)
            return
        if plan is None and not output.confirm(_ask(actions), yes):
            output.say("Nothing was changed.")
            return
        _carry_out(here, actions, made)


def apply_draft(here: Context, name: str) -> None:
    """Show a draft, ask, and apply it; it goes back where that is not agreed with."""
    if not output.is_interactive():
        raise UsageError("a draft is applied by a person at a terminal; nothing was done")
    text = drafts.read(here.config, name)
    output.panel(text, drafts.name_draft(name))
    if not output.confirm("A program wrote this. Make it a campaign and show whom it reaches?"):
        output.say("Nothing was changed.")
        return
    with drafts.take_over(here.store, here.config, name):
        apply(here, [name], None, False)


def _propose(here: Context, names: Sequence[str]) -> list[Item]:
    if (
        not names
        and not files.list_names(here.config)
        and not here.store.applied.list_current()
    ):
        output.say(
            f"There is no file in {files.find_folder(here.config)}. Write one, such as "
            "campaigns/december_sale.toml; see docs/campaigns.md."
        )
    login = options.find_login()
    return plan_files.propose(here.store, here.config, names, here.now, by=login)


def _show(here: Context, item: Item, *, dry_run: bool) -> Item:
    """Print what *item* is and would do; return it with its plan as it was rehearsed."""
    tell = output.propose if dry_run else output.say
    tell("")
    tell(f"{files.name_file(item.name)}  {item.state.value}", style="bold")
    if item.note:
        tell(f"  {item.note}")
    if item.before or (item.plan is None and item.after):
        tell(f"  people: {_compare(item)}")
    if item.plan is None or item.state is State.NOBODY:
        return item
    if item.draft is not None and item.draft.every:
        tell(f"  goes out every {item.draft.every.removeprefix('every ')}, {item.phase}")
    try:
        return replace(item, plan=send.show(here, item.plan, dry_run, output.Format.TABLE))
    except TemplateError as error:
        raise ConfigError(f"{files.name_file(item.name)}: {error}") from error


def _compare(item: Item) -> str:
    before, after = _list(item.before), _list(item.after)
    if item.before is None or item.after is None:
        return before or f"today {after}"
    return before if before == after else f"{before}; today {after}"


def _list(readers: "Readers | None") -> str:
    if readers is None:
        return ""
    whole = f"{sum(readers.texts.values()):,}"
    parts = ", ".join(f"{tag} {count:,}" for tag, count in readers.texts.items())
    return f"{whole} ({parts})" if parts else whole


def _is_agreed(item: Item, yes: bool) -> bool:
    """Ask whether a file that looks renamed is; what is not agreed to is left alone."""
    if item.state is not State.RENAMED or item.applied is None:
        return True
    was = files.name_file(item.applied.file)
    question = f"Is {files.name_file(item.name)} what was {was}? Its campaign stays one."
    if output.confirm(question, yes):
        return True
    output.say("It is left alone. To send it as well, change what it says.")
    return False


def _ask(actions: Sequence[Item]) -> str:
    people = sum(item.people or 0 for item in actions)
    whom = f" ({counted(people, 'message')} as things stand)" if people else ""
    return f"Apply {counted(len(actions), 'file')}{whom}?"


def _carry_out(here: Context, actions: Sequence[Item], made: str) -> None:
    if any(item.plan is not None for item in actions):
        deliver.check_ready(here.store, here.config)
    failed = []
    done = applying.carry_out(
        here.store, here.config, actions, made, here.later(), by=options.find_login()
    )
    for each in done:
        output.say(f"{each.name}: {each.text}")
        if each.failed:
            failed.append(files.name_file(each.name))
    if failed:
        raise UsageError(f"not applied: {', '.join(failed)}. Look at pushctl apply --dry-run.")
