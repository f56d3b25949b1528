"""A project of our own to try commands on, made by ``pushctl init``."""

import contextlib
import io
import shutil
from functools import lru_cache
from pathlib import Path

from pushctl import cli
from tests.support import keep_folder

ORIGIN = "https://shop.example"
CONTACT = "push@shop.example.org"
# What send says of a project as init makes it.
NO_ICON = "Warning: pushctl.toml: sites.shop.brand: no icon (icon)\n"


def make(folder: Path, *options: str) -> Path:
    """
    Make a project in *folder* and return it; *options* go to ``init``.

    It is a copy of one that ``init`` has made with the same options: tests make hundreds,
    and their keys need not differ.
    """
    if folder.exists() and any(folder.iterdir()):
        return initialise(folder, *options)
    return Path(shutil.copytree(_made(options), folder, dirs_exist_ok=True))


def initialise(folder: Path, *options: str) -> Path:
    """Make a project in *folder* by ``init`` itself, with keys of its own, and return it."""
    plain = (f"--origin={ORIGIN}",) if not any(x.startswith("--site") for x in options) else ()
    shown = io.StringIO()
    # In this process: a start takes its time.
    with contextlib.redirect_stderr(shown):
        code = cli.run(["init", str(folder), *plain, f"--contact={CONTACT}", *options])
    assert code == 0, shown.getvalue()
    return folder


@lru_cache(maxsize=32)
def _made(options: tuple[str, ...]) -> Path:
    return initialise(keep_folder("pushctl-project-"), *options)


def add(folder: Path, text: str) -> None:
    """Write *text* below what stands in the project's pushctl.toml."""
    file = folder / "pushctl.toml"
    file.write_text(f"{file.read_text('utf-8')}\n{text}\n", "utf-8")
