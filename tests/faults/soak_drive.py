"""
The process of ``soak.py`` that sends: campaign after campaign until its time is over.

Its workers load this file too, so nothing heavy is imported before it is needed.
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from pushctl.jobs.delivery.deliver import Options, Report
    from tests.support import sending

KEPT = 3  # campaigns in the database; older ones go, so that it doesn't grow by itself
TIMEOUT = 1.0  # seconds until silence is a doubt
PATIENCE = 5.0  # seconds to wait for what a rate lets out next


@dataclass(frozen=True)
class Load:
    """How much is going on; a short run is over before a wide window is filled."""

    people: int = 20_000
    workers: int = 0  # as many as pushctl takes by itself
    window: int = 1_000  # requests in flight, for each worker and service
    rate: int = 0  # messages a second; 0: as fast as it can
    sprint: float = 0.0  # seconds at full speed before the rate holds, to fill the windows


FEW = 100  # messages


@dataclass
class Told:
    """What the process says of itself at its end."""

    messages: int = 0
    campaigns: int = 0
    wrong_sums: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)


def command(project: Path, seconds: float, load: Load) -> list[str]:
    """Return how to start this as a process of its own."""
    return [sys.executable, __file__, json.dumps([str(project), seconds, asdict(load)])]


def drive(folder: Path, seconds: float, load: Load) -> None:
    """Send campaign after campaign for *seconds*; print what was sent."""
    from pushctl import config as configs
    from pushctl.jobs.delivery import run as job
    from pushctl.jobs.delivery.pools import pool
    from pushctl.jobs.delivery.postbox import open_postbox
    from pushctl.push import vapid, workers
    from pushctl.store import Store
    from tests.support import sending

    changed = {"TIMEOUT": TIMEOUT, "WORKERS": load.workers}
    wanted = {f"PUSHCTL_PUSH__{name}": str(value) for name, value in changed.items() if value}
    config = configs.load(folder / "pushctl.toml", wanted)
    (key,) = vapid.load(config.keys)
    workers.start_executor = _kept(workers.start_executor)
    # A pool ends its processes itself, not by its executor alone: here they are to grow old.
    pool.ProcessPool._end = lambda self, _: setattr(self, "_executor", None)  # type: ignore
    # They outlive their campaign, whose letters alone a worker can write.
    pool.MANY = 10**9
    narrowed = _narrowed(open_postbox, load.window)
    job.open_postbox = narrowed  # type: ignore[attr-defined]
    told = Told()
    with Store(config.database) as store:
        scene = sending.Field(config, store, key)
        began = time.monotonic()
        # A few are sent in this process, which loads what the pool has loaded: that must
        # not look like a leak when it happens for the first time after the warm-up.
        few = scene.send(sending.soon(), name="few", limit=FEW)
        _count([few], told)
        _tidy(scene, few.campaign.id)
        while (passed := time.monotonic() - began) < seconds:
            told.campaigns += 1
            now = load if passed > load.sprint else replace(load, rate=0)
            _campaign(scene, told, now, began + seconds)
    print(json.dumps(vars(told)), flush=True)
    # The pool was kept from being shut down; its workers die with us.
    os._exit(0)


def _kept(executor: Any) -> Any:
    """Return an *executor* whose pool outlives the run, so that its workers grow old."""
    pools: list[Any] = []

    def kept(workers: int, postbox: Any, then: Any = None) -> Any:
        if not pools:
            pools.append(executor(workers, postbox, then))
        return pools[0]

    return kept


def _narrowed(open_postbox: Any, window: int) -> Any:
    """Return *open_postbox* with a smaller window, so that it is soon used to the full."""
    return lambda *given: replace(open_postbox(*given), window=window)


def _campaign(scene: "sending.Field", told: Told, load: Load, deadline: float) -> None:
    from tests.support import sending

    options = _options(load, deadline)
    wish = {"rate": f"{load.rate}/s"} if load.rate else {}
    name = f"soak {told.campaigns}"
    report = scene.send(sending.soon(), options=options, name=name, **wish)
    _count([report, *_later(scene, options)], told)
    (planned,) = scene.store.connection.execute(
        "SELECT count(*) FROM deliveries WHERE campaign_id = ?", (report.campaign.id,)
    ).fetchone()
    told.wrong_sums += planned != load.people
    _tidy(scene, report.campaign.id)


def _tidy(scene: "sending.Field", campaign: int) -> None:
    """Delete the rows of old campaigns, and let everybody receive messages again."""
    with scene.store.write() as connection:
        old = campaign - KEPT
        connection.execute("DELETE FROM deliveries WHERE campaign_id <= ?", (old,))
        connection.execute("DELETE FROM campaigns WHERE id <= ?", (old,))
        connection.execute("DELETE FROM subscription_changes")
        connection.execute(
            "UPDATE subscriptions SET state = 'active', failures = 0, small_payload = 0"
            " WHERE state <> 'active' OR failures OR small_payload"
        )


def _options(load: Load, deadline: float) -> "Options":
    from pushctl.jobs.delivery import deliver

    left = max(0.1, deadline - time.monotonic())
    return deliver.Options(patience=PATIENCE if load.rate else 0.0, seconds=left)


def _later(scene: "sending.Field", options: "Options") -> list["Report"]:
    """Send what had to wait of this campaign and of those before."""
    from pushctl.jobs.delivery import deliver
    from tests.support import sending

    now = sending.soon()
    return list(deliver.run_due(scene.store, scene.config, now, replace(options, patience=0.0)))


def _count(reports: Sequence["Report"], told: Told) -> None:
    for report in reports:
        told.outcomes.update(report.sent)
        told.messages += report.sent.total()


if __name__ == "__main__":
    project, lasting, wished = json.loads(sys.argv[1])
    drive(Path(project), lasting, Load(**wished))
