"""The report and the dashboard in real browsers: for everybody who may, for nobody else."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pushctl.dashboard.server import Dashboard
from pushctl.demo.browsers import processes
from pushctl.jobs.reports import page, schedule
from pushctl.jobs.reports.compose import Period
from pushctl.rules import timing
from tests.e2e.machine import Machine
from tests.support import NOON, npm, viewing
from tests.support.histories import History, make_random_history

AXE = "axe-core@4.11.0"
HOSTILE = (
    "<img src=x onerror=\"document.title='hurt'\"></text><script>document.title='hurt'</script>"
)
EARNED = "earned: 12"
PEOPLE = [
    (language, dark, size)
    for language in ("en", "ar")
    for dark, size in ((False, "desktop"), (True, "phone"))
]
# What a page of somebody else tries; each ends in "nothing", or in what it got.
THEFTS = """(async () => {
  const url = 'http://127.0.0.1:PORT/';
  const got = [];
  for (const mode of ['cors', 'no-cors']) {
    const said = await fetch(url, { mode, credentials: 'include' })
      .then((it) => it.text()).catch(() => '');
    got.push(said);
  }
  const framed = document.createElement('iframe');
  const loaded = new Promise((done) => { framed.onload = framed.onerror = done; });
  framed.src = url;
  document.body.append(framed);
  await loaded;
  try { got.push(framed.contentDocument?.body?.textContent ?? ''); } catch { got.push(''); }
  return got;
})()"""


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    made = make_random_history(11, tmp_path_factory.mktemp("report") / "shop", people=60)
    yield made
    made.close()


def write_page(history: History, folder: Path, language: str) -> str:
    today = timing.local(NOON, history.config.zone).date()
    period = Period(today - timedelta(days=120), today - timedelta(days=1))
    wish = schedule.Wish(language=language)
    report = schedule.compose_with_plan(history.store, history.config, wish, period, NOON)
    file = folder / f"{language}.html"
    file.write_text(page.render(report), "utf-8")
    return file.as_uri()


def test_nobody_is_shut_out_of_a_report(
    machine: Machine, history: History, tmp_path: Path
) -> None:
    """axe-core, over the page that is also the dashboard's."""
    if machine.kind != "chromium":
        pytest.skip("axe-core judges the same elements in every browser: once is enough")
    axe = (npm.installed(AXE, tmp_path) / "axe.min.js").read_text("utf-8")
    browser: Any = machine.browser
    made = {language: write_page(history, tmp_path, language) for language in ("en", "ar")}
    for language, dark, size in PEOPLE:
        viewing.look(browser, size=size, dark=dark)
        browser.open(made[language])
        browser.evaluate(f"(() => {{ {axe}; return 0 }})()")
        found = browser.evaluate(
            "axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice']"
            " }).then(({ violations, passes }) => ({ checked: passes.length, violations:"
            " violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]) }))"
        )
        assert found["checked"] > 15  # it has looked
        assert found["violations"] == [], (language, dark, size)
    machine.clear()


def test_a_report_fits_every_person_and_screen_and_runs_nothing(
    machine: Machine, history: History, tmp_path: Path
) -> None:
    with history.store.write() as connection:
        connection.execute("UPDATE campaigns SET name = name || ?", (HOSTILE,))
        connection.execute("UPDATE subscriptions SET country = ?", (HOSTILE,))
    browser: Any = machine.browser
    made = {language: write_page(history, tmp_path, language) for language in ("en", "ar")}
    for language, dark, size in PEOPLE:
        viewing.look(browser, size=size, dark=dark)
        browser.open(made[language])
        assert browser.evaluate("document.title") not in ("", "hurt")
        assert browser.evaluate("document.querySelectorAll('img, script, iframe').length") == 0
        # Only charts and tables are wider than a phone, and they scroll by themselves.
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert browser.evaluate(wide) <= 0, (language, dark, size)
        # No text of a chart is cut off at its sides.
        assert browser.evaluate(CUT) == [], (language, dark, size)
    machine.clear()


CUT = """[...document.querySelectorAll('svg.chart')].flatMap((svg) => {
  const whole = svg.getBoundingClientRect();
  return [...svg.querySelectorAll('text')].filter((text) => {
    const own = text.getBoundingClientRect();
    return own.left < whole.left - 2 || own.right > whole.right + 2;
  }).map((text) => text.textContent);
})"""


@contextmanager
def serving(dashboard: Dashboard) -> Iterator[int]:
    stop = threading.Event()
    thread = threading.Thread(target=dashboard.serve, args=(60, stop))
    thread.start()
    try:
        yield int(dashboard.gate.address.split(":")[2].split("/")[0])
    finally:
        stop.set()
        thread.join(10)


class _Elsewhere(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!DOCTYPE html><title>elsewhere</title><body></body>")

    def log_message(self, *_: object) -> None: ...


@contextmanager
def elsewhere() -> Iterator[int]:
    """Another program of this machine with a web page: its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere)
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.05))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def test_the_dashboard_opens_where_it_was_asked_for_and_for_no_other_page(
    machine: Machine,
) -> None:
    browser: Any = machine.browser
    dashboard = Dashboard(lambda: f"<!DOCTYPE html><title>ours</title><p>{EARNED}</p>")
    with serving(dashboard) as port, elsewhere() as other:
        address = f"http://127.0.0.1:{port}/"
        browser.open(dashboard.gate.address)
        processes.wait_until(lambda: browser.evaluate("document.title") == "ours", "the page")
        assert browser.evaluate("location.href") == address  # the token is not in it
        assert browser.evaluate("document.cookie") == ""
        # The same address without a name, as a reload or a bookmark asks for it.
        browser.open(address)
        assert EARNED in browser.evaluate("document.body.textContent")
        # Cookies know no ports: of these two the first would send the cookie, too.
        for host in ("127.0.0.1", "localhost"):
            browser.open(f"http://{host}:{other}/")
            assert browser.evaluate("document.title") == "elsewhere"
            got = browser.evaluate(THEFTS.replace("PORT", str(port)))
            assert len(got) == 3
            assert not [said for said in got if EARNED in said]
        browser.open(f"http://localhost:{port}/")
        assert EARNED not in browser.evaluate("document.documentElement.textContent")
    machine.clear()
