"""
The demo's last chapter: reminders that nobody sends, hours told in seconds.

The basket triggers of pushctl.toml.example are switched on, some more visitors leave
without paying, and ``pushctl sweep --now`` lives through the 93 minutes after that.
"""

import json
import re
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from pushctl import output, shipped
from pushctl.demo import processes
from pushctl.demo.crowd import Crowd
from pushctl.demo.telling import answering, chapter, wait
from pushctl.demo.world import World
from pushctl.errors import PushctlError

TRIGGER = "abandoned_basket_1"
MINUTE = 60.0

# What would make the demo depend on the hour, on chance, or on the day before.
_LEFT_OUT = re.compile(r"^(quiet|holdout|reentry) .*\n", re.MULTILINE)


def tell(world: World, crowd: Crowd) -> None:
    """Tell the chapter; PushctlError when a figure isn't what the visitors did."""
    chapter("While nobody watches", "Triggers, and the sweep that cron starts every minute.")
    processes.output_of(world.folder, "sweep")  # what came before tonight is old
    _switch_on(world.folder / "pushctl.toml")
    left = crowd.leave_tonight()
    moment = time.time()
    output.say(f"  {left} more put something into the basket and leave.")
    processes.run(world.folder, "triggers", "list")

    before = crowd.tally.shown, crowd.tally.bought
    output.say("  Three minutes later:")
    _sweep(world, crowd, moment + 3 * MINUTE + 5, left)
    shown, bought = crowd.tally.shown - before[0], crowd.tally.bought - before[1]
    output.say("  Ninety minutes after they saw it, a discount for who has not bought:")
    _sweep(world, crowd, time.time() + 91 * MINUTE, shown - bought)
    processes.run(world.folder, "import", show=False)

    again = crowd.tally.shown - before[0] - shown
    _compare(world, {"/1": (left, shown), "/2": (shown - bought, again)})
    processes.run(world.folder, "explain", _somebody(world), TRIGGER)


def _switch_on(file: Path) -> None:
    """Take away the "# " in front of the trigger, as a marketer does."""
    example = shipped.path("pushctl.toml.example").read_text("utf-8")
    found = re.search(rf"^# \[triggers\.{TRIGGER}\]\n(# .*\n)+", example, re.MULTILINE)
    if found is None:
        raise PushctlError(f"pushctl.toml.example has no trigger {TRIGGER}. This is a bug.")
    text = _LEFT_OUT.sub("", re.sub(r"^# ", "", found[0], flags=re.MULTILINE))
    with file.open("a") as config:
        config.write(f"\n{text}")


def _sweep(world: World, crowd: Crowd, at: float, messages: int) -> None:
    """Sweep as if it were *at*; the visitors answer the *messages* that go out."""
    moment = datetime.fromtimestamp(at).astimezone().isoformat(timespec="seconds")
    with answering(world, crowd) as done:
        processes.run(world.folder, "sweep", "--now", moment)
        wait(lambda: done() >= messages, "the reminders to arrive")


def _compare(world: World, expected: Mapping[str, tuple[int, int]]) -> None:
    """Hold what stats counts, accepted and shown, against what the visitors did."""
    rows = json.loads(processes.output_of(world.folder, "stats", "--json"))
    counted = {row["name"]: (row["accepted"], row["shown"]) for row in rows}
    for step, figures in expected.items():
        if figures != (0, 0) and counted.get(TRIGGER + step) != figures:
            raise PushctlError(
                f"step {step[1:]} reached {figures[0]} visitors and {figures[1]} saw it, but "
                f"stats counts {counted.get(TRIGGER + step)}. This is a bug; the project is "
                f"in {world.folder}."
            )
    told = " and then ".join(f"{accepted}" for accepted, _ in expected.values())
    output.say(f"  {told} reminders, each once, and nobody who had bought.", "green")


def _somebody(world: World) -> str:
    """Return one who got both reminders, or at least one."""
    rows = json.loads(processes.output_of(world.folder, "leads", TRIGGER, "--json"))
    return str(max(rows, key=lambda row: int(row["step"]))["subscriber"])
