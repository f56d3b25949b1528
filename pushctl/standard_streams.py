"""Standard input, output and errors as whoever started pushctl left them, made usable."""

import os
import sys
from io import TextIOWrapper
from typing import IO


def open_missing() -> None:
    """
    Open each standard stream that the caller closed on /dev/null.

    Else the next opened file gets its number, and the output that is meant for people.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            handle = os.open(os.devnull, os.O_RDWR)
            if handle != number:
                os.dup2(handle, number)
                os.close(handle)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def use_utf8() -> None:
    """Write UTF-8 into files and pipes, and "?" for letters that a terminal can't show."""
    answers = sys.stdout
    if not isinstance(answers, TextIOWrapper) or "utf" in answers.encoding.lower():
        return
    if answers.isatty():
        answers.reconfigure(errors="replace")
    else:
        answers.reconfigure(encoding="utf-8")


def empty_buffers() -> None:
    """
    Empty both streams' buffers, into /dev/null where their files can't be written.

    The interpreter flushes once more when it ends, and a failure there makes the exit
    code 120 (Python 3.12 and older ignore a full disk, 3.13 does not).
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def has_colours(stream: IO[str]) -> bool:
    """See https://no-color.org."""
    return (
        stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def count_columns() -> int:
    """Return the width of the terminal as ``shutil.get_terminal_size``, which loads slowly."""
    try:
        columns = int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        columns = 0
    if columns <= 0:
        try:
            columns = os.get_terminal_size(sys.__stdout__.fileno()).columns  # type: ignore[union-attr]
        except (AttributeError, ValueError, OSError):
            columns = 0
    return columns or 80
