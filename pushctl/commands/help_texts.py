"""
What ``--help`` prints, without loading the program: ``helps/`` has its own texts.

docs/generate.py writes them, at the two widths that most see: of 80 columns, which pipes get
too, and of 100, beyond which no help grows. A test holds them to what the program prints.
Whatever else is asked is answered by the program itself.
"""

import re
from collections.abc import Sequence
from pathlib import Path

WIDTHS = (80, 100)
_FOLDER = Path(__file__).parent / "helps"
_MARK = "\f"  # before the words of each text

_HEADING = r"^(Usage|[A-Z]\w+):"
_NAME = r"^  (-\S+|[a-z][a-z-]+)(?=,? {2,}| --| <|$)"
# An argument's type is left out of the help; blanks keep the columns in place.
_TYPE = r"(?<=^  )([^-\s]\S*)( <(?:str|path|list\[str\])>)"


def hide_types(text: str) -> str:
    return re.sub(_TYPE, lambda found: found[1] + " " * len(found[2]), text, flags=re.M)


def paint(text: str) -> str:
    """Return a help text with colours, for a terminal."""
    text = re.sub(_HEADING, "\x1b[1m\\1:\x1b[0m", text, flags=re.M)
    return re.sub(_NAME, "  \x1b[36m\\1\x1b[0m", text, flags=re.M)


def find(words: Sequence[str], columns: int) -> str | None:
    """Return the help of a command on a terminal so wide; None: the program has to say it."""
    if columns != WIDTHS[0] and columns < WIDTHS[-1]:
        return None
    file = _FOLDER / f"{min(columns, WIDTHS[-1])}.txt"
    try:
        texts = file.read_text("utf-8")
    except OSError:
        return None
    _, _, rest = texts.partition(f"{_MARK}{' '.join(words)}\n")
    return rest.partition(_MARK)[0] or None


def join(texts: dict[str, str]) -> str:
    """Return a file of ``helps/``: each text below the words of its command."""
    return "".join(f"{_MARK}{words}\n{text}" for words, text in texts.items())
