"""Whether a second person can approve anything, and what waits for it: for `check`."""

import grp
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

from pushctl import approval_files
from pushctl.config import Config
from pushctl.jobs.triggers.lint import Level
from pushctl.store import Store
from pushctl.store.approvals import Approval

Found = tuple[Level, str, str, str]  # with place, text and remedy


def find_notes(config: Config, store: Store) -> Iterator[Found]:
    """Yield what keeps people from approving, and the campaigns that wait."""
    settings = config.approval
    if settings is None:
        return
    folder = settings.folder
    remedy = f"Make it for a group: install -d -m 2770 -g GROUP {folder} (docs/approval.md)."
    fault = approval_files.find_folder_fault(folder)
    if fault is not None:
        fault = fault.removeprefix(f"{folder} ").partition(". Make it: ")[0]  # said beside it
        yield Level.PROBLEM if folder.exists() else Level.NOTE, str(folder), fault, remedy
    elif why := _find_lonely(folder):
        yield Level.PROBLEM, str(folder), why, remedy
    for name in settings.approvers:
        if not _is_account(name):
            text = f"approvers has {name!r}, and no account is called so"
            yield (
                Level.PROBLEM,
                config.file.name,
                text,
                "Write names of accounts of this machine.",
            )
    for number in store.approvals.list_waiting():
        campaign, found = store.campaigns.get_by_id(number), store.approvals.find(number)
        text = f"{campaign.name} waits for approval: {_say(found)}"
        yield (
            Level.NOTE,
            "campaigns",
            text,
            f"Somebody else runs: pushctl approve {campaign.name!r}",
        )


def _say(found: Approval | None) -> str:
    return "it is asked for by the next sweep" if found is None else "nobody has approved yet"


def _find_lonely(folder: Path) -> str | None:
    """Return why nobody but the folder's owner can write there, None where others can."""
    state = folder.stat()
    if not state.st_mode & 0o020:
        return f"its group can't write there (mode {state.st_mode & 0o7777:o})"
    try:
        group = grp.getgrgid(state.st_gid)
    except KeyError:
        return f"its group {state.st_gid} has no name"
    members = set(group.gr_mem)
    members |= {one.pw_name for one in pwd.getpwall() if one.pw_gid == state.st_gid}
    members -= {approval_files.name_user(state.st_uid), approval_files.name_user(os.getuid())}
    return None if members else f"its group {group.gr_name} has nobody else who could approve"


def _is_account(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
