"""A project's folder may have any name, of any bytes, also where the locale is not UTF-8."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl import cli, quick
from pushctl.demo.pushservice import PushService
from pushctl.errors import InputError
from pushctl.jobs.project import cron, unit_files
from pushctl.jobs.project.unit_files import Part, Place
from pushctl.store import KNOWN_MIGRATIONS, idle
from tests.support import project, sending, users
from tests.support.program import PROGRAM, environment, pushctl

ODD = "a%20b?c#d; $e 'é\"م"
RAW = os.fsdecode(b"shop-\xe7\xff")  # Latin-1, say
NO_UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
COMMANDS = (
    ["check"],
    ["send", "--tag", "Sale", "--template", "sale", "--yes", "--name", "one"],
    ["sweep"],
    ["stats"],
    ["sql", "SELECT count(*) FROM deliveries"],
    ["report", "--output", "report.html"],
)


@pytest.fixture(scope="module")
def push_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PushService]:
    with PushService(tmp_path_factory.mktemp("service"), checks=False) as service:
        yield service


@pytest.mark.parametrize(
    ("name", "locale"), [(ODD, {}), (ODD, NO_UTF8), (RAW, {})], ids=["odd", "no UTF-8", "raw"]
)
def test_a_folder_of_any_name_does_all_work(
    name: str, locale: dict[str, str], tmp_path: Path, push_service: PushService
) -> None:
    folder = tmp_path / name
    field = sending.field(folder, push_service)
    sending.lead_to(folder, push_service)
    field.people(3, now=sending.soon())
    field.store.close()
    for words in COMMANDS:
        done = pushctl(*words, cwd=folder, anew=bool(locale), **locale)
        assert done.code == 0, (words, done.err)
    assert len(push_service.receipts()) >= 3


def test_a_sweep_without_work_looks_into_its_own_database(tmp_path: Path) -> None:
    """SQLite reads "%20" in an address as a blank, and "?" as the end of a path."""
    field = sending.field(tmp_path / ODD)
    config = field.config
    for _ in range(3):
        pushctl("sweep", cwd=config.folder)
    parts = (config.database, config.inbox, config.file)
    assert idle.is_idle(*parts, KNOWN_MIGRATIONS, sending.soon())
    field.store.close()


def test_a_crontab_of_other_bytes_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "crontab.txt"
    kept.write_bytes(b"# caf\xe9\n0 0 * * * true\n")
    program = tmp_path / "crontab"
    program.write_text(f'#!/bin/sh\nif [ "$1" = -l ]; then cat {kept}; else cat > {kept}; fi\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    project = Path(f"/srv/{RAW}")
    assert cron.install_crontab(project, ["/usr/bin/pushctl"])
    assert b"--project '/srv/shop-\xe7\xff' sweep" in kept.read_bytes()
    assert not cron.install_crontab(project, ["/usr/bin/pushctl"])
    assert cron.remove_crontab(project)
    assert kept.read_bytes() == b"# caf\xe9\n0 0 * * * true\n"


def test_a_unit_has_one_name_whatever_the_locale_and_takes_utf8_alone() -> None:
    place = Place(Path(f"/srv/{RAW}"), ["/usr/bin/pushctl"], "anna")
    assert unit_files.name_unit(Part.SWEEP, place.project).startswith("pushctl-sweep-shop-")
    with pytest.raises(InputError, match="no UTF-8"):
        unit_files.render(place, [Part.SWEEP])


@pytest.mark.parametrize("verb", ["sweep", "stats"])
def test_a_folder_that_is_gone_is_told_in_one_line(tmp_path: Path, verb: str) -> None:
    """Cron's `cd` was done before somebody removed or replaced the folder."""
    run = subprocess.run(
        ["sh", "-c", 'mkdir "$0" && cd "$0" && rmdir "$0" && exec "$@"', tmp_path / "lost",
         *PROGRAM, verb],
        capture_output=True, text=True, env=environment(), check=False,
    )  # fmt: skip
    assert run.returncode == 3
    assert run.stderr.startswith("Error: the folder that this was started in is not there")
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.skipif(not users.IS_ROOT, reason="root becomes somebody who may not read it")
@pytest.mark.parametrize("verb", ["sweep", "stats"])
def test_a_folder_that_may_not_be_entered_is_named(tmp_path: Path, verb: str) -> None:
    project.make(tmp_path / "project")
    tmp_path.chmod(0o700)
    words = ["--project", str(tmp_path / "project"), verb]
    with (tmp_path / "said").open("w") as said:

        def work() -> None:
            sys.stderr = said
            code = quick.answer(words)
            code = cli.run(words) if code is None else code
            said.flush()
            assert code == 3

        (someone,) = users.pick(1)
        assert users.run_as(someone, someone.pw_gid, work) == 0
    text = (tmp_path / "said").read_text()
    assert text.startswith(f"Error: {tmp_path / 'project'}")
    assert "Permission denied. Check its owner" in text
