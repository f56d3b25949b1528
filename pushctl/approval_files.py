"""
The folder of approvals: requests that anybody in its group reads, answers of another user.

``HASH.json`` is a request, ``HASH`` its approval. What proves an approval is the file's
owner, which no user of Linux can give away. So a file counts only if it is a plain one with
one name, of an account in the folder's group, and writable by its owner alone. It is opened
without following links, and judged by the open descriptor.
"""

import os
import pwd
import secrets
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from pushctl.errors import ConfigError
from pushctl.rules.approvals import NAME, hash_text, is_approval, make_approval
from pushctl.rules.limits import MAX_APPROVAL_BYTES

_MODE = 0o2770  # the group is inherited by what is written there
_NO_UID = 0xFFFFFFFF  # of a process that no login began
_REQUEST = ".json"


class Found(NamedTuple):
    """What stands in the place of an approval."""

    uid: int | None = None  # who approved
    fault: str | None = None  # why a file doesn't count


def list_own_uids() -> set[int]:
    """
    Return the users that this process acts for.

    Besides its own that is who logged in, which survives su and sudo, and whom sudo names.
    """
    found = {os.getuid(), os.geteuid()}
    with suppress(OSError, ValueError):
        login = int(Path("/proc/self/loginuid").read_text("ascii"))
        found |= {login} - {_NO_UID}
    with suppress(ValueError):
        found.add(int(os.environ.get("SUDO_UID", "")))
    return found


def name_user(uid: int) -> str:
    """Return the name of an account, or its number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def make_folder(folder: Path) -> None:
    """Make the folder where it is missing, for its group; raises OSError."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        folder.chmod(_MODE)


def find_folder_fault(folder: Path) -> str | None:
    """Return why no approval in *folder* can count, None where it can."""
    try:
        with _open_folder(folder):
            return None
    except ConfigError as error:
        return str(error)


@contextmanager
def _open_folder(folder: Path) -> Iterator[int]:
    """Open the folder itself, not what a link leads to; raises ConfigError."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(
            f"{folder} can't be opened as a folder: {error.strerror}. Make it: "
            f"install -d -m 2770 -g GROUP {folder}"
        ) from error
    try:
        if os.fstat(handle).st_mode & stat.S_IWOTH:
            raise ConfigError(
                f"{folder} can be written by everybody on this machine: chmod 2770 {folder}"
            )
        yield handle
    finally:
        os.close(handle)


def write_request(folder: Path, text: str) -> None:
    """Write a request that the folder's group can read; raises ConfigError."""
    make_folder_or_fail(folder)
    _write(folder, hash_text(text) + _REQUEST, text, 0o640)


def check_writable(folder: Path) -> None:
    """Make the folder if it is missing; raises ConfigError if requests can't be written."""
    make_folder_or_fail(folder)
    entry = f"{secrets.token_hex(8)}.try"
    _write(folder, entry, "", 0o640)
    with suppress(OSError):
        (folder / entry).unlink()


def make_folder_or_fail(folder: Path) -> None:
    try:
        make_folder(folder)
    except OSError as error:
        raise ConfigError(
            f"{folder} can't be made: {error.strerror}. Make it: "
            f"install -d -m 2770 -g GROUP {folder} (docs/approval.md)"
        ) from error


def has_request(folder: Path, name: str) -> bool:
    return (folder / (name + _REQUEST)).is_file()


def has_approval(folder: Path, name: str) -> bool:
    """Return whether something has an approval's name: cheap, and no proof."""
    return os.path.lexists(folder / name)


def load_requests(folder: Path) -> dict[str, str]:
    """
    Return the requests in *folder* by their hashes, the newest first.

    One that does not say what its name promises is left out.
    """
    found = {}
    with _open_folder(folder) as handle:
        for entry in os.listdir(handle):  # noqa: PTH208 - of the open folder, not of a name
            name = entry.removesuffix(_REQUEST)
            if entry == name or not NAME.fullmatch(name):
                continue
            with suppress(OSError, UnicodeError):
                at, text, _ = _read(handle, entry)
                if hash_text(text) == name:
                    found[name] = (at, text)
    return {name: text for name, (_, text) in sorted(found.items(), key=_by_age)}


def _by_age(item: tuple[str, tuple[float, str]]) -> float:
    return -item[1][0]


def _read(handle: int, entry: str) -> tuple[float, str, os.stat_result]:
    """Return the time, text and state of a plain file; raises OSError for anything else."""
    # Not blocked by a pipe that somebody has put there.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(entry, flags, dir_fd=handle)
    with os.fdopen(descriptor, "rb") as file:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode) or state.st_size > MAX_APPROVAL_BYTES:
            raise OSError("no plain file, or too large")
        return state.st_mtime, file.read(MAX_APPROVAL_BYTES).decode(), state


def approve(folder: Path, name: str, campaign: str) -> None:
    """Write the approval of request *name*, as this process's user; raises ConfigError."""
    _write(folder, name, make_approval(name, campaign), 0o644)


def withdraw(folder: Path, name: str) -> bool:
    """Delete an approval; return whether there was one."""
    with _open_folder(folder) as handle:
        try:
            os.unlink(name, dir_fd=handle)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise ConfigError(f"{folder / name} can't be deleted: {error.strerror}") from error
    return True


def remove(folder: Path, name: str) -> None:
    """Delete a request and its approval, as far as we may: nothing depends on it."""
    for entry in (name, name + _REQUEST):
        with suppress(OSError):
            (folder / entry).unlink()


def _write(folder: Path, entry: str, text: str, mode: int) -> None:
    """Write a file whole in its place; one that is lost with the power is asked for anew."""
    young = f".{entry[:16]}.{secrets.token_hex(8)}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with _open_folder(folder) as handle:
        try:
            descriptor = os.open(young, flags, mode, dir_fd=handle)
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, mode)  # whatever the umask
                file.write(text.encode())
            os.rename(young, entry, src_dir_fd=handle, dst_dir_fd=handle)
        except OSError as error:
            with suppress(OSError):
                os.unlink(young, dir_fd=handle)
            raise ConfigError(
                f"{folder} can't be written to: {error.strerror}. Its group has to have "
                "write access, and you have to be in it (docs/approval.md)."
            ) from error


def find_approval(
    folder: Path, name: str, barred: Collection[int], approvers: Collection[str] = ()
) -> Found:
    """
    Return who approved request *name*, or why what stands there does not count.

    *barred* are the users who asked for it. With *approvers* only these accounts count.
    """
    try:
        with _open_folder(folder) as handle:
            group = os.fstat(handle).st_gid
            _, text, state = _read(handle, name)
    except ConfigError as error:
        return Found(fault=str(error))
    except FileNotFoundError:
        return Found()
    except (OSError, UnicodeError):
        return Found(fault="its approval is no plain file")
    fault = _find_fault(text, name, state, group, barred, approvers)
    return Found(fault=fault) if fault else Found(uid=state.st_uid)


def _find_fault(
    text: str,
    name: str,
    state: os.stat_result,
    group: int,
    barred: Collection[int],
    approvers: Collection[str],
) -> str | None:
    uid = state.st_uid
    who = name_user(uid)
    if uid in barred:
        return f"{who} asked for it, so somebody else has to approve it"
    if state.st_nlink != 1:
        return "its approval has a second name (a hard link)"
    if state.st_mode & 0o022:
        return "its approval can be written by others"
    if not is_approval(text, name):
        return "its approval is of something else"
    # A user namespace gives people numbers that are no accounts.
    if not _is_member(uid, group):
        return f"{who} is no account in the folder's group"
    if approvers and who not in approvers:
        return f"{who} is not among the approvers of pushctl.toml"
    return None


def _is_member(uid: int, group: int) -> bool:
    try:
        account = pwd.getpwuid(uid)
        return uid == 0 or group in os.getgrouplist(account.pw_name, account.pw_gid)
    except (KeyError, OSError):
        return False
