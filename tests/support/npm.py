"""Packages of npm's registry that tests judge with: fetched for the test, kept nowhere."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_SECONDS = 120


def installed(package: str, folder: Path) -> Path:
    """
    Return the folder of *package* ("name@version"), fetched into *folder*.

    Where that can't be done the test is skipped; with CI=true it fails.
    """
    name = package.rpartition("@")[0]
    npm = shutil.which("npm")
    if npm is None:
        _without("npm is not installed")
    words = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
    try:
        done = subprocess.run(
            [str(npm), *words, package], capture_output=True, text=True, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        _without(f"npm did not bring {package} within {_SECONDS} s")
    if done.returncode:
        _without(f"npm can't bring {package}: {done.stderr.strip()[-200:]}")
    return folder / "node_modules" / name


def _without(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
