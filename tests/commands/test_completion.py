"""Completion: in real shells, of real names, and silent where anything is wrong."""

import os
import pty
import select
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from pushctl.commands import complete_line
from pushctl.store import Store
from tests.support import ROOT
from tests.support.program import environment, pushctl

TAGS = (
    "Abandoned basket 1",
    "Abandoned basket 2",
    "VIP",
    "50 % off",
    'it\'s "new" $now',
    "a:b",
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with ten thousand tags, a campaign, a trigger and a segment."""
    folder = tmp_path_factory.mktemp("completion") / "shop"
    (folder / "templates" / "welcome").mkdir(parents=True)
    (folder / "templates" / "welcome" / "message.toml").touch()
    (folder / "pushctl.toml").write_text(
        '[sites.shop]\n[segments]\nbuyers = "tag(\'VIP\')"\n[triggers.basket]\non = "x"'
    )
    Store(folder / "pushctl.db", create=True).close()
    connection = sqlite3.connect(folder / "pushctl.db")
    rows = [(name, name.casefold()) for name in (*TAGS, *(f"t{i}" for i in range(10_000)))]
    connection.executemany("INSERT INTO tags (name, folded) VALUES (?, ?)", rows)
    connection.execute(
        "INSERT INTO campaigns (name, status, template, audience, sources, created_at)"
        " VALUES ('Spring 2026: sale', 'finished', 'welcome', '', '', 1)"
    )
    connection.commit()
    connection.close()
    return folder


@pytest.fixture
def here(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(shop)
    monkeypatch.delenv("PUSHCTL_PROJECT", raising=False)
    yield shop


def offer(*words: str) -> list[str]:
    """What fish is offered for the last of *words*, without the meanings."""
    return [line.split("\t")[0] for line in complete_line.answer("fish", words).splitlines()]


def test_the_tree_is_up_to_date(generate: ModuleType) -> None:
    written = (ROOT / "pushctl/commands/completions/tree.json").read_text("utf-8")
    assert written == generate.tree(), "run: ./run python docs/generate.py"


def test_commands_and_options_have_their_meaning() -> None:
    assert "send\tSend a message to an audience." in complete_line.answer("zsh", ["se"])
    assert offer("campaigns", "ca") == ["cancel"]
    assert {"--tag", "--template"} <= set(offer("send", "--t"))
    assert offer("stats", "--cs") == ["--csv"]
    assert offer("init", "") == [":files"]
    assert offer("completion", "show", "") == ["bash", "zsh", "fish"]


def test_names_of_the_project_are_known(here: Path) -> None:
    assert offer("send", "--tag", "aband") == list(TAGS[:2]), "case does not matter"
    assert offer("send", "--tag=Abandoned\\ basket\\ 1") == ["--tag=Abandoned basket 1"]
    assert len(offer("send", "--tag", "")) == len(TAGS) + 10_000
    assert offer("campaigns", "show", "") == ["Spring 2026: sale"]
    assert "welcome" in offer("templates", "preview", "")
    assert offer("templates", "new", "") == [], "that name is a new one"
    assert offer("triggers", "show", "") == ["basket"]
    assert offer("segments", "count", "") == offer("segments", "count", "x", "") == ["buyers"]
    assert offer("plan", "--site", "") == ["shop"]
    assert offer("subscribers", "tag", "VI") == ["VIP"]
    assert offer("send", "--", "--t") == [], "no option comes after --"
    assert offer("--project", str(here), "triggers", "show", "") == ["basket"]
    connection = sqlite3.connect(here / "pushctl.db")
    connection.execute("INSERT INTO tags (name, folded) VALUES ('z\x1b[31m', 'z')")
    connection.commit()
    assert offer("send", "--tag", "z") == [], "a terminal would obey it"
    connection.execute("DELETE FROM tags WHERE folded = 'z'")
    connection.commit()
    connection.close()
    assert offer("--project", "/nowhere", "triggers", "show", "") == []


def test_it_is_silent_where_names_cannot_be_read(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("send", "--tag", "V")
    copy = Path(shutil.copytree(here, tmp_path / "copy"))
    monkeypatch.chdir(copy)
    database = copy / "pushctl.db"
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("BEGIN EXCLUSIVE")
    assert offer(*words) == [], "locked"
    connection.execute("ROLLBACK")
    assert offer(*words) == ["VIP"]
    connection.execute("DELETE FROM _sqlite_migrations WHERE name LIKE 'm04%'")
    assert offer(*words) == [], "another schema"
    connection.close()
    database.write_bytes(b"no database")
    assert offer(*words) == []
    database.unlink()
    assert offer(*words) == [] and not database.exists()
    (copy / "pushctl.toml").write_text("[[")
    assert offer(*words) == offer("triggers", "show", "") == []
    env = environment({"_PUSHCTL_COMPLETE": "bash"})
    done = subprocess.run(
        [sys.executable, "-m", "pushctl", "one word too few"], env=env, capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("value", [*TAGS, "a\\b", "`x`", "!", "*", "ünï"])
@pytest.mark.parametrize("quote", ["", '"', "'"])
def test_a_quoted_value_is_one_word_again(value: str, quote: str) -> None:
    text = quote + complete_line.quote_for_bash(value, quote) + quote
    words, left = complete_line.split(f"pushctl send --tag {text}")
    assert words[-1] == value and not left


def test_the_program_is_not_loaded(shop: Path) -> None:
    """That is what keeps it below a tenth of a second: Typer alone takes as long."""
    code = (
        "import sys; from pushctl.commands import complete_line\n"
        "assert 'VIP\\n' == complete_line.answer('bash', ['pushctl send --tag VI', 'VI'])\n"
        "print(sorted({'typer', 'rich', 'sqlite_utils', 'numpy', 'jinja2'} & {*sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=shop,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.stdout == "[]\n", done.stderr


SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
PREPARE = {
    "bash": "PS1='> '; source {}",
    "zsh": "PS1='> '; bindkey -e; autoload -Uz compinit && compinit -u -D; source {}",
    "fish": "function fish_prompt; echo '> '; end; source {}",
}


TYPED = {
    "send --tag Abandoned\\ basket\\ 1": ["send", "--tag", "Abandoned basket 1"],
    "campaigns show Spr": ["campaigns", "show", "Spring 2026: sale"],
    "subscribers tag it": ["subscribers", "tag", 'it\'s "new" $now'],
    "complet": ["completion"],
}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes_names_with_spaces(shell: str, shop: Path, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here (Debian: apt install {shell})")
    programs, words = tmp_path / "bin", tmp_path / "words"
    programs.mkdir()
    _write_program(programs / "pushctl", f'exec "{sys.executable}" -m pushctl "$@"')
    # It writes down the words of a line, as the shell has read them.
    _write_program(
        programs / "note", f"printf '%s\\0' \"$@\" > {words}.new; mv {words}.new {words}"
    )
    script = tmp_path / "script"
    script.write_text(pushctl("completion", "show", shell).out)
    path = f"{programs}:{os.environ['PATH']}"
    env = environment({"PATH": path, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)})
    with _open(SHELLS[shell], shop, env) as terminal:
        os.write(terminal, f"{PREPARE[shell].format(script)}\r".encode())
        for typed, meant in TYPED.items():
            # Tab, then to the line's beginning.
            os.write(terminal, f"pushctl {typed}\t\x01note \r".encode())
            seen = _wait_for(words, terminal)
            assert words.exists(), seen
            assert words.read_text().split("\0")[1:-1] == meant
            words.unlink()


def _write_program(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


@contextmanager
def _open(command: list[str], folder: Path, env: dict[str, str]) -> Iterator[int]:
    """Run an interactive shell on a terminal of its own."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execvpe(command[0], command, env)
    try:
        yield terminal
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(terminal)


def _wait_for(file: Path, terminal: int) -> str:
    """Read what the shell shows until *file* is there, a minute at most."""
    seen = b""
    end = time.monotonic() + 60
    while time.monotonic() < end and not file.exists():
        if select.select([terminal], [], [], 0.1)[0]:
            seen += os.read(terminal, 65_536)
    return seen.decode("utf-8", "replace")


def test_installing_writes_where_shells_look(tmp_path: Path) -> None:
    for shell, place in (
        ("bash", ".local/share/bash-completion/completions/pushctl"),
        ("zsh", ".local/share/zsh/site-functions/_pushctl"),
        ("fish", ".config/fish/completions/pushctl.fish"),
    ):
        run = pushctl("completion", "install", shell, HOME=str(tmp_path))
        assert run.code == 0 and f"wrote {tmp_path / place}" in run.err
        assert (tmp_path / place).read_text() == pushctl("completion", "show", shell).out
