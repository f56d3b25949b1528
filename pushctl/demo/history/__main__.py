"""Write a generated history into a new folder."""

import argparse
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pushctl import output
from pushctl.demo.history.generate import make


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--people", type=int, default=300_000)
    parser.add_argument("--deliveries", type=int)
    parser.add_argument("--events", type=int)
    parser.add_argument("--orders", type=int)
    parser.add_argument("--campaigns", type=int, help="how many broadcasts")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--until", default="2026-11-30", help="the day after the year")
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    make(
        asked.folder,
        people=asked.people,
        deliveries=asked.deliveries or asked.people * 50 // 3,
        events=asked.events or asked.people * 100 // 3,
        orders=asked.orders or asked.people * 2 // 3,
        campaigns=asked.campaigns,
        seed=asked.seed,
        until=datetime.fromisoformat(asked.until).replace(tzinfo=UTC),
    )
    output.say(f"{asked.folder}: {time.monotonic() - began:.1f} s, seed {asked.seed}")


if __name__ == "__main__":
    main()
