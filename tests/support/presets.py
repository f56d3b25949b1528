"""The triggers of pushctl.toml.example, as somebody who takes away every "# " gets them."""

import re

from pushctl import shipped


def text(*names: str) -> str:
    """Return the triggers called *names*, or all of them, as TOML."""
    example = shipped.find("pushctl.toml.example").read_text("utf-8")
    blocks = re.findall(r"^# \[triggers\.(\w+)\]\n((?:# .*\n)+)", example, re.MULTILINE)
    wanted = []
    for name, body in blocks:
        if not names or name in names:
            lines = re.sub(r"^# ", "", body, flags=re.MULTILINE)
            wanted.append(f"[triggers.{name}]\n{lines}")
    return "\n".join(wanted)
