"""The table of benchmarks/ten_million.py: what each of so many costs, and which bounds hold."""

SMALL = 1_000  # what a command costs by itself
MAX_MB = 500
MAX_RATIO = 1.5  # of the largest size to the smallest; a shared machine differs by a fifth
FIXED = ("idle sweep", "30,000 due", "idle sweep, planned")  # the same for all sizes


def compare(found: dict[int, dict]) -> list[dict[str, object]]:
    """Return a row a step: cost by size, the ratio of the largest to the smallest."""
    sizes = sorted(set(found) - {SMALL})
    rows: list[dict[str, object]] = []
    for name in found[sizes[-1]]["steps"]:
        steps = [found[size]["steps"][name] for size in sizes]
        own = found[SMALL]["steps"][name]["cpu"]
        fixed = name in FIXED
        whom = [found[size]["imported"] if name == "import" else size for size in sizes]
        costs = [
            step["cpu"] if fixed else (step["cpu"] - own) / (people - SMALL) * 1e6
            for people, step in zip(whom, steps, strict=True)
        ]
        # Below a tenth of a second in all it is noise of the machine.
        least = 0.0 if fixed else 0.1 / sizes[0] * 1e6
        ratio = costs[-1] / max(costs[0], least, 1e-9)
        rows.append(
            {
                "step": name,
                "unit": "s" if fixed else "us",
                "cost": {size: round(cost, 3) for size, cost in zip(sizes, costs, strict=True)},
                "ratio": round(ratio, 2),
                **{
                    what: {
                        size: round(step[what], 2)
                        for size, step in zip(sizes, steps, strict=True)
                    }
                    for what in ("cpu", "wall", "peak_mb")
                },
                "flat": ratio <= MAX_RATIO,
                "small": all(step["peak_mb"] <= MAX_MB for step in steps),
            }
        )
    return rows


def show(found: dict[int, dict]) -> None:
    """Print the table and which bounds hold."""
    sizes, rows = sorted(set(found) - {SMALL}), compare(found)
    head = "".join(f"{size:>12,}" for size in sizes)
    print(f"{'':29}{'cost of each, or in all':>{len(head)}}  ratio   CPU s  wall s     MB")
    print(f"{'':29}{head}")
    for row in rows:
        costs = "".join(f"{cost:>9.2f} {row['unit']:2}" for cost in row["cost"].values())
        last = (row[what][sizes[-1]] for what in ("cpu", "wall", "peak_mb"))
        cpu, wall, peak = last
        faults = ", ".join(
            text
            for good, text in ((row["flat"], "not flat"), (row["small"], f"over {MAX_MB} MB"))
            if not good
        )
        print(
            f"{row['step']:29}{costs}{row['ratio']:>7.2f}{cpu:>8.1f}{wall:>8.1f}{peak:>7.0f}"
            f"  {faults}"
        )
    for what in ("bytes", "planned_bytes"):
        each = "".join(f"{found[size][what] / size:>10.0f} B" for size in sizes)
        print(f"{'bytes on disk' if what == 'bytes' else 'and of its message':29}{each}")
