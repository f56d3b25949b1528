"""push/journal: what a sending process leaves behind is read back, whole or cut."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushctl.errors import BusyError
from pushctl.model import Answer, Cause, Letter, Outcome
from pushctl.push import journal
from tests.support import ROOT

OUTCOMES = [
    Outcome(1, Answer.ACCEPTED, "201", 201, None, "https://push.test/m/1", 12),
    Outcome(2, Answer.GONE, "410 unsubscribed", 410, cause=Cause.GONE),
    Outcome(3, Answer.THROTTLED, "429 too many requests", 429, 60_000, None, 3),
    Outcome(4, Answer.IN_DOUBT, "timeout", None, None, None, 30_000, Cause.TIMEOUT),
    Outcome(2**40, Answer.ACCEPTED, "201", 201, None, "", 0),
]


def letters(*deliveries: int) -> list[Letter]:
    return [Letter(d, "", b"", b"", "", b"", 0, "normal", None) for d in deliveries]


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    with journal.Journal(tmp_path, "7", letters(1, 2)) as written:
        written.write_started([1, 2, 3, 4, 5, 2**40])
        written.write_answered(OUTCOMES)
    left = journal.recover(tmp_path, "7")
    assert left.outcomes == {outcome.delivery: outcome for outcome in OUTCOMES}
    assert left.started == {5}


def test_it_is_read_by_nobody_else(tmp_path: Path) -> None:
    with journal.Journal(tmp_path / "journal", "7", letters(1)):
        (file,) = (tmp_path / "journal").iterdir()
        assert file.stat().st_mode & 0o077 == 0
        assert (tmp_path / "journal").stat().st_mode & 0o077 == 0


def test_a_journal_cut_anywhere_gives_what_is_whole(tmp_path: Path) -> None:
    with journal.Journal(tmp_path, "7", letters(1)) as written:
        written.write_started([9])
        written.write_answered(OUTCOMES)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for size in range(len(whole) + 1):
        records = list(journal.read(whole[:size]))
        assert records == [9, *OUTCOMES][: len(records)]
    assert records == [9, *OUTCOMES]


_TEXT = st.text(max_size=80)
_OUTCOME = st.builds(
    Outcome,
    st.integers(0, 2**63),
    st.sampled_from(Answer),
    _TEXT,
    st.none() | st.integers(100, 999),
    st.none() | st.integers(0, 2**40),
    st.none() | _TEXT,
    st.integers(0, 2**31),
    st.none() | st.sampled_from(Cause),
)


@given(st.lists(_OUTCOME, max_size=5))
def test_any_outcome_survives(outcomes: list[Outcome]) -> None:
    assert list(journal.read(b"".join(map(journal._pack, outcomes)))) == outcomes


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(records: bytes) -> None:
    assert len(list(journal.read(records))) <= len(records)


# Two letters begun and five answers, as they were written before there were causes.
WITHOUT_CAUSES = bytes.fromhex(
    "01090000000000000001050000000000000002010000000000000000c900ffffffffffff"
    "ffff0c0000000300150032303168747470733a2f2f707573682e746573742f6d2f310202"
    "00000000000000019a01ffffffffffffffff000000001000ffff34313020756e73756273"
    "637269626564020300000000000000022e0160ea000000000000030000000c00ffff3330"
    "322072656469726563740204000000000000000a0000ffffffffffffffff307500001b00"
    "ffff636f6e6e656374696f6e206c6f73742077697468206f746865727302050000000000"
    "0000059301ffffffffffffffff000000000d00ffff343033206f74686572206b6579"
)


def test_what_an_earlier_version_wrote_is_read() -> None:
    """A process dies, and the program is upgraded before the next one reads it back."""
    assert list(journal.read(WITHOUT_CAUSES)) == [
        9,
        5,
        Outcome(1, Answer.ACCEPTED, "201", 201, None, "https://push.test/m/1", 12),
        Outcome(2, Answer.GONE, "410 unsubscribed", 410, cause=Cause.GONE),
        Outcome(3, Answer.RETRY, "302 redirect", 302, 60_000, None, 3, Cause.REDIRECT),
        Outcome(
            4,
            Answer.IN_DOUBT,
            "connection lost with others",
            latency=30_000,
            cause=Cause.CONNECTION_LOST_WITH_OTHERS,
        ),
        Outcome(5, Answer.REFUSED, "403 other key", 403, cause=Cause.SUBSCRIPTION_REFUSED),
    ]


def test_a_cause_that_a_later_version_wrote_is_some_other() -> None:
    record = journal._pack(Outcome(1, Answer.RETRY, "?", cause=Cause.TIMEOUT))
    (outcome,) = journal.read(record.replace(b"timeout", b"moonset"))
    assert isinstance(outcome, Outcome)
    assert outcome.cause is Cause.OTHER


def test_runs_do_not_see_each_other(tmp_path: Path) -> None:
    for run, delivery in (("7", 1), ("77", 2), ("8", 3)):
        with journal.Journal(tmp_path, run, letters(delivery)) as written:
            written.write_started([delivery])
    assert journal.recover(tmp_path, "7").started == {1}
    assert journal.recover(tmp_path, "77").started == {2}


def test_a_committed_chunk_leaves_nothing(tmp_path: Path) -> None:
    first, second = letters(1, 2), letters(11, 12)
    for chunk in (first, second):
        with journal.Journal(tmp_path, "7", chunk) as written:
            written.write_started([letter.delivery for letter in chunk])
    journal.discard(tmp_path, "7", first[0].delivery)
    assert journal.recover(tmp_path, "7").started == {11, 12}
    journal.discard(tmp_path, "7", second[0].delivery)
    assert list(tmp_path.iterdir()) == []


def test_recovered_files_stay_until_they_are_discarded(tmp_path: Path) -> None:
    with journal.Journal(tmp_path, "7", letters(1)) as written:
        written.write_started([1])
    (tmp_path / "7.boot").write_text("not a journal")
    journal.recover(tmp_path, "7")
    left = journal.recover(tmp_path, "7")
    assert left.started == {1}
    left.discard()
    assert [file.name for file in tmp_path.iterdir()] == ["7.boot"]


def test_a_missing_folder_tells_nothing(tmp_path: Path) -> None:
    left = journal.recover(tmp_path / "missing", "7")
    assert (left.outcomes, left.started, left.files) == ({}, set(), ())


def test_a_living_writer_is_waited_for(tmp_path: Path) -> None:
    with journal.Journal(tmp_path, "7", letters(1)) as written:
        written.write_started([1])
        with pytest.raises(BusyError, match="still writes"):
            journal.recover(tmp_path, "7", wait=0.05)
    assert journal.recover(tmp_path, "7").started == {1}


_WRITER = """
import sys
from pathlib import Path
from pushctl.model import Answer, Letter, Outcome
from pushctl.push.journal import Journal
letter = Letter(1, "", b"", b"", "", b"", 0, "normal", None)
journal = Journal(Path(sys.argv[1]), "7", [letter])
journal.write_started([1, 2, 3])
journal.write_answered([Outcome(2, Answer.ACCEPTED, "201", 201)])
print("written", flush=True)
sys.stdin.read()
"""


def test_it_outlives_a_killed_writer(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"written\n"
    writer.kill()
    writer.communicate()
    left = journal.recover(tmp_path, "7")
    assert left.started == {1, 3}
    assert left.outcomes[2].reason == "201"


def test_a_full_disk_is_said_not_swallowed(tmp_path: Path) -> None:
    with journal.Journal(tmp_path, "7", letters(1)) as written:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, written._file)
        os.close(full)
        with pytest.raises(OSError, match="No space left"):
            written.write_started([1])


def test_what_a_full_disk_cut_off_garbles_nothing_behind_it(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with journal.Journal(tmp_path, "7", letters(1)) as written:
        written.write_started([1, 2])
        resource.setrlimit(resource.RLIMIT_FSIZE, (30, before[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                written.write_started([3, 4, 5])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        written.write_answered([Outcome(2, Answer.ACCEPTED, "201", 201)])
    left = journal.recover(tmp_path, "7")
    assert left.started == {1}
    assert left.outcomes.keys() == {2}


def test_a_record_of_an_answer_that_does_not_exist_ends_the_reading() -> None:
    record = journal._pack(Outcome(1, Answer.ACCEPTED, "201", 201))
    assert list(journal.read(record[:9] + b"\xff" + record[10:])) == []
