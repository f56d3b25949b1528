"""The documentation as a site (./run site): Sphinx, MyST for Markdown, and Furo's theme."""

import re
from pathlib import Path
from typing import Any

project = "pushctl"
version = release = re.findall(
    r'__version__ = "(.*)"', (Path(__file__).parents[1] / "pushctl/__init__.py").read_text()
)[0]
extensions = ["myst_parser"]
html_theme = "furo"
html_title = f"pushctl {version}"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
# Chapters are reached as on a repository's page: [sending.md](sending.md#pausing).
myst_heading_anchors = 4
# A code block may show a part of a file.
suppress_warnings = ["misc.highlighting_failure"]

# Chapters of the site's menu; what stands in none comes into the last.
MENU = {
    "Begin": ["installing", "demo", "configuration", "commands", "embedding", "snippets"],
    "Run": [
        "server", "receiver", "inbox", "checking", "keys", "backup", "monitoring", "cluster",
        "upgrading", "staging", "moving",
    ],
    "People": ["subscribers", "audience", "events"],
    "Messages": [
        "templates", "messages", "sending", "campaigns", "triggers", "promo", "experiments",
        "approval", "best-time",
    ],
    "Shops and servers": [
        "orders", "shops", "2checkout", "api", "vendors", "webhooks", "alerts", "mcp",
    ],
    "Figures": ["figures", "attribution", "forecast", "report", "sql", "export"],
}  # fmt: skip


def _add_menu(_app: Any, name: str, source: list[str]) -> None:
    """Give the index its menu, which the page itself, read as a file, has no need of."""
    if name != "index":
        return
    every = sorted(each.stem for each in Path(__file__).parent.glob("*.md"))
    named = {page for pages in MENU.values() for page in pages}
    rest = [page for page in every if page not in named | {"index"}]
    for caption, pages in {**MENU, "Behind it": rest}.items():
        there = "\n".join(page for page in pages if page in every)
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{there}\n```\n"


def setup(app: Any) -> None:
    app.connect("source-read", _add_menu)
