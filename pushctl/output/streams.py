"""Single lines: answers to stdout, all else to stderr, cleaned and wrapped."""

import sys
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from typing import IO, BinaryIO

from pushctl import standard_streams
from pushctl.rules import wording

clean = wording.clean
has_colours = standard_streams.has_colours

_plain = False  # --plain: for screen readers


def set_plain() -> None:
    """Draw nothing from now on: rows as lines of "name: value", charts as sentences."""
    global _plain
    _plain = True


def is_plain() -> bool:
    return _plain


def say(text: str, style: str | None = None) -> None:
    """Print *text* to stderr; *style* is bold, dim, red, green or yellow."""
    print_text(fit(text, sys.stderr), sys.stderr, style)


def propose(text: str, style: str | None = None) -> None:
    """Print a sentence of a dry run to stdout, wrapped where a person reads it."""
    print_text(fit(text, sys.stdout), sys.stdout, style)


def answer(text: str, style: str | None = None, mark: str = "") -> None:
    """Print an answer to stdout; *style* is for its *mark* alone, if it has one."""
    print_text(text, sys.stdout, style, mark)


def lines(texts: Iterable[str]) -> None:
    """Print lines to stdout as they come; they are clean already."""
    sys.stdout.writelines(f"{text}\n" for text in texts)


def open_raw() -> BinaryIO:
    """Return stdout for bytes that are no lines: a file's content."""
    sys.stdout.flush()
    return sys.stdout.buffer


def warn(text: str) -> None:
    _print_marked("Warning:", text, "yellow")


def error(text: str) -> None:
    _print_marked("Error:", text, "red")


def _print_marked(mark: str, text: str, style: str) -> None:
    # A whole sentence in yellow can't be read on a light background.
    print_text(fit(f"{mark} {text}", sys.stderr), sys.stderr, style, mark)


def fit(text: str, stream: IO[str], indent: int | None = None) -> str:
    """
    Wrap *text* where *stream* is a terminal.

    Continued lines begin *indent* columns in, else below their line's first letter.
    """
    if not stream.isatty():
        return text
    import shutil

    return wording.wrapped(text, shutil.get_terminal_size().columns, indent)


_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def paint(text: str, style: str | None, stream: IO[str]) -> str:
    if style is None or not text or not has_colours(stream):
        return text
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def print_text(text: str, stream: IO[str], style: str | None, mark: str = "") -> None:
    plain = clean(text, lines=True)
    mark = mark if mark and plain.startswith(mark) else plain
    with suppress(OSError) if stream is sys.stderr else nullcontext():
        print(paint(mark, style, stream) + plain.removeprefix(mark), file=stream, flush=True)


def gap() -> None:
    """Print an empty line between two answers, on a terminal only."""
    if sys.stdout.isatty():
        print()
