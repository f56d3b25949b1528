"""
What two variants and a pool of promo codes cost a broadcast, in CPU a message.

    ./run python benchmarks/extras.py [--messages 300000] [--repeat 3] [--json]

The same people and a text with their name, plain, with two variants, with a promo code each,
and with both, in turn. "all" is planning, freezing and sending together, "send" what comes
after freezing. The ratios are to plain; the goal is at most 1.15 for both. nginx takes the
messages, outside the measured processes.
"""

import argparse
import json
import secrets
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.project import TITLE, Project
from benchmarks.sink import Sink
from pushctl.store import Store

POOL = "bench"
# Template and pool of each way; the plain one is that of benchmarks/send.py.
WAYS = {
    "plain": ("bench",),
    "variants": ("arms",),
    "pool": ("codes", POOL),
    "both": ("both", POOL),
}
BODY = "The brass lamp is still in it, at the price of today."
WITH_CODE = "The brass lamp is still in it, 15 % less with {{ promo }}."


def fill(project: Project, codes: int) -> None:
    """Write the templates, all with texts of about the same length, and the pool."""
    for name, body, arms in (
        ("arms", BODY, ("en", "en.b")),
        ("codes", WITH_CODE, ("en",)),
        ("both", WITH_CODE, ("en", "en.b")),
    ):
        home = project.folder / "templates" / name
        home.mkdir()
        (home / "message.toml").write_text('url = "https://shop.example/basket"\n')
        for arm, title in zip(arms, (TITLE, TITLE.replace("waits", "stays")), strict=False):
            (home / f"{arm}.toml").write_text(f'title = "{title}"\nbody = "{body}"\n')
    with Store(project.folder / "pushctl.db") as store:
        pool = store.promo_codes.create(POOL, 0, 0)
        store.promo_codes.add(pool.id, (secrets.token_hex(5) for _ in range(codes)))


def measure(project: Project, sink: Sink, encoder: str, way: str) -> dict[str, float]:
    """Send one campaign; return microseconds of CPU a message."""
    figures = project.send(sink, encoder, *WAYS[way])
    if figures["failed"] or figures["sent"] != project.count:
        raise SystemExit(f"{way}: not all were sent: {json.dumps(figures)}")
    send, before = figures["cpu_seconds"], figures["cpu_seconds_before"]
    share = 1e6 / figures["sent"]
    return {"send": send * share, "all": (send + before) * share}


def summarize(runs: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Return medians, and ratios to the plain campaign of the same round."""
    table: dict[str, dict[str, float]] = {}
    for way, found in runs.items():
        row = table[way] = {}
        for part in ("send", "all"):
            row[f"{part}_us"] = round(statistics.median(it[part] for it in found), 1)
            ratios = [
                it[part] / plain[part] for it, plain in zip(found, runs["plain"], strict=True)
            ]
            row[f"{part}_ratio"] = round(statistics.median(ratios), 3)
    return table


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    options.add_argument("--messages", type=int, default=300_000)
    options.add_argument("--repeat", type=int, default=3)
    options.add_argument("--encoder", default="auto")
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder, Sink() as sink:
        project = Project(Path(folder), given.messages)
        fill(project, 2 * given.messages * given.repeat)
        for _ in range(given.repeat):
            for way, found in runs.items():
                found.append(measure(project, sink, given.encoder, way))
                print(way, found[-1], file=sys.stderr, flush=True)
    table = summarize(runs)
    if given.json:
        print(json.dumps(table))
        return
    print(f"{'':10}{'send us':>9}{'ratio':>7}{'all us':>9}{'ratio':>7}")
    for way, row in table.items():
        print(f"{way:10}" + "".join(f"{row[it]:>{9 if 'us' in it else 7}}" for it in row))


if __name__ == "__main__":
    main()
