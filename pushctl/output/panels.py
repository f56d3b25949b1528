"""Texts in frames, as a message looks."""

import sys
from collections.abc import Sequence
from typing import NamedTuple

from pushctl.output.streams import clean, has_colours, is_plain, lines, print_text

# The renderer's own, round the values of right-to-left messages: nothing to be replaced.
_ISOLATES = dict.fromkeys(range(0x2066, 0x206A))


def panel(
    text: str, title: str = "", *, stdout: bool = False, right_to_left: bool = False
) -> None:
    """
    Print *text* in a frame on a terminal, else as plain lines; to stderr, or to *stdout*.
    """
    stream, text = sys.stdout if stdout else sys.stderr, text.translate(_ISOLATES)
    if not stream.isatty() or is_plain():
        print_text(f"{title}\n{text}" if title else text, stream, None)
        return
    from pushctl import terminal

    frame = terminal.frame(clean(text, lines=True), clean(title), right_to_left)
    terminal.console(stream, has_colours(stream)).print(frame)


Line = tuple[str, str | None]  # its text, and a style of ``say``


class Frame(NamedTuple):
    """A titled frame: its lines, and what stands below it."""

    title: str
    lines: Sequence[Line]
    notes: Sequence[Line]


def frames(frames: Sequence[Frame], *, right_to_left: bool = False) -> None:
    """Print *frames* to stdout: on a terminal side by side, as many as fit, else as lines."""
    made = [Frame(clean(it.title), _tidy(it.lines), _tidy(it.notes)) for it in frames]
    if not sys.stdout.isatty() or is_plain():
        for title, texts, notes in made:
            print(title, *(f"  {text}" for text, _ in texts), sep="\n")
            lines(f"  - {note}" for note, _ in notes)
        return
    from pushctl import terminal

    console = terminal.console(sys.stdout, has_colours(sys.stdout))
    with console.capture() as drawn:
        console.print(terminal.frames(made, console.width, right_to_left))
    # What is copied from a terminal should have no blanks at its ends.
    print("\n".join(line.rstrip() for line in drawn.get().rstrip().split("\n")), flush=True)


def _tidy(lines: Sequence[Line]) -> list[Line]:
    return [(clean(text.translate(_ISOLATES)), style) for text, style in lines]
