"""``pushctl completion``: commands, options and names of the project, in your shell."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pushctl import durable, output

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Complete commands and names in your shell.

    \b
    pushctl completion install bash
    pushctl completion show zsh

    Tab completes commands, options, and the names of tags, campaigns, templates, triggers,
    segments and sites of the project in which you are.
    """,
)


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


ShellArgument = Annotated[Shell, typer.Argument(help="bash, zsh or fish.")]
_PLACES = {
    Shell.BASH: ".local/share/bash-completion/completions/pushctl",
    Shell.ZSH: ".local/share/zsh/site-functions/_pushctl",
    Shell.FISH: ".config/fish/completions/pushctl.fish",
}
_NEXT = {
    Shell.BASH: "Open a new shell. It needs the package bash-completion; without it, write\n"
    '  eval "$(pushctl completion show bash)"\ninto ~/.bashrc.',
    Shell.ZSH: "Write these two lines into ~/.zshrc, unless they are there, then open a new\n"
    "shell:\n  fpath+=(~/.local/share/zsh/site-functions)\n"
    "  autoload -Uz compinit && compinit",
    Shell.FISH: "Open a new shell.",
}


@app.command()
def show(shell: ShellArgument) -> None:
    """
    Print the script for a shell.

    \b
    pushctl completion show bash
    """
    output.answer(read_script(shell).rstrip())


@app.command()
def install(shell: ShellArgument) -> None:
    """
    Write the script where the shell looks for it.

    \b
    pushctl completion install fish
    """
    file = Path.home() / _PLACES[shell]
    file.parent.mkdir(parents=True, exist_ok=True)
    durable.replace(file, read_script(shell).encode(), 0o644)
    output.say(f"wrote {file}")
    output.say(_NEXT[shell])


def read_script(shell: Shell) -> str:
    return (Path(__file__).parent / "completions" / shell.value).read_text("utf-8")
