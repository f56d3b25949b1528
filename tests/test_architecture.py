"""The shape of the code: floors, sizes, one place for printing and for SQL, clean words."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support import ROOT

SOURCES = sorted((ROOT / "pushctl").rglob("*.py"))
TEXTS = (".py", ".md", ".toml", ".js", ".mjs", ".html", ".css", ".yml", ".lark", ".sh", "")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return list(_find_functions(ast.parse(path.read_text("utf-8"))))


def _find_functions(node: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield what is defined in *node*, however deep; an expression holds no definition."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
        if not isinstance(child, ast.expr):
            yield from _find_functions(child)


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def count_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or 0) - function.lineno + 1


def is_command(path: Path, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    decorators = [ast.unparse(each) for each in function.decorator_list]
    named = function.name == "command" or any("app.command" in each for each in decorators)
    return path.parent.name == "commands" and named


def tracked() -> list[Path]:
    """Every file of the repository, or of the folder where there is no repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    files = [ROOT / line for line in listed.stdout.splitlines()]
    return [file for file in files if file.is_file()]


def test_imports_run_downwards_only() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([command, "--no-logo"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_room_stands_on_a_floor() -> None:
    """A module that no contract names could import what it likes."""
    import tomllib

    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = {
        room.strip() for layer in linter["contracts"][0]["layers"] for room in layer.split("|")
    }
    rooms = {
        path.stem if path.is_file() else path.name for path in (ROOT / "pushctl").iterdir()
    }
    assert rooms - layers - {"__init__", "__main__", "__pycache__", "py", "_shipped"} == set()


def test_files_are_short() -> None:
    lengths = {name(path): len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    assert {file: lines for file, lines in lengths.items() if lines >= 400} == {}


def test_functions_are_short() -> None:
    lengths = {
        f"{name(path)}:{function.lineno}: {function.name}": (function.end_lineno or 0)
        - function.lineno
        + 1
        for path in SOURCES
        for function in functions(path)
        # A migration is one statement, however long, and never edited again; commands
        # are options and help above all, and their bodies are held shorter below.
        if not function.name.startswith("m0") and not is_command(path, function)
    }
    assert len(lengths) > 5_000
    assert {function: lines for function, lines in lengths.items() if lines >= 50} == {}


def test_command_bodies_are_short() -> None:
    lengths = {
        f"{name(path)}:{function.lineno}: {function.name}": body_lines(function)
        for path in sorted((ROOT / "pushctl/commands").glob("*.py"))
        for function in functions(path)
        if is_command(path, function)
    }
    assert len(lengths) > 50
    assert {function: lines for function, lines in lengths.items() if lines >= 15} == {}


def test_no_command_loads_what_its_help_does_not_need() -> None:
    code = """
import sys
from pushctl import cli
heavy = {"sqlite_utils", "pywebpush", "jinja2", "lark", "rich", "pycurl", "cryptography",
         "requests", "aiohttp", "granian", "starlette", "feedparser", "pydantic",
         "babel", "regex"}
for name in cli.COMMANDS:
    cli.load(name)
    loaded = heavy & set(sys.modules)
    if loaded:
        sys.exit(f"{name} loads {loaded}")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


def test_a_process_that_sends_loads_no_time_zones_and_no_database() -> None:
    code = """
import sys
import pushctl.push.fork_server
loaded = {"zoneinfo", "sqlite3", "jinja2", "lark"} & set(sys.modules)
sys.exit(f"it loads {loaded}" if loaded else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


def test_a_unit_is_defined_in_one_place() -> None:
    unit = re.compile(r"^(SECOND|MINUTE|HOUR|DAY|WEEK|KIB|MIB)(: \w+)? = ", re.MULTILINE)
    defined = [name(path) for path in SOURCES if unit.search(path.read_text("utf-8"))]
    assert defined == ["pushctl/rules/units.py"]


def test_files_are_made_durable_in_one_place() -> None:
    reasons = {
        "pushctl/durable.py": "the home",
        "pushctl/inbox/writer.py": "one fdatasync for all that wait",
        "pushctl/inbox/quarantine_files.py": "blanks lines in place, beside a living writer",
        # In place: its inode tells it from a copy.
        "pushctl/jobs/delivery/gates/restore_guard.py": "in place",
    }
    syncs = re.compile(r"os\.f(?:data)?sync\(")
    found = {name(path) for path in SOURCES if syncs.search(path.read_text("utf-8"))}
    assert found == set(reasons)


def test_nothing_loads_the_slow_libraries_at_start() -> None:
    slow = re.compile(r"^(import|from) (pywebpush|aiohttp|requests)\b", re.MULTILINE)
    assert [name(path) for path in SOURCES if slow.search(path.read_text("utf-8"))] == []


def test_what_a_plain_install_brings_serves_more_than_the_demo() -> None:
    import tomllib
    from importlib.metadata import packages_distributions

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    brought = {re.split(r"[<>=;\[ ]", line)[0].lower() for line in project["dependencies"]}
    imported: set[str] = set()
    for path in SOURCES:
        if (ROOT / "pushctl/demo") not in path.parents:
            text = path.read_text("utf-8")
            imported.update(re.findall(r"^\s*(?:import|from) (\w+)", text, re.MULTILINE))
    used = {
        owner.lower().replace("_", "-")
        for module, owners in packages_distributions().items()
        if module in imported
        for owner in owners
    }
    assert brought - used == {"tzdata"}  # zoneinfo reads it


def test_only_output_prints() -> None:
    """ruff's T20 knows print(); a stream's write() says as much."""
    prints = re.compile(r"\bprint\(|sys\.std(out|err)\.write|typer\.(echo|secho)\(")
    found = [name(path) for path in SOURCES if prints.search(path.read_text("utf-8"))]
    assert {str(Path(it).parent) for it in found} == {"pushctl/output"}


def test_typer_brings_its_own_click() -> None:
    wrong = re.compile(r"^\s*(import|from) click\b", re.MULTILINE)
    assert [name(path) for path in SOURCES if wrong.search(path.read_text("utf-8"))] == []


def test_the_texts_speak_of_the_project_alone() -> None:
    """No address of a package registry, no path of one machine, nobody's workshop."""
    # Each with one letter in brackets, so that this file holds none of them.
    words = r"[p]ypi\.org|[p]ythonhosted|[n]pmjs\.org|deb\.[d]ebian|/[w]ork/|/[r]oot/"
    wrong = re.compile(rf"{words}|\bL[L]M\b|Chat[G]PT|Clau[d]e|\bfar[m]-")
    found = [
        f"{name(file)}: {match[0]}"
        for file in tracked()
        if file.suffix in TEXTS
        for match in wrong.finditer(file.read_text("utf-8", "replace"))
    ]
    assert found == []


def _read_plan() -> str:
    return (ROOT / "docs/architecture.md").read_text("utf-8")


def test_the_plan_names_files_that_are_there() -> None:
    named = set(
        re.findall(r"`([a-z_][a-z0-9_./-]*(?:\.(?:py|js|toml|md|lark|json)|/))`", _read_plan())
    )
    folders = [
        ROOT,
        ROOT / "pushctl",
        *(p for p in (ROOT / "pushctl").rglob("*") if p.is_dir()),
    ]
    made = {"status/", "inbox/", "inbox/quarantine/"}  # of a project, not of the repository
    missing = [
        name for name in named - made if not any((place / name).exists() for place in folders)
    ]
    assert len(named) > 100
    assert missing == []


def test_the_plan_names_functions_that_are_there() -> None:
    """Where `module.name` or `module.name(...)` stands, the module has that name."""
    modules: dict[str, list[str]] = {}
    for path in SOURCES:
        modules.setdefault(path.stem, []).append(path.read_text("utf-8"))
    missing = [
        f"{module}.{name}"
        for module, name in re.findall(r"`(?:\w+/)*([a-z_]+)\.(\w+)(?:`|\()", _read_plan())
        if module in modules and name not in {"py", "db", "toml", "prom"}
        if not any(re.search(rf"\b{name}\b", text) for text in modules[module])
    ]
    assert missing == []


def test_a_flow_is_one_line_and_a_paragraph_at_most_six() -> None:
    lines = _read_plan().splitlines()
    flows = [line for line in lines if line.startswith("- **")]
    assert len(flows) > 40
    assert [line for line in flows if len(line) > 165] == []
    # A line of a page has about 85 characters.
    parts = [
        cell for line in lines for cell in (line.split(" | ") if line[:1] == "|" else [line])
    ]
    assert [part[:60] for part in parts if len(part) > 6 * 85] == []
    lists = re.findall(r"(?:^\d+\. .*\n)+", _read_plan(), re.MULTILINE)
    assert [part[:60] for part in lists if part.count("\n") > 6] == []
