"""
The files that ship with pushctl: templates/, sw/, pushctl.toml.example.

In a checkout they are at the top level; in a wheel the build puts them
into the package (``pushctl/_shipped``, see pyproject.toml).
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def find(name: str) -> Path:
    """Return the shipped file or folder called *name*, e.g. ``"templates"``."""
    packed = _PACKAGE / "_shipped" / name
    return packed if packed.exists() else _PACKAGE.parent / name
