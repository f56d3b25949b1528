"""
Manual pages out of docs/commands.md, for the wheel and the Debian package.

``render`` is plain: it needs no pushctl, because a wheel is built where only hatchling is.
The build adds the pages and the documentation to the wheel (pyproject.toml, hooks.custom).

    python docs/man.py FOLDER     writes the pages into FOLDER
"""

import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # not at a build
    BuildHookInterface = object

DOCS = Path(__file__).parent
_HEADING = re.compile(r"^([A-Z]\w+):$")
_ENTRY = re.compile(r"^  (\S.*?)(?:   *(\S.*))?$")


def render(commands: str, version: str) -> dict[str, str]:
    """Return the text of each page by file name; *commands* is docs/commands.md."""
    head, *sections = re.split(r"^## ", commands, flags=re.MULTILINE)
    pages = {}
    for section in sections:
        title, _, body = section.partition("\n")
        name = title.strip().replace(" ", "-")
        blocks = re.findall(r"```text\n(.*?)```", body, re.DOTALL)
        lines = [f'.TH {_escape(name.upper())} 1 "" "pushctl {version}"']
        lines += _render_name(name, blocks[0])
        lines += _render_block(blocks[0])
        for verb, block in zip(
            re.findall(r"^### (.*)$", body, re.MULTILINE), blocks[1:], strict=True
        ):
            lines += [f".SH {_escape(verb.upper())}", *_render_block(block, inner=True)]
        if name == "pushctl":
            lines += _render_codes(head)
        other = "pushctl\\-init(1), pushctl\\-send(1)" if name == "pushctl" else "pushctl(1)"
        lines += [".SH SEE ALSO", f"{other}; all documentation: \\fBpushctl docs\\fP"]
        pages[f"{name}.1"] = "\n".join(lines) + "\n"
    return pages


def _render_name(name: str, block: str) -> list[str]:
    summary = block.split("\n\n")[1].strip().split("\n")[0].rstrip(".")
    return [".SH NAME", f"{_escape(name)} \\- {_escape(summary)}"]


def _render_block(block: str, inner: bool = False) -> Iterator[str]:
    """Yield the help of a command: its usage, its text, then its options."""
    usage, _, rest = block.partition("\n\n")
    if not inner:
        yield ".SH SYNOPSIS"
    yield from (".nf", _escape(usage.removeprefix("Usage: ")), ".fi")
    if not inner:
        yield ".SH DESCRIPTION"
    listed = False
    for line in rest.splitlines():
        if heading := _HEADING.match(line):
            yield f"{'.SS' if inner else '.SH'} {heading[1].upper()}"
            listed = True
        elif not line.strip():
            yield from () if listed else (".PP",)
        elif listed:
            yield from _render_entry(line)
        elif line.startswith(("  pushctl ", "    ")):
            yield from (".nf", _escape(line.strip()), ".fi")
        else:
            yield _escape(line.strip())


def _render_entry(line: str) -> Iterator[str]:
    entry = _ENTRY.match(line)
    if entry is None or line.startswith("    "):
        yield _escape(line.strip())
        return
    yield from (".TP", f"\\fB{_escape(entry[1])}\\fP")
    if entry[2]:
        yield _escape(entry[2])


def _render_codes(head: str) -> Iterator[str]:
    yield ".SH EXIT STATUS"
    for code, meaning in re.findall(r"^\| (\d+) \| (.*) \|$", head, re.MULTILINE):
        yield from (".TP", code, _escape(meaning.replace("`", "")))


def _escape(text: str) -> str:
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga")
    return re.sub(r"^([.'])", r"\\&\1", plain, flags=re.MULTILINE)


def write(folder: Path, version: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in render((DOCS / "commands.md").read_text("utf-8"), version).items():
        (folder / name).write_text(text, "utf-8")


def read_version() -> str:
    text = (DOCS.parent / "pushctl/__init__.py").read_text("utf-8")
    (version,) = re.findall(r'^__version__ = "(.*)"', text, re.MULTILINE)
    return str(version)


class Hook(BuildHookInterface):  # type: ignore[misc]
    """What the wheel has besides the package: documentation and manual pages."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        pages = {page: f"pushctl/_shipped/docs/{page.name}" for page in DOCS.glob("*.md")}
        pages[DOCS.parent / "CHANGELOG.md"] = "pushctl/_shipped/docs/changelog.md"
        build_data["force_include"] |= {str(page): there for page, there in pages.items()}
        self.folder = tempfile.TemporaryDirectory()
        write(Path(self.folder.name), read_version())
        build_data["shared_data"] = {self.folder.name: "share/man/man1"}

    def finalize(self, version: str, build_data: dict[str, Any], artifact: str) -> None:
        if version != "editable":
            self.folder.cleanup()


if __name__ == "__main__":
    write(Path(sys.argv[1]), read_version())
