"""
Write docs/commands.md from the program's help, the example into configuration.md, the
declared figures into figures.md, and openapi.json from the table of the server API.
What shells complete goes into pushctl/commands/completions/tree.json, what --help prints
into pushctl/commands/helps/.
Limits of pages go into embedding.md, views into sql.md.

Run after changing a command, a figure or a limit: ./run python docs/generate.py
"""

import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from pushctl import cli, shipped
from pushctl.commands import help_texts, loading
from pushctl.rules import limits, units
from pushctl.rules.columns import Part
from pushctl.rules.figures.figure import Bounds, Figure, Rate, Table, Unit
from pushctl.rules.figures.tables import (
    ab,
    basket,
    best_time,
    campaigns,
    experiments,
    groups,
    holdout,
    leaving,
    promo,
    prompts,
    replay,
    segments,
    subscribers,
    triggers,
)
from pushctl.rules.figures.views.catalogue import VIEWS, View

DOCS = Path(__file__).parent

HEAD = """\
# Commands

Written by `docs/generate.py` from the program's own help; a test keeps it so.

Results go to stdout, all other texts to stderr. Lists take `--format table|csv|excel|json`
(short: `--csv`, `--excel` and `--json`). When stdout is not a terminal, a table is written as
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

# What a shell offers for an option or an argument: names of the project, or paths.
OPTION_NAMES = {
    "--project": "project",
    "--tag": "tags",
    "-t": "tags",
    "--segment": "segments",
    "--template": "templates",
    "--campaign": "campaigns",
    "-c": "campaigns",
    "--site": "sites",
}
ARGUMENT_NAMES = {
    "subscribers tag name": "tags",
    "subscribers untag name": "tags",
    "templates copy source": "templates",
    "send-test name": "templates",
    "explain trigger": "triggers",
    "leads trigger": "triggers",
    "forecast campaign": "campaigns",
    "in-doubt resend campaign": "campaigns",
    "stats campaign name": "campaigns",
    "stats segments names": "segments",
    "ab": "campaigns",
    "campaigns": "campaigns",
    "segments": "segments",
    "templates": "templates",
    "triggers": "triggers",
    "promo": "pools",
    "webhooks": "webhooks",
    "alerts": "alerts",
    "sources": "sources",
    "docs page": "pages",
}
NAMED = ("name", "names", "source", "campaign", "trigger", "page")
NEW_NAMES = {"templates new name", "templates copy name"}

BEGIN = "<!-- pushctl.toml.example, by docs/generate.py -->\n```toml\n"
END = "```\n<!-- end -->"


TABLES = {
    "campaigns": (campaigns.STATS, campaigns.LIST),
    "performance": (
        groups.CAMPAIGNS,
        groups.GROUPS,
        groups.DETAILS,
        groups.TIMES,
        groups.SITES,
    ),
    "arms": (ab.STATS,),
    "promo": (promo.PROMO,),
    "states": (campaigns.STATES,),
    "tests": (experiments.LIST, experiments.SHOW, experiments.SHOW_EXACT),
    "subscribers": (
        subscribers.GROWTH,
        subscribers.SPLIT,
        subscribers.COHORTS,
        subscribers.REACH,
    ),
    "prompts": tuple(prompts.PROMPTS.values()),
    "segments": (segments.SEGMENTS,),
    "optin": tuple(prompts.OPTIN.values()),
    "best time": (best_time.BEST_TIME,),
    "replays": (replay.OUTCOME,),
    "holdout": (holdout.HOLDOUT, holdout.PLAN),
    "triggers": (triggers.TRIGGERS, triggers.STEPS),
    "baskets": (basket.BASKET,),
    "leaving": (leaving.LEAVING, leaving.PENALTIES),
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


def tell_helps(columns: int) -> str:
    """Return a file of pushctl/commands/helps/: what --help prints on so wide a terminal."""
    found = {"": tell_help([], columns)}
    for name in cli.COMMANDS:
        found[name] = tell_help([name], columns)
        for verb in getattr(cli.load(name), "commands", {}):
            found[f"{name} {verb}"] = tell_help([name, verb], columns)
    return help_texts.join(found)


def tell_help(words: Sequence[str], columns: int) -> str:
    """Return what the whole program prints, where there are no colours."""
    printed = io.StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(columns)
    try:
        with redirect_stdout(printed):
            cli.run([*words, "--help"])
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before
    return printed.getvalue()


def find_values(parameter: Any) -> str | None:
    """Return the kind of values of an option or argument; None: it takes none."""
    if getattr(parameter, "is_flag", False):
        return None
    kind = loading.find_type(parameter)
    if isinstance(kind, type) and issubclass(kind, Path):
        return "path"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(each.value for each in kind)
    if get_origin(kind) is Literal:
        return "|".join(get_args(kind))
    return ""


def describe_command(command: Any, words: str = "") -> dict[str, Any]:
    """Return *command* and its verbs as a shell's completion needs them."""
    options: dict[str, Any] = {"--help": [None, "Show this message and exit."]}
    found: dict[str, Any] = {"help": "", "options": options}
    for one in command.params:
        if one.param_type_name == "option":
            for name in (*one.opts, *one.secondary_opts):
                names = OPTION_NAMES.get(name)
                options[name] = [names or find_values(one), getattr(one, "help", "") or ""]
            continue
        place = f"{words} {one.name}".strip()
        names = ARGUMENT_NAMES.get(place, ARGUMENT_NAMES.get(words.split(" ")[0]))
        values = find_values(one)
        if values == "" and one.name in (
            "name",
            "names",
            "source",
            "campaign",
            "trigger",
            "page",
        ):
            values = "" if place in NEW_NAMES else names or ""
        found.setdefault("arguments", []).append(values)
        if one.nargs == -1:
            found["many"] = True
    if "--format" in options:
        options |= {f"--{it}": [None, f"--format {it}"] for it in ("csv", "excel", "json")}
    for name, verb in getattr(command, "commands", {}).items():
        text = (verb.help or "").strip().splitlines()
        entry = {**describe_command(verb, f"{words} {name}".strip()), "help": text[0]}
        found.setdefault("commands", {})[name] = entry
    return found


def tree() -> str:
    """Return pushctl/commands/completions/tree.json as it should be."""
    root = describe_command(typer.main.get_command(cli.app))
    root["commands"] = {
        name: {**describe_command(cli.load(name), name), "help": entry.help}
        for name, entry in cli.COMMANDS.items()
    }
    return json.dumps(root, separators=(",", ":"), ensure_ascii=False) + "\n"


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
        rows.append([one.title, list_columns(one), one.unit, meaning(one), ", ".join(commands)])
    return "\n".join(f"| {' | '.join(row if several else row[:-1])} |" for row in rows)


def list_columns(figure: Figure) -> str:
    """Return the columns that *figure* has in CSV and JSON."""
    bounds = figure.bound_names if figure.bounds is not Bounds.NONE else ()
    names = (
        [figure.name]
        if figure.unit is not Unit.MONEY
        else [f"{figure.name}_{part}" for part in Part]
    )
    return ", ".join(f"`{name}`" for name in (*names, *bounds))


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


def openapi() -> str:
    """Return docs/openapi.json, the server API as a receiver serves it."""
    from pushctl.receiver.api import openapi

    return openapi.render("https://push.shop.example").decode()


# What pages meet: what, how much, and what becomes of more.
REFUSED = "refused; the console says so"
LESS = "as much is sent as goes; the console says so"
ASIDE = "the import puts the request with more aside, and counts it"
LIMITS = (
    ("a tag, an alias", f"{limits.MAX_LABEL_CHARACTERS:,} characters on one line", REFUSED),
    ("the name of an event", f"{limits.MAX_ID_CHARACTERS:,} characters on one line", REFUSED),
    ("a text in properties", f"{limits.MAX_TEXT_CHARACTERS:,} characters", LESS),
    ("an object or list in properties", f"{limits.MAX_LEVEL_ENTRIES:,} entries", LESS),
    ("their depth", f"{limits.MAX_RECEIVED_LEVELS} levels", LESS),
    ("a number in properties", f"below {limits.MAX_NUMBER:,}", "sent as a text"),
    ("the items of a basket", f"{limits.MAX_CART_ITEMS:,}", "counted, but not kept"),
    ("a text of an item", f"{limits.MAX_CART_TEXT_CHARACTERS:,} characters", "cut"),
    ("the tags of `subscribe()`", f"{limits.MAX_RECEIVED_TAGS:,}", "subscribed without them"),
    ("the tags of one subscriber", f"{limits.MAX_SUBSCRIPTION_TAGS:,}", ASIDE),
    ("all names of tags from browsers", f"{limits.MAX_TAG_NAMES:,}", "not kept"),
    (
        "the life of a tag",
        f"{limits.MIN_TAG_SECONDS} seconds to "
        f"{limits.MAX_TAG_SECONDS * units.SECOND // units.DAY:,} days",
        "shorter ones live that long; longer ones are refused",
    ),
    (
        "the attributes of one subscriber",
        f"{limits.MAX_ATTRIBUTES_CHARACTERS:,} characters of JSON together",
        ASIDE,
    ),
    (
        "orders that a page reports",
        f"{limits.MAX_DAILY_PAGE_ORDERS:,} a subscriber and day",
        "not kept",
    ),
    ("`[[tag_rules]]` of a site", f"{limits.MAX_TAG_RULES:,}", "`pushctl check` says so"),
    ("one request", f"{limits.MAX_BODY_BYTES:,} bytes", "the page sends several"),
    (
        "`pushctl.js` and the worker",
        f"{limits.MAX_SCRIPTS_BYTES:,} bytes together, compressed",
        "`pushctl sw --check` says so",
    ),
)


def embedding() -> str:
    """Return docs/embedding.md with the limits as they are declared."""
    page = (DOCS / "embedding.md").read_text("utf-8")
    rows = [("what", "at most", "what is beyond it"), ("---",) * 3, *LIMITS]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    head, begin, rest = page.partition("<!-- limits, by docs/generate.py -->\n")
    _, end, tail = rest.partition("<!-- end -->")
    return head + begin + table + "\n" + end + tail


def describe_view(view: View) -> str:
    """Return a chapter about *view*, with its columns as a table in Markdown."""
    rows = [["column", "type", "meaning"], ["---"] * 3]
    for field in view.fields:
        people = " (`--people`)" if field.personal else ""
        rows.append([f"`{field.name}`", field.type, f"{field.meaning}{people}"])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"### {view.name}\n\nA row is {view.meaning}.\n\n{table}\n"


def sql() -> str:
    """Return docs/sql.md with the views as they are declared."""
    page = (DOCS / "sql.md").read_text("utf-8")
    head, begin, rest = page.partition("<!-- views, by docs/generate.py -->\n")
    _, end, tail = rest.partition("<!-- end -->")
    return head + begin + "\n".join(map(describe_view, VIEWS.values())) + end + tail


def main() -> None:
    (DOCS.parent / "pushctl/commands/completions/tree.json").write_text(tree(), "utf-8")
    for width in help_texts.WIDTHS:
        file = DOCS.parent / f"pushctl/commands/helps/{width}.txt"
        file.write_text(tell_helps(width), "utf-8")
    (DOCS / "commands.md").write_text(commands(), "utf-8")
    (DOCS / "configuration.md").write_text(configuration(), "utf-8")
    (DOCS / "figures.md").write_text(figures(), "utf-8")
    (DOCS / "openapi.json").write_text(openapi(), "utf-8")
    (DOCS / "embedding.md").write_text(embedding(), "utf-8")
    (DOCS / "sql.md").write_text(sql(), "utf-8")


if __name__ == "__main__":
    os.environ["NO_COLOR"] = "1"
    sys.exit(main())
