"""Power lost, disks that fail: databases are sound, nobody is told twice, work goes on."""

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl.demo.pushservice import PushService
from tests.faults import failing_disk, power_loss, real_disk
from tests.support import power

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("power")
    try:
        power.compile_shim(folder)
    except power.NoCompilerError as error:
        pytest.skip(str(error))
    return folder


@pytest.fixture(scope="module")
def served(home: Path) -> Iterator[PushService]:
    with PushService(home / "service", checks=False) as service:
        yield service


@pytest.fixture(scope="module")
def day(home: Path, served: PushService) -> power_loss.Day:
    return power_loss.Day(home, served)


def test_the_record_has_a_days_writes_syncs_and_names(day: power_loss.Day) -> None:
    kinds = power.count_kinds(day.steps)
    assert kinds.keys() == set("CDFMRTUW")
    assert kinds["F"] > 20 and kinds["W"] > 100
    words = [step.first.split(" ")[0] for step in day.steps if step.kind == "M"]
    assert words.count("taken") == words.count("asked") == power_loss.REQUESTS
    assert words.count("told") == power_loss.PEOPLE


def test_after_a_power_loss_nothing_is_lost_and_nobody_is_told_twice(
    day: power_loss.Day, served: PushService
) -> None:
    """`-m tests.faults.power_loss --points 1000` is the long form."""
    figures = power_loss.replay(day, 10, 20261130, served)
    assert (figures["faulty"], figures["faults"]) == (0, [])


def test_a_disk_that_does_not_sync_is_found_out(
    day: power_loss.Day, served: PushService
) -> None:
    """So the proof can fail: without syncs a power loss takes what was acknowledged."""
    figures = power_loss.replay(day, 6, 4, served, honest=False)
    assert figures["faulty"]


def test_a_failing_disk_is_said_and_work_goes_on_once_it_is_mended(
    home: Path, served: PushService
) -> None:
    """`-m tests.faults.failing_disk --points 500` is the long form."""
    figures = failing_disk.run(3, 5, home, served, each=True)
    assert (figures["faulty"], figures["faults"]) == (0, [])


def test_what_is_synced_stays_and_what_is_not_is_torn_by_sectors() -> None:
    one = power.File()
    one.pending.append(("W", 0, b"a" * 1024))
    one.sync()
    one.pending.append(("W", 0, b"b" * 1536))
    left = {one.lose(random.Random(seed)) for seed in range(200)}
    assert {b"a" * 1024, b"b" * 1536} <= left
    for content in left:
        for start in range(0, len(content), power.SECTOR):
            assert len(set(content[start : start + power.SECTOR])) == 1
    torn = [it for it in left if b"a" in it and b"b" in it]
    assert len(torn) > 2, "in any order: also the second sector without the first"


def test_names_are_kept_once_their_folder_was_synced(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    disk = power.Disk(root)
    disk.replay(power.Step("C", 7, 0, f"{root}/new", b""))
    disk.replay(power.Step("W", 7, 0, "", b"text"))
    disk.replay(power.Step("F", 7, 0, "", b""))

    def lose(seed: int) -> list[str]:
        target = tmp_path / f"left-{seed}-{len(list(tmp_path.iterdir()))}"
        target.mkdir()
        disk.lose_power(target, random.Random(seed))
        return sorted(each.name for each in target.iterdir())

    assert {tuple(lose(seed)) for seed in range(20)} == {(), ("new",)}
    disk.replay(power.Step("R", 0, 0, f"{root}/new", f"{root}/name".encode()))
    disk.replay(power.Step("D", 0, 0, str(root), b""))
    assert {tuple(lose(seed)) for seed in range(20)} == {("name",)}


def test_a_real_disk_that_gets_read_only_or_full_loses_nothing(
    tmp_path: Path, served: PushService
) -> None:
    try:
        found = real_disk.run(2, random.SystemRandom().randrange(1 << 30), tmp_path, served)
    except real_disk.NoDiskError as error:
        pytest.skip(str(error))
    assert found["faults"] == [], found


def test_a_real_disk_is_repaired_though_another_program_keeps_it_mounted(
    tmp_path: Path,
) -> None:
    try:
        with real_disk.open_disk(tmp_path) as disk:
            command = ["unshare", "--mount", "sh", "-c", "echo; exec cat"]
            with subprocess.Popen(command, stdin=-1, stdout=-1) as other:
                assert other.stdout and other.stdin
                other.stdout.readline()
                disk.spoil()
                disk.repair()
                (disk.place / "new").write_text("it can be written again")
                other.stdin.close()
    except real_disk.NoDiskError as error:
        pytest.skip(str(error))
