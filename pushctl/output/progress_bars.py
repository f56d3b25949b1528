"""Progress bars on stderr."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

from pushctl.output.streams import clean, has_colours, is_plain, say


class Progress(Protocol):
    """The progress of long work. ``total`` may be set later, once it is known."""

    def advance(self, count: int = 1) -> None: ...

    def total(self, count: int) -> None: ...


class _Quiet:
    def advance(self, count: int = 1) -> None: ...

    def total(self, count: int) -> None: ...


@contextmanager
def progress(
    label: str, total: int | None = None, *, estimated: bool = False
) -> Iterator[Progress]:
    """Show a progress bar on a terminal's stderr, else nothing; *total* may be *estimated*."""
    if not sys.stderr.isatty():
        yield _Quiet()
        return
    if is_plain():
        say(f"{label} ...")
        yield _Quiet()
        return
    from pushctl import terminal

    where = terminal.console(sys.stderr, has_colours(sys.stderr))
    with ExitStack() as stack:
        try:
            bar: Progress = stack.enter_context(
                terminal.bar(where, clean(label), total, estimated)
            )
        except RuntimeError:  # no thread can be started to redraw it
            bar = _Quiet()
        yield bar
