"""
Write docs/commands.md from the program's help, the example into configuration.md, and the
declared figures into figures.md.

Run after changing a command or a figure: ./run python docs/generate.py
"""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer

from pushctl import cli, shipped
from pushctl.rules.figures import campaigns, prompts, subscribers
from pushctl.rules.figures.figure import Figure, Rate, Table

DOCS = Path(__file__).parent

HEAD = """\
# Commands

Written by `docs/generate.py` from the program's own help; a test keeps it so.

Results go to stdout, all other texts to stderr. Lists take `--format table|csv|json`
(short: `--csv` and `--json`). When stdout is not a terminal, a table is written as
tab-separated lines, never broken, with raw numbers and times in UTC. `--dry-run` shows
the messages that would be sent, or the data that would be deleted. Commands ask
questions on a terminal only; elsewhere, give `--yes`.

| exit code | meaning |
|---|---|
| 0 | done, or nothing to do |
| 1 | a bug in pushctl; its traceback is in a file; `--debug` shows it |
| 2 | the command line, an expression or an input file has a mistake |
| 3 | pushctl.toml, a key, a template or the database can't be used |
| 4 | a campaign, trigger, template or subscriber does not exist |
| 5 | some deliveries failed or are in doubt |
| 75 | another process is running; nothing was done |
| 77 | a push service refuses our key or messages; no subscriber was deleted |
| 130 | stopped with Ctrl-C |
"""

BEGIN = "<!-- pushctl.toml.example, by docs/generate.py -->\n```toml\n"
END = "```\n<!-- end -->"


TABLES = {
    "campaigns": (campaigns.STATS, campaigns.DETAILS, campaigns.LIST),
    "states": (campaigns.STATES,),
    "subscribers": (subscribers.GROWTH,),
    "prompts": tuple(prompts.PROMPTS.values()),
}


def helps(command: Any, words: str, parent: typer.Context | None = None) -> Iterator[str]:
    """Yield a section for *command* and for each of its verbs."""
    context = typer.Context(command, info_name=words, parent=parent)
    context.help_option_names = ["-h", "--help"]
    context.terminal_width = 90
    verbs = getattr(command, "commands", {}) if parent is None else {}
    level = "##" if " " not in words.removeprefix("pushctl ") else "###"
    yield f"{level} {words}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"
    for name, verb in verbs.items():
        yield from helps(verb, f"{words} {name}")


def commands() -> str:
    """Return docs/commands.md as it should be."""
    root = typer.main.get_command(cli.app)
    context = typer.Context(root, info_name="pushctl")
    context.help_option_names = ["-h", "--help"]
    context.terminal_width = 90
    sections = [HEAD, f"## pushctl\n\n```text\n{root.get_help(context).rstrip()}\n```\n"]
    for name in cli.COMMANDS:
        sections += helps(cli.load(name), f"pushctl {name}")
    return "\n".join(sections)


def configuration() -> str:
    """Return docs/configuration.md with the example as it ships."""
    page = (DOCS / "configuration.md").read_text("utf-8")
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return head + BEGIN + shipped.find("pushctl.toml.example").read_text("utf-8") + END + tail


def columns(tables: Sequence[Table]) -> str:
    """Return every column of *tables* once, as a table in Markdown."""
    found: dict[Figure, dict[str, None]] = {}
    pairs = [(one, table) for table in tables for one in table.dimensions]
    pairs += [(one, table) for table in tables for one in table.figures]
    for one, table in pairs:
        found.setdefault(one, {})[f"`{table.command}`"] = None
    several = len({table.command for table in tables}) > 1
    rows = [["figure", "column", "unit", "what is counted", "in"], ["---"] * 5]
    for one, commands in found.items():
        rows.append([one.title, f"`{one.name}`", one.unit, meaning(one), ", ".join(commands)])
    return "\n".join(f"| {' | '.join(row if several else row[:-1])} |" for row in rows)


def meaning(figure: Figure) -> str:
    """Return what *figure* counts; a rate begins with its two parts."""
    if not isinstance(figure, Rate):
        return figure.meaning
    parts = f"{figure.numerator.title} / {figure.denominator.title}".lower()
    return f"{parts}: {figure.meaning}" if figure.meaning else parts


def figures() -> str:
    """Return docs/figures.md with the columns as they are declared."""
    page = (DOCS / "figures.md").read_text("utf-8")
    for name, tables in TABLES.items():
        head, begin, rest = page.partition(f"<!-- figures of {name}, by docs/generate.py -->\n")
        _, end, tail = rest.partition("<!-- end -->")
        page = head + begin + columns(tables) + "\n" + end + tail
    return page


def main() -> None:
    (DOCS / "commands.md").write_text(commands(), "utf-8")
    (DOCS / "configuration.md").write_text(configuration(), "utf-8")
    (DOCS / "figures.md").write_text(figures(), "utf-8")


if __name__ == "__main__":
    os.environ["NO_COLOR"] = "1"
    sys.exit(main())
