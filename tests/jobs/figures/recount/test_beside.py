"""A part of a check in a process of its own: its result, its error, its end."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from pushctl.errors import NotFoundError, PushctlError
from pushctl.jobs.figures.columns import campaign_counts
from pushctl.jobs.figures.recount import beside, check_kept
from pushctl.jobs.figures.tables import funnels
from pushctl.store import Store
from tests.jobs.figures.columns.test_message_cache import sent_twice
from tests.jobs.figures.recount.test_check_kept import falsify
from tests.support import database
from tests.support.sending import Field

Advance = Callable[[int], object]


def count_to_three(store: Store, advance: Advance) -> int:
    for _ in range(3):
        advance(1)
    return int(store.connection.execute("SELECT 40 + 2").fetchone()[0])


def find_nothing(store: Store, advance: Advance) -> int:
    raise NotFoundError("it is not there")


def fail(store: Store, advance: Advance) -> int:
    return 1 // 0


def die(store: Store, advance: Advance) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    database.create(tmp_path / "pushctl.db").close()
    return tmp_path / "pushctl.db"


def test_its_result_comes_back(path: Path) -> None:
    with beside.start(path, count_to_three, 3) as other:
        assert other.wait(campaign_counts.no_progress) == 42


@pytest.mark.parametrize(
    ("work", "kind", "said"),
    [
        (find_nothing, NotFoundError, "it is not there"),
        (fail, RuntimeError, "ZeroDivisionError"),
        (die, PushctlError, "ended by itself .exit code -9"),
    ],
)
def test_what_fails_there_fails_here(
    path: Path, work: beside.Work[int], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said), beside.start(path, work, 1) as other:
        other.wait(campaign_counts.no_progress)


def test_of_many_messages_columns_are_checked_beside_answers(
    sender: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_kept, "_MANY", 0)
    field = sent_twice(sender)
    funnels.load_funnel(field.store)
    assert check_kept.check(field.store, field.config) == (2, [])
    falsify(field.store, "counts", "about = json_set(about, '$.clicked', 4)")
    _, found = check_kept.check(field.store, field.config)
    assert [str(each) for each in found] == ["one: clicked: 4 kept, 1 counted"]
    assert check_kept.check(field.store, field.config) == (2, [])
