"""
The short path of `pushctl sweep`, for a minute in which there is nothing to do, of a shell
that completes a line, and of whoever asks for help or the version.

Cron runs the first every minute, somebody waits for the others. Only the standard library
and what these need are loaded here; in all other cases the whole program runs.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from pushctl import __version__, standard_streams
from pushctl.commands import unchecked_config
from pushctl.errors import BusyError, UsageError


def answer(arguments: Sequence[str]) -> int | None:
    """
    Return the exit code of a sweep that has nothing to do, or that another one blocks.

    None: the whole program is needed.
    """
    folder = _parse(arguments)
    if folder is None or unchecked_config.is_set_up():
        return None
    try:
        file = unchecked_config.find(folder)
    except OSError:
        return None  # the whole program names the folder
    return None if file is None else _sweep(file)


def _parse(arguments: Sequence[str]) -> Path | None:
    """Return the folder of a plain ``[--project FOLDER] sweep``, else None."""
    match list(arguments):
        case ["sweep"]:
            return Path(os.environ.get("PUSHCTL_PROJECT", "."))
        case ["--project", folder, "sweep"]:
            return Path(folder)
    return None


def _sweep(file: Path) -> int | None:
    import time
    import tomllib

    from pushctl import lock
    from pushctl.store import clocks

    try:
        table = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
        database = file.parent / table.get("database", "pushctl.db")
        inbox = file.parent / table.get("inbox", "inbox")
        ping_url = table.get("sweep", {}).get("ping_url")
        if not database.exists():  # one in a home folder ("~"), perhaps
            return None
        metrics = _list_metrics(table, file.parent)
        now = time.time_ns() // 1_000_000
        if not _is_idle(database, inbox, file, now):
            # What a sweep needs takes half a second to load: first see whether it may.
            free = lock.take_early(clocks.name_lock(database))
            return None if free else BusyError.exit_code
    except (OSError, ValueError, TypeError, AttributeError):
        return None  # the whole program reports it better
    if metrics:
        from pushctl import exposition

        for each in metrics:
            exposition.renew(each, now / 1000)
    if ping_url:
        from pushctl.jobs.webhooks import ping

        ping.send(str(ping_url), good=True)
    return 0


def _list_metrics(table: Mapping[str, Any], folder: Path) -> list[Path]:
    """Return the files whose time a sweep without work renews, as the whole program does."""
    found = []
    if textfile := table.get("metrics", {}).get("textfile"):
        found.append(folder / Path(textfile).expanduser())
    if table.get("receiver", {}).get("metrics"):
        found.append(folder / "status" / "metrics.prom")
    return found


def _is_idle(database: Path, inbox: Path, file: Path, now: int) -> bool:
    from pushctl.store import KNOWN_MIGRATIONS, clocks
    from pushctl.store.idle import is_idle

    lock = clocks.name_lock(database)
    boot = clocks.read_boot()
    # The whole program reports a clock that leapt.
    if clocks.judge(lock, now, boot) is not clocks.Verdict.PLAUSIBLE:
        return False
    if not is_idle(database, inbox, file, KNOWN_MIGRATIONS, now):
        return False
    clocks.record_sweep(lock, now, boot)
    return True


def complete(shell: str, arguments: Sequence[str]) -> int:
    """Print what a shell may complete; nothing where anything is wrong."""
    from pushctl.commands import complete_line

    with suppress(Exception):
        text = complete_line.answer(shell, arguments)
        # output/ would take as long to load as all of this; a shell reads it, no person.
        with open(1, "wb", closefd=False) as answers:
            answers.write(text.encode("utf-8", "surrogateescape"))
    return 0


def tell(arguments: Sequence[str]) -> int | None:
    """
    Print the version, or a help as the program would; return the exit code.

    None: the whole program is needed. Raises OSError where nothing can be printed.
    """
    if list(arguments) == ["--version"]:
        text, stream, code = f"pushctl {__version__}\n", sys.stdout, 0
    elif not arguments or arguments[-1] in ("--help", "-h"):
        from pushctl.commands import help_texts

        # Without a command, the help is a mistake's answer.
        code, stream = (0, sys.stdout) if arguments else (UsageError.exit_code, sys.stderr)
        columns = standard_streams.count_columns()
        found = help_texts.find(arguments[:-1], columns)
        if found is None or sys.stdout.isatty() != stream.isatty():
            return None
        text = help_texts.paint(found) if standard_streams.has_colours(sys.stdout) else found
    else:
        return None
    with suppress(OSError) if stream is sys.stderr else nullcontext():
        stream.write(text)
        stream.flush()
    return code


def main() -> None:
    standard_streams.open_missing()
    # Who started us may have blocked signals, and we inherit that: no worker's end would be
    # noticed then, and nobody could end a watch in good order.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    shell = os.environ.get("_PUSHCTL_COMPLETE")
    if shell:
        sys.exit(complete(shell, sys.argv[1:]))
    arguments = sys.argv[1:]
    standard_streams.use_utf8()
    try:
        code = None if unchecked_config.is_set_up() else tell(arguments)
    except OSError as error:
        from pushctl.cli import fail

        fail(error)
    if code is None:
        code = answer(arguments)
    if code is not None:
        standard_streams.empty_buffers()
        sys.exit(code)
    from pushctl.cli import main as program

    program()
