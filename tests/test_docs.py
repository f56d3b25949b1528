"""docs/: generated where it can be, true where it shows commands, no dead link."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pushctl import cli
from tests.support import ROOT, project
from tests.support.program import PROGRAM, on_terminal, pushctl

PAGES = sorted([*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")])


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", ["commands", "configuration", "figures", "embedding", "sql"])
def test_a_generated_page_is_up_to_date(generate: ModuleType, page: str) -> None:
    written = (ROOT / f"docs/{page}.md").read_text("utf-8")
    assert written == getattr(generate, page)(), "run: ./run python docs/generate.py"


def test_the_api_document_is_up_to_date(generate: ModuleType) -> None:
    written = (ROOT / "docs/openapi.json").read_text("utf-8")
    assert written == generate.openapi(), "run: ./run python docs/generate.py"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_link_is_dead(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), target


def list_anchors(page: Path) -> set[str]:
    """The names by which a page's headings are reached, as GitHub and Sphinx make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", each).strip().lower().replace(" ", "-") for each in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_link_to_a_chapter_is_dead(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s:]*)#([^)]*)\)", page.read_text("utf-8")):
        there = page.parent / target if target else page
        if there.suffix == ".md":
            assert anchor in list_anchors(there), f"{target}#{anchor}"


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs/index.md").read_text("utf-8")
    missing = [
        each.name for each in (ROOT / "docs").glob("*.md") if f"({each.name})" not in index
    ]
    assert missing == ["index.md"]


def shown_commands(page: Path) -> Iterator[list[str]]:
    """The command lines in a page's code blocks that begin with pushctl."""
    for block in re.findall(
        r"```(?:sh|text|console|bash)?\n(.*?)```", page.read_text(), re.DOTALL
    ):
        for line in block.replace("\\\n", " ").splitlines():
            line = re.sub(r"^\s*(\$ )?(\./run )?", "", line)
            if re.match(r"pushctl [a-z-]", line):
                try:
                    words = shlex.split(line, comments=True)
                except ValueError:
                    continue  # prose with an apostrophe
                ends = [i for i, word in enumerate(words) if word in ("|", ">", "&&", ";")]
                yield words[1 : ends[0] if ends else None]


def options(command: Any) -> set[str]:
    every = {"--help", "-h"}
    for parameter in command.params:
        every |= {*parameter.opts, *parameter.secondary_opts}
        if parameter.name == "format":
            every |= {"--csv", "--excel", "--json"}
    return every


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_commands_that_a_page_shows_are_there(page: Path) -> None:
    for words in shown_commands(page):
        while words and words[0].startswith("-"):
            words = words[2:] if words[0] == "--project" else words[1:]
        if not words:
            continue
        assert words[0] in cli.COMMANDS, words
        command, rest = cli.load(words[0]), words[1:]
        if hasattr(command, "commands") and rest and not rest[0].startswith("-"):
            assert rest[0] in command.commands, words
            command, rest = command.commands[rest[0]], rest[1:]
        given = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert given <= options(command), words


def shown(page: str, command: str) -> str:
    """What *page* shows below *command*."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    found = re.search(rf"^\$ {re.escape(command)}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found, command
    return found[1]


def test_the_page_of_installing_names_every_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs/installing.md").read_text("utf-8")
    named = set(re.findall(r"^\| `(\w+)` \|", page.partition("## Extras")[2], re.M))
    assert named == set(extras["optional-dependencies"])


def test_check_says_what_its_page_shows(tmp_path: Path) -> None:
    folder = project.make(tmp_path / "shop", "--receiver-url=https://push.shop.example")
    text = (folder / "pushctl.toml").read_text("utf-8")
    text = text.replace(
        'origin = "https://shop.example"', 'origin = "https://Shop.example/"', 1
    )
    (folder / "pushctl.toml").write_text(text.replace("# encoder =", "encodr =", 1))
    said = pushctl("check", cwd=folder)

    def lasting(text: str) -> list[str]:
        """Without what differs between machines and projects."""
        kept = re.sub(
            r"^. (disk|encoder|database .* SQLite) .*\n( .*\n)?", "", text, flags=re.M
        )
        return re.sub(r"keys: \S+ for", "keys: ID for", kept).splitlines()

    assert lasting(said.out + said.err) == lasting(shown("configuration.md", "pushctl check"))


def test_a_preview_looks_as_its_page_shows(tmp_path: Path) -> None:
    folder = project.make(tmp_path)
    command = "templates preview abandoned_basket_1 --platform windows-chrome --platform ios"
    said = on_terminal([*PROGRAM, *command.split()], cwd=folder, NO_COLOR="1")
    assert said.out == shown("templates.md", f"pushctl {command}")


def test_a_mistake_in_an_audience_is_shown_as_its_page_shows(tmp_path: Path) -> None:
    folder = project.make(tmp_path)
    said = pushctl("segments", "count", "--where", "contry = 'TR'", cwd=folder)
    assert said.err == shown("audience.md", "pushctl segments count --where \"contry = 'TR'\"")
