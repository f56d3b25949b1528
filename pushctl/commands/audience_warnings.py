"""Say what is amiss with an audience that somebody typed."""

from collections.abc import Sequence

from pushctl import output
from pushctl.commands.context import Context
from pushctl.errors import NotFoundError
from pushctl.jobs.subscribers import audience
from pushctl.rules.wording import counted


def describe_inbox(here: Context) -> str:
    """Say how many files no import has read: they may hold people; empty for none."""
    files = here.store.inbox_cursors.count_unread(here.config.inbox)
    if not files:
        return ""
    wait = "waits" if files == 1 else "wait"
    return f"{counted(files, 'file')} {wait} in the inbox: pushctl import"


def warn_of_tags(
    here: Context, tags: Sequence[str], where: Sequence[str], *, strict: bool = False
) -> None:
    """
    Warn of tags that nobody ever had.

    Raises NotFoundError with *strict*, where the audience wants one; without it somebody may
    be preparing for people who come later.
    """
    found = audience.find_unknown_tags(here.config, here.store, tags=tags, where=where)
    for said, wanted in found:
        if strict and wanted:
            waiting = describe_inbox(here)
            raise NotFoundError(
                f"{said} {waiting[0].upper()}{waiting[1:]}" if waiting else said
            )
        output.warn(said)
