"""Lines that are drawn again and again in their place, and keys that are pressed meanwhile."""

import select
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from pushctl.output.streams import clean, fit, has_colours, is_plain, lines

Line = tuple[str, str | None]  # its text, and its style

_PLAIN_EVERY = 5  # looks, where each is read aloud or goes to a file


def watch(
    look: Callable[[], Sequence[Line] | None],
    press: Callable[[str], str | None],
    seconds: float,
) -> None:
    """
    Draw what *look* returns every *seconds*, until it is None.

    *press* gets each key that is pressed; it returns what to say of it, or None. "q" and
    Ctrl-C end it. Where stdout is no terminal, or with --plain, the first line is printed
    now and then, and no key is read.
    """
    if not sys.stdout.isatty() or is_plain():
        _print_now_and_then(look, seconds)
        return
    from rich.live import Live
    from rich.text import Text

    from pushctl import terminal

    console = terminal.console(sys.stdout, has_colours(sys.stdout))

    def draw(shown: Sequence[Line], said: str | None) -> Text:
        parts = [*shown, *([(said, "bold")] if said else [])]
        text = Text(overflow="ellipsis", no_wrap=True)
        for number, (line, style) in enumerate(parts):
            text.append(("\n" if number else "") + clean(line), style=style or "")
        return text

    said: str | None = None
    with _read_keys() as wait, Live(console=console, auto_refresh=False) as live:
        while (shown := look()) is not None:
            live.update(draw(shown, said), refresh=True)
            key = wait(seconds)
            if key == "q":
                return
            if key is not None:
                said = press(key)


def _print_now_and_then(look: Callable[[], Sequence[Line] | None], seconds: float) -> None:
    import time

    last, turn = "", 0
    while (shown := look()) is not None:
        first = clean(shown[0][0]) if shown else ""
        if first != last and turn % _PLAIN_EVERY == 0:
            lines([fit(first, sys.stdout)])
            sys.stdout.flush()
            last = first
        turn += 1
        time.sleep(seconds)


@contextmanager
def _read_keys() -> Iterator[Callable[[float], str | None]]:
    """Yield a function that waits so many seconds for a key; None: none was pressed."""
    import time

    if sys.stdin is None or not sys.stdin.isatty():

        def sleep(seconds: float) -> None:
            time.sleep(seconds)

        yield sleep
        return
    import os
    import termios
    import tty

    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)

    def wait(seconds: float) -> str | None:
        ready, _, _ = select.select([handle], [], [], seconds)
        return os.read(handle, 1).decode("ascii", "replace") if ready else None

    try:
        tty.setcbreak(handle)  # Ctrl-C still ends it
        yield wait
    finally:
        with suppress(termios.error):
            termios.tcsetattr(handle, termios.TCSADRAIN, before)
