"""Who may change a file on this machine."""

import grp
import os
import pwd
import stat
from pathlib import Path


def may_others_write(path: Path) -> bool:
    """Return whether others than its owner may write to *path*."""
    found = path.stat()
    if found.st_mode & stat.S_IWOTH:
        return True
    return bool(found.st_mode & stat.S_IWGRP) and not _is_private(found.st_uid, found.st_gid)


def find_program_fault(path: Path) -> str | None:
    """
    Return why *path* must not be run in our name, None where it may.

    It has to be ours or root's, and nobody else may change or replace it, or a folder above.
    """
    try:
        real = path.resolve(strict=True)
        if not real.is_file() or not os.access(real, os.X_OK):
            return "is no program that we may run"
        # The folders of a link, too: who may change them may lead it elsewhere.
        for each in dict.fromkeys((real, *real.parents, *path.absolute().parents)):
            found = each.stat()
            if found.st_uid not in (os.getuid(), 0):
                return f"can be changed by another user of this machine, who owns {each}"
            # In a folder like /tmp nobody removes what is another's.
            if not found.st_mode & stat.S_ISVTX and may_others_write(each):
                return f"can be changed by others: {each} has mode {found.st_mode & 0o7777:o}"
    except OSError as error:
        return f"can't be found: {error.strerror}"
    return None


def _is_private(user: int, group: int) -> bool:
    """Whether *group* has its one *user* alone, as most systems make it for each user."""
    try:
        name, known = pwd.getpwuid(user).pw_name, grp.getgrgid(group)
    except KeyError:
        return user == group
    return known.gr_name == name and set(known.gr_mem) <= {name}
