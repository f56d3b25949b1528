"""A project of our own to try commands on, made by ``pushctl init``."""

import contextlib
import io
from pathlib import Path

from pushctl import cli

ORIGIN = "https://shop.example"
CONTACT = "push@shop.example.org"


def make(folder: Path, *options: str) -> Path:
    """Make a project in *folder* and return it; *options* go to ``init``."""
    plain = (f"--origin={ORIGIN}",) if not any(x.startswith("--site") for x in options) else ()
    shown = io.StringIO()
    # In this process: tests make many of them, and a start takes its time.
    with contextlib.redirect_stderr(shown):
        code = cli.run(["init", str(folder), *plain, f"--contact={CONTACT}", *options])
    assert code == 0, shown.getvalue()
    return folder


def add(folder: Path, text: str) -> None:
    """Write *text* below what stands in the project's pushctl.toml."""
    file = folder / "pushctl.toml"
    file.write_text(f"{file.read_text('utf-8')}\n{text}\n", "utf-8")
