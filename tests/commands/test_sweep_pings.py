"""Pings around a sweep: start, success, failure; nobody waits for them, no secret is told."""

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pushctl.jobs.webhooks import ping
from pushctl.store import Store, clocks
from tests.support import DAY, project, sending
from tests.support.program import Run, pushctl
from tests.support.sending import Field

SECRET = "Zm9vYmFyYmF6cXV4-0b1c"


class Watcher:
    """Whoever watches over sweeps: *asked* has the paths; *answer* is called before each."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: Callable[[str], int] = lambda _: 200
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                code = outer.answer(self.path)
                outer.asked.append(self.path.replace(SECRET, "ID"))
                self.send_response(code)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/{SECRET}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    made = Watcher()
    yield made
    made.close()


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    folder = tmp_path_factory.mktemp("pings") / "project"
    made = sending.field(folder)
    project.add(folder, "[sweep]\nping_start = true")
    yield made
    made.store.close()


def sweep(field: Field, url: str, *words: str) -> Run:
    variables = {"PUSHCTL_LOG__FILE": "pings.log"}
    folder = field.config.folder
    return pushctl("sweep", "--ping-url", url, *words, cwd=folder, **variables)


def test_a_good_sweep_is_start_and_success(field: Field, watcher: Watcher) -> None:
    assert sweep(field, watcher.url).code == 0
    assert watcher.asked == ["/ID/start", "/ID"]
    assert sweep(field, watcher.url, "--dry-run").code == 0
    assert len(watcher.asked) == 2


def test_a_bad_one_is_failure_and_one_that_may_not_begin_has_no_start(
    field: Field, watcher: Watcher
) -> None:
    path = clocks.name_lock(field.config.database)
    path.touch()
    clocks.restore(path, sending.soon() + 3 * DAY)  # the clock was set back since
    try:
        assert sweep(field, f"{watcher.url}?a=b").code == 3
    finally:
        clocks.restore(path, sending.soon())
    assert watcher.asked == ["/ID/fail?a=b"]


def test_a_start_that_is_not_answered_keeps_no_sweep_waiting(
    field: Field, watcher: Watcher
) -> None:
    seen: list[bool] = []

    def answer(path: str) -> int:
        if path.endswith("/start"):
            deadline = time.monotonic() + 4
            while len(list_ended()) == before and time.monotonic() < deadline:
                time.sleep(0.02)
            seen.append(len(list_ended()) > before)
        return 200

    def list_ended() -> list[object]:
        with Store(field.config.database) as store:
            return [run for run in store.runs.list_latest(50, "sweep") if run.finished_at]

    watcher.answer, before = answer, len(list_ended())
    assert sweep(field, watcher.url).code == 0
    assert seen == [True], "the sweep was done before its start was answered"
    assert watcher.asked == ["/ID/start", "/ID"], "and the end did not overtake it"


def test_a_watcher_that_fails_or_is_gone_fails_no_sweep_and_hears_no_secret(
    field: Field, watcher: Watcher
) -> None:
    watcher.answer = lambda _: 500
    run = sweep(field, watcher.url)
    assert run.code == 0 and "127.0.0.1" in run.err
    gone = sweep(field, f"http://127.0.0.1:9/{SECRET}")
    assert gone.code == 0 and "127.0.0.1" in gone.err
    odd = sweep(field, f"ftp://127.0.0.1/{SECRET}")
    assert odd.code == 0 and "no web address" in odd.err
    everything = run.err + gone.err + odd.err + _read_log(field)
    everything += pushctl("runs", "list", "--json", cwd=field.config.folder).out
    assert SECRET not in everything


def _read_log(field: Field) -> str:
    return (field.config.folder / "pings.log").read_text("utf-8")


def test_the_words_stand_before_the_query() -> None:
    assert ping.name("https://hc.example/id/?x=1", "start") == "https://hc.example/id/start?x=1"
    assert ping.name("https://hc.example", "fail") == "https://hc.example/fail"


def test_an_address_without_a_form_starts_nothing(tmp_path: Path) -> None:
    for url in ("hook", "http://", "http://[x"):
        one = ping.Start(url)
        one.wait()
        assert one._thread is None
