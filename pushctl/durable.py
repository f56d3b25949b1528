"""
Files that survive a kill and a power loss: each has its old content or its new one.

New content is written beside its place, synced, and gets its name in one step; then the
folder is synced, because it holds the name. *mode* is what os.open takes: the umask holds.
All raise OSError that names the file. A process that is killed leaves at most a file
``NAME.<random>.new``, with the same mode, that is never read.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_DEVICES = (Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd"))


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a new file; FileExistsError where a file or link exists, even a dangling one."""
    with _write_beside(path, data, mode) as young:
        os.link(young, path)


def replace(path: Path, data: bytes | Iterable[bytes], mode: int) -> None:
    """
    Write a file in the place of *path*.

    The old file's mode and owner are not kept. A symbolic link is replaced, not followed.
    OSError where a pipe or a device stands: a name such as /dev/stdout stays what it is.
    """
    if path.absolute().parent in _DEVICES or not _is_plain(path):
        raise OSError(errno.EINVAL, "it is no plain file", str(path))
    with _write_beside(path, data, mode) as young:
        young.replace(path)


def replace_volatile(path: Path, data: bytes, mode: int) -> None:
    """
    Write a file in the place of *path* for who reads it now: old content or new.

    Not synced: after a power loss it may be empty. For what is written again in a minute.
    *mode* holds whatever the umask: a service's own closes all that it writes to others.
    """
    young = path.with_name(f"{path.name}.{os.urandom(4).hex()}.new")
    try:
        handle = os.open(young, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            os.fchmod(handle, mode)
            write_all(handle, data)
        finally:
            os.close(handle)
        young.replace(path)
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise
    finally:
        young.unlink(missing_ok=True)


def _is_plain(path: Path) -> bool:
    """Return whether a file may be put in the place of *path*; rename() refuses a folder."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return True  # nothing is there, or a link that leads nowhere
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


@contextmanager
def open_new(path: Path, mode: int) -> Iterator[BinaryIO]:
    """
    Yield a file to write what a new *path* holds; it is there once the block has ended well.

    While it is written, flock holds ``NAME.<random>.new``: ``clear_abandoned`` leaves it alone.
    FileExistsError where a file or link exists.
    """
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    with _open_beside(path, mode) as (file, young):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield file
        _sync(file)
        try:
            os.link(young, path)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP):
                raise
            # A disk without links, such as a stick's, has no way to refuse; it was free above.
            young.rename(path)


def clear_abandoned(folder: Path, begin: str) -> list[Path]:
    """Remove what killed ``open_new`` left in *folder* for names that *begin* so; return it."""
    gone: list[Path] = []
    for young in folder.glob(f"{begin}*.new"):
        with suppress(OSError), young.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            young.unlink()
            gone.append(young)
    return gone


@contextmanager
def _write_beside(path: Path, data: bytes | Iterable[bytes], mode: int) -> Iterator[Path]:
    with _open_beside(path, mode) as (file, young):
        file.writelines([data] if isinstance(data, bytes) else data)
        _sync(file)
        yield young


@contextmanager
def _open_beside(path: Path, mode: int) -> Iterator[tuple[BinaryIO, Path]]:
    young = path.with_name(f"{path.name}.{os.urandom(4).hex()}.new")
    try:
        handle = os.open(young, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(handle, "wb") as file:
            yield file, young
    except OSError as error:
        # Whoever writes may have read another file.
        if error.filename in (None, str(young)):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        young.unlink(missing_ok=True)
    sync_folder(path.parent)


def move(path: Path, target: Path) -> None:
    """
    Give *path* the name *target* in one step, in the place of what stands there.

    After a power loss it has one of both names, on the same file system alone.
    """
    try:
        path.replace(target)
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise
    sync_folder(target.parent)
    if target.parent != path.parent:
        sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove *path*, if it is there; a power loss does not bring it back."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def append_durably(path: Path, data: bytes, mode: int) -> None:
    """
    Add whole lines to the end of *path*; make it where it is missing.

    Nothing is added when the disk refuses. A kill may tear the last line; the next call
    ends a torn line before it adds its own.
    """
    with open_to_append(path, mode) as handle:
        add_lines(handle, data)


@contextmanager
def open_to_append(path: Path, mode: int) -> Iterator[int]:
    """Yield *path* for ``add_lines``, alone; it is made where it is missing."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, mode)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    finally:
        os.close(handle)
    sync_folder(path.parent)


def add_lines(handle: int, data: bytes) -> None:
    """Add whole lines to a file of ``open_to_append``, after the end of a torn one."""
    end = os.fstat(handle).st_size
    torn = end > 0 and os.pread(handle, 1, end - 1) != b"\n"
    add_to_end(handle, b"\n" + data if torn else data)


def add_to_end(handle: int, data: bytes) -> None:
    """Add *data* to a file opened with O_APPEND, durably; nothing when the disk refuses."""
    end = os.fstat(handle).st_size
    try:
        write_all(handle, data)
        os.fsync(handle)
    except OSError:
        with suppress(OSError):
            os.ftruncate(handle, end)
        raise


def write_all(handle: int, data: bytes) -> None:
    """Write all of *data*: on a full disk write() takes a part, and the next one raises."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def finish(handle: int) -> None:
    """Close a file once all of it is on disk."""
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Return when the names in *folder* are on disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
