"""
Draw what a command shows on a terminal, twice: all of it, and a part.

    ./run python docs/picture.py all.svg part.svg FROM TO COMMAND ...

The command runs on a real terminal (a pty); rich draws what came as an SVG. The part goes
from the line that begins with FROM to the one before that which begins with TO.
"""

import io
import os
import pty
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 108


def record(command: list[str]) -> str:
    """Return everything that *command* writes to its terminal."""
    taken = bytearray()

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 65536)
        taken.extend(data)
        return data

    os.environ |= {"COLUMNS": str(COLUMNS), "LINES": "200", "TERM": "xterm-256color"}
    pty.spawn(command, read)
    return taken.decode(errors="replace")


def last_state(text: str) -> str:
    """Return *text* as it stands in the end: bars that were drawn over are left out."""
    lines = []
    text = re.sub(r"\x1b\[\?25[lh]", "", text).replace("\r\n", "\n")
    for line in text.split("\n"):
        # A bar returns to the line's start and draws itself anew.
        line = re.split(r"\r|\x1b\[2K", line)[-1]
        ups = len(re.findall(r"\x1b\[1A", line))
        del lines[len(lines) - ups :]
        lines.append(re.sub(r"\x1b\[[0-9]*[A-HJK]", "", line))
    return "\n".join(lines).rstrip("\n")


def part(text: str, begin: str, end: str) -> str:
    """Return *text* from the line that begins with *begin* up to the one with *end*."""
    lines = text.split("\n")
    plain = [Text.from_ansi(line).plain for line in lines]
    first = next(at for at, line in enumerate(plain) if line.startswith(begin))
    last = next(at for at, line in enumerate(plain) if line.startswith(end))
    return "\n".join(lines[first:last]).strip("\n")


def draw(text: str, title: str, file: Path) -> None:
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for line in text.split("\n"):
        console.print(Text.from_ansi(line), soft_wrap=False)
    svg = console.export_svg(title=title)
    # The viewer's own monospace font: no request to anybody's server.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    file.write_text(re.sub(r"Fira Code", "monospace", svg))


def main() -> None:
    whole, some, begin, end, *command = sys.argv[1:]
    shown = last_state(record(command))
    title = " ".join([Path(command[0]).name, *command[1:4]])
    draw(shown, title, Path(whole))
    draw(part(shown, begin, end), title, Path(some))


if __name__ == "__main__":
    main()
