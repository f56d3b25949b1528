"""
jobs/delivery/cluster with Dask's own scheduler and workers, over TLS on this machine.

The long form, with kills at random: `tests/proofs/cluster.py`.
"""

import base64
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pushctl.config import Config
from pushctl.config.cluster import ClusterConfig
from pushctl.demo.pushservice import PushService
from pushctl.errors import BusyError, ConfigError
from pushctl.jobs.campaigns import manage
from pushctl.jobs.delivery import deliver
from pushctl.jobs.delivery.pools import pool
from pushctl.jobs.delivery.pools.cluster import check_ready
from pushctl.model import Cause
from pushctl.push.cluster import scheduler
from tests.support import NOON, ROOT, p256dh, program, sending
from tests.support.cluster import Cluster, kill, running, wait_until
from tests.support.rows import deliveries

PEOPLE = 1_200


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("cluster"), 1, lease=20.0) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared: Cluster) -> Cluster:
    """A cluster with a scheduler and one worker."""
    if shared.scheduler is None or shared.scheduler.poll() is not None:
        shared.start_scheduler()
    shared.workers = [one for one in shared.workers if one.poll() is None]
    shared.start_workers(1 - len(shared.workers))
    return shared


@pytest.fixture
def field(
    tmp_path: Path, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> Iterator[sending.Field]:
    """A project with people; its campaigns are large enough for a cluster."""
    monkeypatch.setattr(pool, "FEW", 0)
    made = sending.field(tmp_path / "project", service)
    made.people(PEOPLE)
    yield made
    made.store.close()


def by(config: Config, cluster: Cluster, **changes: object) -> Config:
    """Return *config* with *cluster* in it."""
    at = cluster.folder / "certificates"
    given = ClusterConfig(
        cluster.address, at / "ca.pem", at / "coordinator.pem", at / "coordinator-key.pem",
        lease=cluster.lease,
    )  # fmt: skip
    return replace(config, cluster=replace(given, **changes))  # type: ignore[arg-type]


def in_the_middle(act: Callable[[], None]) -> deliver.Options:
    """Return options of a run that does *act* once, while letters are under way."""
    done: list[int] = []

    def progress(ended: int) -> None:
        if not done and ended:
            done.append(ended)
            act()

    return deliver.Options(progress=progress)


def read_of(service: PushService) -> Counter[str]:
    return Counter(receipt.path for receipt in service.receipts())


def search(folder: Path, secrets: list[bytes]) -> list[Path]:
    """Return the files below *folder* with one of *secrets* in them."""
    return [
        file
        for file in folder.rglob("*")
        if file.is_file() and file.parent.name != "certificates"
        if any(secret in file.read_bytes() for secret in secrets)
    ]


@pytest.mark.slow
def test_a_campaign_goes_out_and_no_secret_touches_a_workers_disk(
    field: sending.Field, cluster: Cluster, service: PushService
) -> None:
    (pem,) = (file.read_bytes() for file in field.config.keys.glob("*.pem"))
    secrets = [pem.splitlines()[1][:32], b"/wpush/v2/0", p256dh(7)[1:33]]
    secrets.append(base64.urlsafe_b64encode(p256dh(7)[1:31]))
    found: list[Path] = []
    held: list[int] = []

    def look() -> None:
        found.extend(search(cluster.folder, secrets))
        held.append(field.store.connection.execute("SELECT count(*) FROM leases").fetchone()[0])

    assert search(field.config.folder, secrets)  # the search finds them where they are
    campaign = field.freeze()
    config = by(field.config, cluster)
    deliver.run(field.store, config, campaign, NOON, in_the_middle(look))
    assert deliveries(field.store, campaign.id) == {"accepted": PEOPLE}
    assert read_of(service).total() == PEOPLE == len(read_of(service))
    assert held[0] > 0  # while letters were under way
    assert field.store.connection.execute("SELECT count(*) FROM leases").fetchone() == (0,)
    assert not list(field.config.journal.glob("*.journal"))
    assert found == search(cluster.folder, secrets) == []
    assert b"Registered to" in (cluster.folder / "w1.log").read_bytes()


@pytest.mark.slow
def test_workers_leave_and_join_in_the_middle(
    field: sending.Field, cluster: Cluster, service: PushService
) -> None:
    def change() -> None:
        kill(cluster.workers.pop())
        cluster.start_workers(1)

    service.play([{"delay": [0.01, 0.05]}])
    campaign = field.freeze()
    config = by(field.config, cluster)
    deliver.run(field.store, config, campaign, NOON, in_the_middle(change))
    counts = deliveries(field.store, campaign.id)
    assert sum(counts.values()) == PEOPLE
    assert counts.keys() <= {"accepted", "in_doubt"}
    read = read_of(service)
    assert max(read.values()) == 1
    assert counts["accepted"] <= len(read) <= PEOPLE
    causes = field.store.connection.execute(
        "SELECT DISTINCT cause FROM deliveries WHERE status = 'in_doubt'"
    ).fetchall()
    assert causes in ([], [(Cause.SENDER_STOPPED,)])


@pytest.mark.slow
def test_a_killed_coordinator_leaves_in_doubt_what_its_journals_say(
    field: sending.Field, cluster: Cluster, service: PushService, tmp_path: Path
) -> None:
    field.people(1_200, first=PEOPLE)  # a process of its own has the usual bound
    service.play([{"delay": [0.01, 0.05]}])
    sending.lead_to(field.config.folder, service)
    with (field.config.folder / "pushctl.toml").open("a") as file:
        file.write(f"\n{cluster.settings()}")
    campaign = field.freeze(sending.soon())
    process = subprocess.Popen(
        [*program.PROGRAM, "campaigns", "resume", campaign.name],
        cwd=field.config.folder,
        env=program.environment({"PYTHONPATH": str(ROOT)}),
        stderr=(tmp_path / "errors.log").open("wb"),
    )
    wait_until(lambda: len(service.receipts()) > 200, "nothing was sent")
    process.kill()
    process.wait()
    ends = field.store.leases.find_end(campaign.id, sending.soon())
    assert ends is not None and ends <= sending.soon() + 20_000
    report = deliver.run(field.store, field.config, campaign, sending.soon())
    counts = deliveries(field.store, campaign.id)
    assert counts.get("in_doubt", 0) == report.settled
    assert sum(counts.values()) == 2 * PEOPLE
    assert max(read_of(service).values()) == 1
    # Its workers may not know yet: nobody sends those in doubt again before their leases end.
    if counts.get("in_doubt"):
        with pytest.raises(BusyError, match="workers of the cluster may still be sending"):
            manage.send_again(field.store, field.config, campaign.name, ends - 1_000)
        assert (
            manage.send_again(field.store, field.config, campaign.name, ends)
            == counts["in_doubt"]
        )


@pytest.mark.slow
def test_without_its_scheduler_a_run_ends_and_another_goes_on(
    field: sending.Field, cluster: Cluster, service: PushService
) -> None:
    service.play([{"delay": [0.01, 0.05]}])
    campaign = field.freeze()
    config = by(field.config, cluster)
    assert cluster.scheduler is not None
    lost = cluster.scheduler
    with pytest.raises(ConfigError, match=r"is lost.*pushctl campaigns resume"):
        deliver.run(field.store, config, campaign, NOON, in_the_middle(lambda: kill(lost)))
    counts = deliveries(field.store, campaign.id)
    assert "sending" not in counts and counts["planned"] > 0
    service.play([])
    deliver.run(field.store, field.config, campaign, NOON)
    counts = deliveries(field.store, campaign.id)
    assert counts.keys() <= {"accepted", "in_doubt"} and sum(counts.values()) == PEOPLE
    assert max(read_of(service).values()) == 1


@pytest.mark.slow
def test_ctrl_c_ends_well(field: sending.Field, cluster: Cluster, service: PushService) -> None:
    service.play([{"delay": [0.01, 0.05]}])
    campaign = field.freeze()
    options = in_the_middle(lambda: signal.raise_signal(signal.SIGINT))
    report = deliver.run(field.store, by(field.config, cluster), campaign, NOON, options)
    counts = deliveries(field.store, campaign.id)
    assert report.interrupted
    assert counts.keys() == {"accepted", "planned"}
    assert len(read_of(service)) == counts["accepted"]
    assert field.store.campaigns.get(campaign.name).status == "paused"


def test_few_messages_need_no_cluster(sender: sending.Field, tmp_path: Path) -> None:
    config = by(sender.config, Cluster(tmp_path, port=1))
    postbox = deliver.open_postbox(config, "1")
    assert isinstance(pool.open_pool(config, postbox, pool.FEW), pool.OwnProcess)


def test_what_is_missing_is_said_before_anything_is_frozen(
    sender: sending.Field, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = Cluster(tmp_path, encrypted=False, port=1)
    config = by(sender.config, nowhere)
    with pytest.raises(
        ConfigError, match=r"tcp://127.0.0.1:1 can't be reached.*dask scheduler"
    ):
        deliver.check_ready(sender.store, config)
    encrypted = by(sender.config, replace(nowhere, encrypted=True), ca=None)
    with pytest.raises(ConfigError, match=r"needs certificates.*docs/cluster.md"):
        check_ready(encrypted)
    monkeypatch.setattr(scheduler, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as raised:
        check_ready(config)
    assert (
        str(raised.value) == "a cluster needs another package: pip install 'pushctl[cluster]'"
    )


def test_dask_is_loaded_for_a_cluster_alone() -> None:
    named = re.compile(r"^\s*(?:import|from) (?:dask|distributed|tornado)\b", re.MULTILINE)
    for file in (ROOT / "pushctl").rglob("*.py"):
        assert not named.search(file.read_text("utf-8")), file
    code = """
import sys
from pushctl import cli
from pushctl.commands import campaigns, send, sweep
from pushctl.jobs.delivery import deliver
from pushctl.jobs.delivery.pools import pool
from pushctl.jobs.sweep import watch
from pushctl.push import chunk, workers
loaded = {name.partition(".")[0] for name in sys.modules}
print(sorted(loaded & {"dask", "distributed", "tornado"}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_time_of_a_lease_is_the_runs_to_give(sender: sending.Field) -> None:
    sender.people(1)
    campaign, leases = sender.freeze(), sender.store.leases
    leases.begin(campaign.id, "a", 500, NOON, NOON + 30_000)
    leases.begin(campaign.id, "b", 500, NOON, NOON + 30_000)
    leases.renew(["a"], NOON + 60_000)
    assert leases.find_end(campaign.id, NOON) == NOON + 60_000
    leases.end(["a"])
    assert leases.find_end(campaign.id, NOON) == NOON + 30_000
    leases.forget_ended(NOON + 29_999)
    assert leases.find_end(campaign.id, NOON) == NOON + 30_000
    leases.forget_ended(NOON + 30_000)
    assert leases.find_end(campaign.id, NOON) is None
