"""durable: a file has its old content or its new one, whatever happens in between."""

import errno
import os
import resource
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pushctl import durable
from tests.support import killed

OLD, NEW = b"old\n" * 3, b"new line\n" * 20_000

Act = Callable[[Path], None]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def _usual_umask() -> Any:
    before = os.umask(0o022)
    yield
    os.umask(before)


def write_new(path: Path) -> None:
    durable.write_new(path, NEW, 0o600)


def replace(path: Path) -> None:
    durable.replace(path, NEW, 0o600)


def replace_by_pieces(path: Path) -> None:
    durable.replace(path, (NEW[at : at + 1_000] for at in range(0, len(NEW), 1_000)), 0o600)


def append(path: Path) -> None:
    durable.append_durably(path, NEW, 0o600)


@pytest.mark.parametrize("act", [write_new, replace, replace_by_pieces, append])
def test_a_new_file_has_its_content_and_mode_and_nothing_stands_beside_it(
    tmp_path: Path, act: Act
) -> None:
    act(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == NEW
    assert mode_of(tmp_path / "file") == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("write", [durable.write_new, durable.replace, durable.append_durably])
def test_the_umask_holds(tmp_path: Path, write: Callable[[Path, bytes, int], None]) -> None:
    write(tmp_path / "usual", NEW, 0o666)
    os.umask(0o077)
    write(tmp_path / "private", NEW, 0o666)
    assert (mode_of(tmp_path / "usual"), mode_of(tmp_path / "private")) == (0o644, 0o600)


def test_what_stands_there_is_never_overwritten_by_a_new_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        with pytest.raises(FileExistsError) as caught:
            durable.write_new(tmp_path / name, NEW, 0o600)
        assert (caught.value.filename, caught.value.filename2) == (str(tmp_path / name), None)
    assert (tmp_path / "file").read_bytes() == OLD
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]


def test_of_several_who_make_a_file_one_does(tmp_path: Path) -> None:
    go = os.pipe()
    children = []
    for number in range(8):
        if (child := os.fork()) == 0:
            os.close(go[1])
            os.read(go[0], 1)  # ends when the parent closes its end
            try:
                durable.write_new(tmp_path / "file", b"%d" % number * 1_000, 0o600)
                os._exit(0)
            except FileExistsError:
                os._exit(1)
            finally:
                os._exit(2)
        children.append(child)
    os.close(go[1])
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    os.close(go[0])
    assert sorted(codes) == [0] + [1] * 7
    winner = b"%d" % codes.index(0)
    assert (tmp_path / "file").read_bytes() == winner * 1_000


def test_what_is_replaced_gets_the_new_mode_and_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    (tmp_path / "file").chmod(0o644)
    (tmp_path / "link").symlink_to(tmp_path / "file")
    durable.replace(tmp_path / "link", NEW, 0o600)
    assert (tmp_path / "file").read_bytes() == OLD
    assert not (tmp_path / "link").is_symlink()
    durable.replace(tmp_path / "file", NEW, 0o600)
    assert ((tmp_path / "file").read_bytes(), mode_of(tmp_path / "file")) == (NEW, 0o600)


def test_lines_are_added_at_the_end_behind_one_that_a_crash_tore(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    for line in (b"one\n", b"", b"two\n"):
        durable.append_durably(path, line, 0o600)
    assert path.read_bytes() == b"one\ntwo\n"
    path.write_bytes(b"one\ntw")
    durable.append_durably(path, b"three\n", 0o600)
    assert path.read_bytes() == b"one\ntw\nthree\n"
    (tmp_path / "link").symlink_to(path)
    durable.append_durably(tmp_path / "link", b"four\n", 0o600)
    assert path.read_bytes() == b"one\ntw\nthree\nfour\n"


@pytest.mark.parametrize("act", [write_new, replace, append])
def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path, act: Act) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        act(tmp_path / "nowhere" / "file")
    assert caught.value.filename == str(tmp_path / "nowhere" / "file")


def test_what_fails_while_it_is_made_leaves_the_old_file_alone(tmp_path: Path) -> None:
    def broken() -> Any:
        yield NEW
        raise ValueError("no more")

    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(ValueError, match="no more"):
        durable.replace(tmp_path / "file", broken(), 0o600)
    assert (tmp_path / "file").read_bytes() == OLD
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("act", "there"),
    [(act, there) for act in (replace, replace_by_pieces, append) for there in (True, False)]
    + [(write_new, False)],
)
def test_a_kill_at_any_line_leaves_old_or_new(tmp_path: Path, act: Act, there: bool) -> None:
    path, seen, files = tmp_path / "file", set(), killed.files_of(durable)

    def begin() -> None:
        for left in tmp_path.iterdir():
            left.unlink()
        if there:
            path.write_bytes(OLD)

    begin()
    points = killed.find_points(lambda: act(path), files, [tmp_path])
    for at in (*points.first, points.lines + 1):  # the last one ends by itself
        begin()
        assert killed.run(lambda: act(path), at, files) == (at <= points.lines)
        found = path.read_bytes() if path.exists() else None
        seen.add(found)
        others = [one for one in tmp_path.iterdir() if one != path]
        assert all(one.name.endswith(".new") and mode_of(one) == 0o600 for one in others)
        assert len(others) <= 1
    before = OLD if there else None
    after = OLD + NEW if act is append and there else NEW
    assert points.lines >= 8
    assert seen - {b""} == {before, after}
    assert b"" not in seen or act is append  # made, and nothing added yet


@pytest.mark.parametrize("act", [write_new, replace, append])
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, act: Act) -> None:
    path = tmp_path / "file"
    if act is not write_new:
        path.write_bytes(OLD)
    child = os.fork()
    if child == 0:
        # Stands in for a full disk: write() takes a part, the next one fails.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(NEW) // 2, resource.RLIM_INFINITY))
        try:
            act(path)
        except OSError as error:
            right = error.errno == errno.EFBIG and error.filename == str(path)
            os._exit(7 if right else 8)
        finally:
            os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert (path.read_bytes() if path.exists() else None) == (None if act is write_new else OLD)
    assert {one.name for one in tmp_path.iterdir()} <= {"file"}


def test_a_pipe_or_a_device_is_never_replaced(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to("/dev/null")
    # /dev/stdout may lead to a file, and is a link that all programs share.
    for path in (pipe, link, Path("/dev/stdout-of-a-test"), Path("/dev/fd/1")):
        with pytest.raises(OSError, match="no plain file"):
            durable.replace(path, NEW, 0o600)
    assert stat.S_ISFIFO(pipe.stat().st_mode) and link.is_symlink()
    assert sorted(it.name for it in tmp_path.iterdir()) == ["link", "pipe"]


def test_a_file_that_is_written_piece_by_piece_is_there_once_it_is_whole(
    tmp_path: Path,
) -> None:
    path = tmp_path / "backup"
    with durable.open_new(path, 0o600) as file:
        file.write(OLD)
        assert not path.exists()
        # A writer that lives is left alone.
        assert durable.clear_abandoned(tmp_path, "backup") == []
        file.write(NEW)
    assert (path.read_bytes(), mode_of(path)) == (OLD + NEW, 0o600)
    with pytest.raises(FileExistsError), durable.open_new(path, 0o600):
        pytest.fail("it began")
    with pytest.raises(ValueError, match="no more"), durable.open_new(tmp_path / "x", 0o600):
        raise ValueError("no more")
    assert [each.name for each in tmp_path.iterdir()] == ["backup"]


def test_what_a_killed_writer_left_is_cleared(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        with durable.open_new(tmp_path / "backup", 0o600) as file:
            file.write(OLD)
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    (left,) = tmp_path.iterdir()
    assert durable.clear_abandoned(tmp_path, "other") == []
    assert durable.clear_abandoned(tmp_path, "back") == [left]
    assert list(tmp_path.iterdir()) == []
