"""The command line of a proof that tries many points, each of them drawn by lots."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pushctl.demo.pushservice import PushService

# Number of points, seed, an empty folder, a push service that believes everything.
Run = Callable[[int, int, Path, PushService], Mapping[str, Any]]


def main(run: Run, about: str | None, points: int) -> int:
    """Print the seed and what *run* found; return 1 where something was ``faulty``."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--points", type=int, default=points)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    given = parser.parse_args()
    print(f"seed {given.seed}", file=sys.stderr)
    with (
        tempfile.TemporaryDirectory() as name,
        PushService(Path(name) / "service", checks=False) as service,
    ):
        figures = run(given.points, given.seed, Path(name), service)
    print(json.dumps(figures, indent=1))
    return 1 if figures.get("faulty") else 0
