"""push/workers: processes that send, and end when and only when they should."""

import os
import pickle
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from pushctl import push
from pushctl.errors import ConfigError
from pushctl.model import Answer
from pushctl.push import Postbox, journal, workers
from tests.push.test_transport import letter, letters, postbox
from tests.support import ROOT, wire
from tests.support.program import environment, is_running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[wire.Wire]:
    def behave(request: wire.Request) -> wire.Answer:
        kind = request.path.split("/")[1]
        return wire.Answer(delay={"slow": 2.0, "calm": 0.01}.get(kind, 0.0))

    with wire.serve(tmp_path, behave) as running:
        yield running


@pytest.fixture
def box(tmp_path: Path, server: wire.Wire) -> Postbox:
    return postbox(tmp_path, server)


@pytest.fixture
def pool(box: Postbox) -> Iterator[ProcessPoolExecutor]:
    running = workers.start_executor(1, box)
    yield running
    running.shutdown(wait=True, cancel_futures=True)


def test_chunks_go_out_from_several_processes(box: Postbox, server: wire.Wire) -> None:
    chunks = [letters(200)[start : start + 50] for start in range(0, 200, 50)]
    with workers.start_executor(2, box) as pool:
        assert len(pool._processes) == 2
        answers = [
            outcome.answer
            for outcomes in pool.map(push.send_chunk, chunks, [box] * len(chunks))
            for outcome in outcomes
        ]
    assert Counter(answers) == {Answer.ACCEPTED: 200}
    assert server.bodies == {f"/push/{number}": 1 for number in range(200)}
    assert len(journal.recover(box.journal, "7").outcomes) == 200


def test_ctrl_c_is_the_parents_affair(pool: ProcessPoolExecutor, box: Postbox) -> None:
    (worker,) = pool._processes
    pool.submit(os.getpid).result()  # it has begun
    os.kill(worker, signal.SIGINT)
    (outcome,) = pool.submit(push.send_chunk, [letter(1)], box).result()
    assert outcome.answer is Answer.ACCEPTED
    assert pool.submit(os.getpid).result() == worker


def test_a_service_manager_that_ends_all_loses_nothing(
    pool: ProcessPoolExecutor, box: Postbox, server: wire.Wire
) -> None:
    """SIGTERM for the worker as well: what flies lands, the rest is held back."""
    (worker,) = pool._processes
    calm = [letter(n, endpoint=f"https://{wire.HOST}/calm/{n}") for n in range(500)]
    future = pool.submit(push.send_chunk, calm, box)
    wire.wait_until(lambda: bool(server.bodies))
    # Not from the parent, which would be its own pool ending it.
    subprocess.run(["/bin/sh", "-c", f"kill -TERM {worker}"], check=True)
    outcomes = future.result(timeout=20)
    sent = len(server.bodies)
    answers = Counter(outcome.answer for outcome in outcomes)
    assert answers == {Answer.ACCEPTED: sent, Answer.RETRY: 500 - sent}
    assert sent < 400


def test_a_pool_that_breaks_can_end_the_others(box: Postbox) -> None:
    pool = workers.start_executor(2, box)
    assert len({pool.submit(os.getpid).result() for _ in range(20)}) >= 1
    first, second = pool._processes.values()
    first.kill()
    wire.wait_until(lambda: not second.is_alive(), 10)
    pool.shutdown(wait=True)


_PARENT = """
import pickle, sys, time
from pushctl import push
from pushctl.push import workers

if __name__ == "__main__":
    letters, box = pickle.load(sys.stdin.buffer)
    pool = workers.start_executor(2, box)
    futures = [pool.submit(push.send_chunk, letters[n::4], box) for n in range(4)]
    print(*pool._processes, flush=True)
    time.sleep(60)
"""


def test_workers_die_with_a_killed_parent(
    tmp_path: Path, server: wire.Wire, box: Postbox
) -> None:
    script = tmp_path / "parent.py"
    script.write_text(_PARENT)
    slow = [letter(n, endpoint=f"https://{wire.HOST}/slow/{n}") for n in range(4)]
    parent = subprocess.Popen(
        [sys.executable, script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    pickle.dump((slow, box), parent.stdin)
    parent.stdin.close()
    workers = [int(word) for word in parent.stdout.readline().split()]
    assert len(workers) == 2
    wire.wait_until(lambda: len(server.bodies) >= 2, 10)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wire.wait_until(lambda: not any(map(is_running, workers)))
    # And what was on the wire is known.
    left = journal.recover(box.journal, "7")
    assert left.outcomes == {}
    assert {f"/slow/{delivery}" for delivery in left.started} >= set(server.bodies)


def test_a_target_that_is_not_loopback_is_refused_before_anything_starts(
    box: Postbox,
) -> None:
    with pytest.raises(ConfigError, match="no loopback address"):
        workers.start_executor(1, replace(box, loopback={wire.HOST: "8.8.8.8:443"}))


_ALONE = """
import os, signal, subprocess, sys, threading
from pushctl.push import workers

workers.ALONE_SECONDS = 0.2
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
waiting = threading.Thread(target=workers._wait_for_end, args=(1,))
waiting.start()
subprocess.run(["/bin/sh", "-c", f"kill -TERM {os.getpid()}"], check=True)
waiting.join()
sys.exit(9)  # not reached
"""


def test_a_worker_that_alone_was_told_to_end_ends() -> None:
    """It starts nothing more, so a parent that is to go on needs another."""
    done = subprocess.run([sys.executable, "-c", _ALONE], cwd=ROOT, timeout=20)
    assert done.returncode == 0


SIGNALLED = """
import os, signal, sys, time
from pathlib import Path
from pushctl import push
from pushctl.push import workers

for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda *_: None)
workers.prepare()
for _ in range(20):  # while the ancestor loads
    os.killpg(0, int(sys.argv[2]))
    time.sleep(0.01)
box = push.Postbox("mailto:me@shop.example", {}, Path(sys.argv[1]), "7", ())
with workers.start_executor(1, box) as pool:
    print(pool.submit(push.send_chunk, [], box).result())
"""


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_for_everybody_leaves_whom_workers_are_forked_from(
    tmp_path: Path, told: signal.Signals
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED, str(tmp_path), str(int(told))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        start_new_session=True,
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


REFUSED = (
    "BlockingIOError(11, 'Resource temporarily unavailable')",  # what fork() says
    'RuntimeError("can\'t start new thread")',
    "MemoryError()",
)


@pytest.mark.parametrize("error", [*REFUSED, "ValueError('a bug')"])
@pytest.mark.parametrize(
    "script",
    [
        # The process that workers are forked from, and those that it has forked.
        "import pushctl.push.fork_server\nraise ERROR",
        """
from pushctl.push import workers
def begin(*_):
    raise ERROR
workers._begin = begin
try:
    workers.begin(1, None)
except BaseException:
    raise SystemExit(1)
""",
        """
import threading
from pushctl.push import workers
for _ in range(2):
    workers._keep_shortages_quiet()
def begin():
    raise ERROR
thread = threading.Thread(target=begin)
thread.start(), thread.join()
raise SystemExit(1)
""",
    ],
    ids=["fork_server", "worker", "pool"],
)
def test_what_the_machine_refuses_is_no_traceback(script: str, error: str) -> None:
    """The sender says it in one line; a bug stays one."""
    done = subprocess.run(
        [sys.executable, "-c", script.replace("ERROR", error)],
        capture_output=True, text=True, check=False, env=environment(),
    )  # fmt: skip
    assert done.returncode == 1
    if error in REFUSED:
        assert done.stderr == ""
    elif "_begin" not in script:  # there the pool prints it
        assert "ValueError: a bug" in done.stderr
