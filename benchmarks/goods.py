"""
What `alternatives`, `better` and `promotion` cost in a text: a call, in milliseconds of CPU.

    ./run python benchmarks/goods.py [--products 100000] [--calls 2000] [--seed 1] [--json]

A catalogue of lines of 1,000 products, with twenty categories, brands, families of three, and
each tenth reduced; each call is about another product, for a person who owns two. "again" is
the same call for the next person, answered from what the run remembers.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from pushctl.jobs.subscribers.recommendations import Goods, Shelf
from pushctl.model import Json
from pushctl.rules import money
from pushctl.store import Store
from tests.support import NOON, sending

OWNED: list[tuple[Json, Json]] = [("p1", "Product 1"), ("p2", "Product 2")]
MOST = 3  # proposals of a call, as in a text with a few of them
CALLS: dict[str, Callable[[Shelf, str], list[dict[str, Json]]]] = {
    "alternatives": lambda shelf, item: shelf.alternatives(item, MOST),
    "better": lambda shelf, item: shelf.better(item, MOST),
    "promotion": lambda shelf, item: shelf.promotion({"id": item}, MOST),
}


def fill(store: Store, products: int, chance: random.Random) -> None:
    site = store.sites.sync({"shop": "https://shop.example"})["shop"]
    with store.write():
        for number in range(products):
            price = chance.randrange(100, 50_000) / 100
            was = round(price * 1.2, 2) if chance.random() < 0.1 else None
            about = {
                "name": f"Product {number}",
                "url": f"/p/{number}",
                "line": f"Line {number % max(1, products // 1_000)}",
                "category": f"Category {number % 20}",
                "brand": f"Brand {number % 499}",
                "family": f"F{number // 3}",
            }
            store.products.save(
                site, f"p{number}", money.of(price, "EUR", fine=True), True, about, NOON,
                money.of(was, "EUR", fine=True),
            )  # fmt: skip


def measure(field: sending.Field, name: str, items: list[str]) -> dict[str, float]:
    """Return milliseconds of a call, and how many products it proposed on average."""
    call, goods = CALLS[name], Goods(field.store, field.config)
    first = again = 0.0
    proposed = 0
    for item in items:
        began = time.process_time()
        proposed += len(call(goods.open_shelf("shop", OWNED), item))
        middle = time.process_time()
        call(goods.open_shelf("shop", OWNED), item)
        first, again = first + middle - began, again + time.process_time() - middle
    count = len(items)
    return {
        "first_ms": round(1_000 * first / count, 3),
        "again_ms": round(1_000 * again / count, 3),
        "proposed": round(proposed / count, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--products", type=int, default=100_000)
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        field = sending.field(Path(folder))
        fill(field.store, asked.products, chance)
        items = [f"p{chance.randrange(asked.products)}" for _ in range(asked.calls)]
        table = {name: measure(field, name, items) for name in CALLS}
        field.store.close()
    if asked.json:
        print(json.dumps(table))
        return
    for name, row in table.items():
        print(f"{name:13}", *(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
