"""pushctl.inbox: what is acknowledged is on disk, and read once, in order."""

import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushctl import inbox
from pushctl.inbox import BadLine, Entry, Finished, InboxFullError, Writer
from pushctl.model import InboxRecord
from pushctl.rules import limits
from tests.support import NOON


def record(number: int, at: int = NOON, body: str = "{}") -> InboxRecord:
    return InboxRecord(id=f"{number:022}", at=at, path="/v1/events", site="shop", body=body)


def ids(entries: list[Entry]) -> list[int]:
    return [int(e.item.id) for e in entries if isinstance(e.item, InboxRecord)]


def read(folder: Path, cursors: dict[str, int] | None = None) -> list[Entry]:
    return list(inbox.read(folder, cursors or {}))


def test_what_was_appended_is_read_in_order(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "inbox")
    writer.append([record(1), record(2)])
    writer.append([record(3)])
    assert ids(read(tmp_path / "inbox")) == [1, 2, 3]


def test_reading_goes_on_behind_the_cursor(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.append([record(1), record(2)])
    first = read(tmp_path)[0]
    assert ids(read(tmp_path, {first.segment: first.offset})) == [2]


def test_an_empty_or_missing_folder_holds_nothing(tmp_path: Path) -> None:
    assert read(tmp_path) == []
    assert read(tmp_path / "none") == []


def test_a_segment_being_written_is_not_finished_until_its_writer_ends(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.append([record(1)])
    assert not any(isinstance(e.item, Finished) for e in read(tmp_path))
    writer.close()
    assert isinstance(read(tmp_path)[-1].item, Finished)


def test_torn_last_line_of_a_living_writer_is_left_for_the_next_time(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.append([record(1)])
    (name,) = inbox.list_segments(tmp_path)
    line = inbox.encode(record(2))
    with (tmp_path / name).open("ab") as file:
        file.write(line[:20])
        file.flush()
        entries = read(tmp_path)
        assert ids(entries) == [1]
        file.write(line[20:])
    assert ids(read(tmp_path, {name: entries[-1].offset})) == [2]


def test_torn_last_line_of_a_dead_writer_is_bad_and_stays_before_the_cursor(
    tmp_path: Path,
) -> None:
    writer = Writer(tmp_path)
    writer.append([record(1)])
    writer.close()
    (name,) = inbox.list_segments(tmp_path)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole + b"12345678 99 {")
    good, torn, end = read(tmp_path)
    assert torn.item == BadLine("torn by a crash", b"12345678 99 {")
    assert isinstance(end.item, Finished)
    # A longer copy of the same segment may come later: it goes on at the line's start.
    assert good.offset == torn.offset == end.offset == len(whole)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"rubbish\n", "not of the form"),
        (b"00000000 2 {}\n", "checksum"),
        (b"99999999 7 {}\n", "length is 2, not the 7"),
        (b"\xff\xfe\x00\n", "not of the form"),
    ],
)
def test_a_bad_line_stops_nothing(tmp_path: Path, line: bytes, reason: str) -> None:
    writer = Writer(tmp_path)
    writer.append([record(1)])
    (name,) = inbox.list_segments(tmp_path)
    with (tmp_path / name).open("ab") as file:
        file.write(line + inbox.encode(record(2)))
    entries = read(tmp_path)
    assert ids(entries) == [1, 2]
    assert isinstance(entries[1].item, BadLine)
    assert reason in entries[1].item.reason


def line_of(text: bytes) -> bytes:
    import zlib

    return b"%08x %d %s\n" % (zlib.crc32(text), len(text), text)


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"{",
        b'{"id": 1}',
        b'{"id": "a", "at": "b", "path": "/", "site": "s", "body": ""}',
        b'{"id": "a", "at": true, "path": "/", "site": "s", "body": ""}',
        b'{"id": "a", "at": -1, "path": "/", "site": "s", "body": ""}',
        b'{"id": "a", "at": 1, "path": "/", "site": "s", "body": "\\u0000"}',
        b'{"id": "a", "at": 1, "path": "/", "site": "s", "body": "\\ud800"}',
        b'{"id": "a", "at": 1, "path": "/", "site": "s", "body": "", "hints": {"a": 1}}',
        b'{"id": "a", "at": 1, "path": "", "site": "", "body": "", "hints": {"a": "\\u0000"}}',
        b'{"id": "a", "at": 1, "path": "/", "site": "s", "body": "", "signature": 5}',
        b"[" * 100_000,
        b'{"id": "a", "at": NaN, "path": "/", "site": "s", "body": ""}',
    ],
)
def test_a_whole_line_that_is_no_record_is_bad(text: bytes) -> None:
    assert isinstance(inbox.decode(line_of(text)), BadLine)


@given(st.binary(max_size=300))
def test_no_line_breaks_the_parser(line: bytes) -> None:
    assert isinstance(inbox.decode(line + b"\n"), BadLine)


@given(
    body=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    agent=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
    | st.none(),
)
def test_every_record_comes_back_as_it_was(body: str, agent: str | None) -> None:
    given = InboxRecord("a", 5, "/v1/tags", "shop", body, "1.x", agent, {"country": "TR"})
    assert inbox.decode(inbox.encode(given)) == given


def test_a_line_without_an_end_is_skipped_in_bounded_memory(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.append([record(1)])
    (name,) = inbox.list_segments(tmp_path)
    with (tmp_path / name).open("ab") as file:
        file.write(b"x" * (3 * limits.MAX_INBOX_LINE_BYTES) + b"\n" + inbox.encode(record(2)))
    entries = read(tmp_path)
    assert ids(entries) == [1, 2]
    assert isinstance(entries[1].item, BadLine)
    assert len(entries[1].item.raw) < 5000


def test_segments_of_two_receivers_are_merged_by_time(tmp_path: Path) -> None:
    one, two = Writer(tmp_path), Writer(tmp_path)
    one.append([record(1, NOON + 1)])
    two.append([record(2, NOON + 2)])
    one.append([record(3, NOON + 3)])
    two.append([record(4, NOON + 4)])
    assert ids(read(tmp_path)) == [1, 2, 3, 4]


def test_what_came_after_the_given_time_waits(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.append([record(1, NOON), record(2, NOON + 5)])
    writer.close()
    entries = list(inbox.read(tmp_path, {}, until=NOON))
    assert ids(entries) == [1]
    assert not any(isinstance(e.item, Finished) for e in entries)


def test_a_receiver_whose_clock_is_an_hour_ahead_is_not_waited_for(tmp_path: Path) -> None:
    Writer(tmp_path).append([record(1, NOON + 3_600_000)])
    assert ids(list(inbox.read(tmp_path, {}, until=NOON))) == [1]


def test_a_long_backlog_keeps_few_files_open(tmp_path: Path) -> None:
    for number in range(80):
        start = NOON + number * 600_000
        path = tmp_path / f"{start:013}-{number:012x}.seg"
        path.write_bytes(inbox.encode(record(number, start)))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 20, hard))
    try:
        assert ids(read(tmp_path)) == list(range(80))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_long_segment_gives_way_to_the_next(tmp_path: Path) -> None:
    writer = Writer(tmp_path, max_segment_bytes=100)
    writer.append([record(1)])
    writer.append([record(2)])
    assert len(inbox.list_segments(tmp_path)) == 2
    assert ids(read(tmp_path)) == [1, 2]


def test_an_old_segment_is_closed_by_rotate(tmp_path: Path) -> None:
    writer = Writer(tmp_path, max_segment_age=0)
    writer.append([record(1)])
    writer.rotate()
    assert isinstance(read(tmp_path)[-1].item, Finished)


def test_a_young_segment_is_kept_by_rotate(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.append([record(1)])
    writer.rotate()
    writer.append([record(2)])
    assert len(inbox.list_segments(tmp_path)) == 1


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    Writer(folder).append([record(1)])
    (name,) = inbox.list_segments(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / name).stat().st_mode & 0o777 == 0o600


def test_threads_share_a_writer(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    threads = [
        threading.Thread(target=writer.append, args=([record(n) for n in range(k, k + 50)],))
        for k in range(0, 400, 50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids(read(tmp_path))) == list(range(400))


# RLIMIT_FSIZE stands in for a full disk: write() takes a part, the next one fails.
FILL = """
import resource, signal, sys
from pathlib import Path
from pushctl.inbox import InboxFullError, Writer
from tests.test_inbox import record
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = Writer(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
for number in range(20):
    batch = [record(2 * number), record(2 * number + 1)]
    try:
        writer.append(batch)
    except InboxFullError as error:
        assert "can't be written" in str(error)
        print("refused", flush=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, -1))
    else:
        print(*(r.id for r in batch), flush=True)
"""


def test_a_full_disk_refuses_whole_batches_and_recovers_without_restart(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    words = done.stdout.split()
    assert words.count("refused") == 1
    acknowledged = [int(word) for word in words if word != "refused"]
    assert len(acknowledged) == 38
    entries = read(tmp_path)
    assert ids(entries) == acknowledged
    assert not any(isinstance(e.item, BadLine) for e in entries)


def test_a_folder_that_can_not_be_made_refuses_with_an_error_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "inbox").write_text("a file in the way")
    with pytest.raises(InboxFullError):
        Writer(tmp_path / "inbox").append([record(1)])


def test_a_full_disk_leaves_no_empty_segments_behind(tmp_path: Path) -> None:
    code = FILL.replace("3000", "0").replace("range(20)", "range(1)")
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert inbox.list_segments(tmp_path) == []


def test_after_a_failed_write_a_writer_goes_on_in_another_segment(tmp_path: Path) -> None:
    # A reader may stand behind the cut already; going on there would hide lines from it.
    test_a_full_disk_refuses_whole_batches_and_recovers_without_restart(tmp_path)
    assert len(inbox.list_segments(tmp_path)) == 2


def test_a_forked_child_writes_a_segment_of_its_own(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.append([record(1)])
    child = os.fork()
    if child == 0:
        writer.append([record(2)])
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    writer.append([record(3)])
    assert sorted(ids(read(tmp_path))) == [1, 2, 3]
    assert len(inbox.list_segments(tmp_path)) == 2


WRITE = """
import sys
from pathlib import Path
from pushctl.inbox import Writer
from tests.test_inbox import record
writer = Writer(Path(sys.argv[1]), max_segment_bytes=20_000)
for number in range(10**9):
    writer.append([record(number)])
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


def test_what_a_killed_writer_acknowledged_is_there(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    for _ in range(300):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    rest = process.communicate()[0].split()
    last = int(rest[-1]) if rest else 299
    found = ids(read(tmp_path))
    assert found[: last + 1] == list(range(last + 1))
    assert len(found) <= last + 2


def test_quarantine_takes_a_line_once(tmp_path: Path) -> None:
    bad = ("1777363200000-aa.seg", 17, "checksum", b"rub\xffbish\n")
    inbox.quarantine(tmp_path, [bad])
    inbox.quarantine(tmp_path, [bad, ("1777363200000-aa.seg", 40, "depth", b"x\n")])
    path = tmp_path / "quarantine" / "1777363200000-aa.jsonl"
    assert [orjson.loads(line) for line in path.read_bytes().splitlines()] == [
        {"offset": 17, "reason": "checksum", "line": "rub\\xffbish"},
        {"offset": 40, "reason": "depth", "line": "x"},
    ]
    assert path.stat().st_mode & 0o777 == 0o600


def test_quarantine_does_not_grow_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushctl.inbox.quarantine_files.MAX_QUARANTINE_BYTES", 1_000)
    for number in range(100):
        name = f"17773632000{number:02}-aa.seg"
        inbox.quarantine(tmp_path, [(name, at, "bad", b"x" * 50) for at in range(5)])
    files = (tmp_path / "quarantine").glob("*.jsonl")
    assert 800 < sum(path.stat().st_size for path in files) <= 1_000
    assert inbox.count_free_bytes(tmp_path) < 200


def test_quarantine_goes_on_after_a_crash_tore_its_last_line(tmp_path: Path) -> None:
    inbox.quarantine(tmp_path, [("1777363200000-aa.seg", 1, "a", b"x")])
    path = tmp_path / "quarantine" / "1777363200000-aa.jsonl"
    with path.open("ab") as file:
        file.write(b'{"offset": 2, "rea')
    inbox.quarantine(tmp_path, [("1777363200000-aa.seg", 2, "b", b"y")])
    assert orjson.loads(path.read_bytes().splitlines()[-1])["offset"] == 2


def test_a_blanked_line_is_passed_over(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.append([record(1), record(2), record(3)])
    one, two, _ = read(tmp_path)
    inbox.blank(tmp_path, one.segment, one.offset, two.offset)
    assert ids(read(tmp_path)) == [1, 3]
    assert f"{2:022}".encode() not in (tmp_path / one.segment).read_bytes()
