"""Questions to the person at the terminal."""

import sys
from collections.abc import Callable

from pushctl.errors import UsageError
from pushctl.output.streams import clean, paint, say


def confirm(question: str, yes: bool = False) -> bool:
    """Ask for a yes unless *yes* (--yes) is set; raises UsageError without a terminal."""
    if yes:
        return True
    _need_terminal(f"{question} There is no terminal for the answer; add --yes to continue.")
    return _read(f"{question} [y/N] ").strip().casefold() in ("y", "yes")


def ask(
    question: str,
    default: str | None = None,
    fault: Callable[[str], str | None] = lambda answer: None,
) -> str:
    """
    Ask until there is an answer without *fault*; an empty answer is *default*.

    Raises UsageError without a terminal.
    """
    _need_terminal(f"{question} There is no terminal for the answer; give it as an option.")
    hint = f" [{default}]" if default else ""
    while True:
        given = _read(f"{question}{hint} ").strip() or default
        if given is not None:
            wrong = fault(given)
            if wrong is None:
                return given
            say(f"  {wrong}")


def ask_unseen(question: str) -> str:
    """Ask for a secret, which is not shown; raises UsageError without a terminal."""
    from getpass import getpass

    _need_terminal(f"{question} There is no terminal for the answer; give it on stdin.")
    prompt = paint(clean(f"{question} "), "bold", sys.stderr)
    return getpass(prompt, stream=sys.stderr).strip()


def is_interactive() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def _need_terminal(text: str) -> None:
    if not is_interactive():
        raise UsageError(clean(text))


def _read(prompt: str) -> str:
    print(paint(clean(prompt), "bold", sys.stderr), end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        raise UsageError("the input ended without an answer")
    return line
