"""A page of documentation: drawn and in a pager on a terminal, as it is elsewhere."""

import os
import re
import shlex
import shutil
import subprocess
import sys

from pushctl.output import streams

MOST_COLUMNS = 100  # longer lines are hard to read


def page(markdown: str) -> None:
    """Show a page of Markdown; the pager is $PAGER, else less."""
    if not sys.stdout.isatty() or streams.is_plain():
        streams.answer(markdown.rstrip())
        return
    from pushctl import terminal

    # Its neighbours are named by their links already, and pictures can't be shown.
    markdown = re.sub(r"!?\[([^\]]+)\]\((?!https?:)[^)]*\)", r"\1", markdown)
    width = min(shutil.get_terminal_size().columns, MOST_COLUMNS)
    drawn = terminal.open_document(markdown, width, streams.has_colours(sys.stdout))
    with drawn.console.capture() as kept:
        drawn.console.print(drawn.markdown)
    text = kept.get()
    words = shlex.split(os.environ.get("PAGER", "less"))
    if not words or shutil.which(words[0]) is None:
        sys.stdout.write(text)
        return
    # less: colours as they are, and no waiting for a page that fits the screen.
    variables = {"LESS": "FRX", **os.environ}
    subprocess.run(words, input=text, text=True, env=variables, check=False)
