"""
Whatever a shop's page is, has or calls: it goes on, and people are subscribed.

Two browsers that can't run here are imitated in the page: an old Safari (no randomUUID) and a
Brave whose push service is off (PushManager.subscribe() rejects).
"""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from pushctl.demo.browsers import processes
from tests.e2e.machine import Machine
from tests.e2e.world import Shop, World
from tests.support import ROOT, viewing

pytestmark = pytest.mark.browser

PROMPT = "document.querySelector('pushctl-prompt')?.shadowRoot.querySelector"
DIALOG = "document.querySelector('pushctl-preferences')?.shadowRoot.querySelector"
ALLOW = "pushctl-prompt >>> .allow"

# Before the script: time runs fifty times faster, and what the page has to bear is noted.
HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>The shop</title>
<link rel="icon" href="data:,">
<script>
  window.faults = [];
  addEventListener("error", ({ message }) => faults.push(message));
  addEventListener("unhandledrejection", ({ reason }) => faults.push(String(reason)));
  const wait = setTimeout;
  window.said = [];
  console.info = (...all) => said.push(all.join(" "));
  window.setTimeout = (call, pause, ...more) => wait(call, pause / 50, ...more);
  EARLY
</script>"""
BODY = """<h1>The shop</h1><button id="ask">Ask me</button>
<script src="/pushctl.js"></script>
<script>
  document.querySelector("#ask").onclick = () => {
    pushctl.prompt({ again: true }).then((answer) => (window.asked = answer));
  };
</script></html>"""
# What a page is before the script comes.
EARLY = {
    "/old-safari": "delete Crypto.prototype.randomUUID; delete Array.prototype.at;",
    "/no-workers": "delete Navigator.prototype.serviceWorker;",
    # As with cookies that are refused.
    "/no-storage": """for (const name of ["localStorage", "indexedDB"]) {
      const get = () => { throw new DOMException("refused", "SecurityError"); };
      Object.defineProperty(window, name, { get });
    }""",
    "/called-before": """window.pushctl = [["track", "early"], null, ["nope"], [Symbol("x")], 7,
      ["prompt", null], () => { throw null; }, ["cart", { itms: [] }]];""",
    "/import": "window.pushctl = []; pushctl.options = { worker: '/import.js' };",
}
STRICT = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'unsafe-inline\' SELF">'
)
FRAME = '<iframe sandbox="allow-scripts" src="/inner"></iframe>'

# Every call, with nothing and with what makes no sense; resolves to what was answered.
CALLS = """(async () => {
  const circle = {}; circle.self = circle;
  const answers = {};
  const given = { cart: [{ items: Array(60).fill({ id: 1n, price: 5, circle }) }],
    track: ["purchase", circle], subscribe: [{ attributes: circle }], identify: [circle],
    preferences: [{ into: "#nowhere" }],
    prompt: [{ pages: "/nowhere", variants: { a: null } }] };
  for (const name in pushctl) {
    if (typeof pushctl[name] !== "function") continue;
    // These two would wait for a person.
    if (!/prompt|preferences/.test(name)) {
      await pushctl[name]();
      await pushctl[name](null, circle, 2n);
    }
    answers[name] = await pushctl[name](...(given[name] ?? []));
  }
  await pushctl.ready;
  return { ...answers, faults };
})()"""


class PageShop(Shop):
    """Every path is a page with the script; some are peculiar."""

    receiver = ""

    def page(self, path: str) -> tuple[str, bytes]:
        name = path.partition("?")[0]
        if name == "/odd.mjs":
            return "text/javascript", (ROOT / "tests/sw/odd.mjs").read_bytes()
        if name == "/import.js":
            return "text/javascript", f'importScripts("{self.receiver}/pushctl-sw.js")'.encode()
        if name.endswith(".js"):
            return super().page(path)
        if name == "/frame":
            return "text/html", (HEAD + FRAME).encode()
        early = EARLY.get(name, "")
        strict = (
            STRICT.replace("SELF", f"{self.origin}/pushctl.js") if name == "/strict" else ""
        )
        inner = BODY + INNER if name == "/inner" else BODY
        return "text/html", (strict + HEAD.replace("EARLY", early) + inner).encode()


INNER = f"""<script>
  {CALLS}.then((told) => parent.postMessage(JSON.stringify(told), "*"));
</script>"""


class PageWorld(World):
    """A project whose site has an origin for each test: nothing is remembered there."""

    granted = False

    def _open(self, stack: ExitStack) -> None:
        self._shops = [PageShop() for _ in range(10)]
        for shop in self._shops:
            stack.callback(shop.close)
        self.shop = self._shops[0]
        self._make_project()
        file = self.folder / "pushctl.toml"
        origins = json.dumps([shop.origin for shop in self._shops[1:]])
        text, found = re.subn(
            rf'(?m)^(origin\s*= "{self.shop.origin}").*$',
            rf"\1\norigins = {origins}",
            file.read_text(),
        )
        assert found == 1
        file.write_text(text)
        stack.callback(lambda: self.receiver.end())
        self.receiver = self._receive()
        for shop in self._shops:
            shop.scripts = self.folder / "sw"
            shop.receiver = f"http://{self._listen}"

    def restart(self) -> None:
        self.receiver = self._receive()

    def fresh(self) -> None:
        """Go on at an origin where nobody was."""
        self._machine.clear()
        self.shop = self._shops.pop()

    def go(self, path: str = "/") -> None:
        self.browser.open(self.shop.origin + path)
        self.wait("Boolean(window.pushctl?.ready)")

    def allow(self) -> None:
        """What a person has answered the browser before."""
        self.go()
        self.browser.grant()

    def wait(self, expression: str) -> Any:
        return processes.wait_until(lambda: self.js(expression), expression, 20)

    def subscribed(self) -> bool:
        return bool(self.js("pushctl.state().then(({ subscribed }) => subscribed)"))

    def table(self, sql: str) -> list[Any]:
        import sqlite3

        self.pushctl("import")
        with closing(sqlite3.connect(self.folder / "pushctl.db")) as database:
            return database.execute(sql).fetchall()


@pytest.fixture(scope="module")
def everywhere(
    machine: Machine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PageWorld]:
    with PageWorld(machine, tmp_path_factory.mktemp("page")) as world:
        yield world


@pytest.fixture
def world(everywhere: PageWorld) -> Iterator[PageWorld]:
    everywhere.fresh()
    yield everywhere
    assert everywhere.js("window.faults ?? []") == []


def test_no_call_hurts_a_page(world: PageWorld) -> None:
    for path in (*EARLY, "/strict"):
        world.go(path)
        told = world.js(CALLS)
        assert told.pop("faults") == []
        assert {told[name] for name in ("track", "cart", "identify", "tag")} == {False}
        assert told["prompt"] == "skipped"
        # Nobody is asked without a click.
        assert told["subscribe"] == ("unsupported" if path == "/no-workers" else "default")


def test_no_call_hurts_a_page_on_plain_http(world: PageWorld) -> None:
    port = world.shop.origin.rpartition(":")[2]
    world.browser.open(f"http://plain.test:{port}/")
    world.wait("Boolean(window.pushctl?.ready)")
    assert world.js("[isSecureContext, typeof crypto.randomUUID]") == [False, "undefined"]
    told = world.js(CALLS)
    assert told["faults"] == []
    assert {told[name] for name in ("track", "cart", "identify", "tag")} == {False}
    assert (told["subscribe"], told["prompt"]) == ("unsupported", "skipped")


def test_no_call_hurts_a_frame_without_an_origin(world: PageWorld) -> None:
    world.go()
    heard = "addEventListener('message', ({ data }) => (window.told = JSON.parse(data)), 0)"
    frame = "document.body.insertAdjacentHTML('beforeend', '%s')" % FRAME  # noqa: UP031
    world.js(f"({heard}, {frame}, 0)")
    told = world.wait("window.told")
    assert told["faults"] == []
    assert told["state"]["supported"] is told["state"]["subscribed"] is False
    assert (told["subscribe"], told["prompt"]) == ("unsupported", "skipped")


def test_whatever_a_shop_tells_arrives(world: PageWorld) -> None:
    world.allow()
    world.js(r"pushctl.subscribe({ tags: 'x', tag: 'z', attributes: { note: '\ud83d' } })")
    world.wait("pushctl.tag()")
    odd = "Object.entries((await import('/odd.mjs')).oddities())"
    calls = f"for (const [what, one] of {odd}) told.push(await pushctl.track('purchase', one))"
    told = world.js(f"(async () => {{ const told = []; {calls}; return told }})()")
    assert len(told) >= 18
    items = "Array.from({ length: 1000 }, (_, id) => ({ id, price: 0.1, quantity: 2 }))"
    assert world.js(f"pushctl.cart({{ items: {items}, currency: 'EUR' }})") is True
    assert world.js("pushctl.cart({ itms: [1] })") is False
    assert world.js("pushctl.identify('customer-7', 'ab'.repeat(32))") is False
    ((bought,),) = world.table("SELECT count(*) FROM events WHERE name = 'purchase'")
    assert bought == len(told)
    (basket,) = world.table("SELECT properties FROM events WHERE name LIKE 'cart_%'")
    properties = json.loads(basket[0])
    assert (properties["count"], properties["total"]) == (2000, 200)
    lamp = r"{ items: [{ id: 2 ** 60, name: 'Brass lamp \ud83d', price: 49, quantity: 2 }] }"
    assert world.js(f"pushctl.cart({lamp})") is True
    later = "SELECT properties FROM events WHERE name LIKE 'cart_%' ORDER BY rowid DESC"
    item = json.loads(world.table(later)[0][0])["items"][0]
    assert (item["name"], item["price"]) == ("Brass lamp \ufffd", 49)
    assert item["id"] == "1152921504606847000"
    assert world.table("SELECT name FROM tags WHERE name IN ('x', 'z')") == [("x",)]
    assert world.table("SELECT alias FROM subscriptions WHERE alias IS NOT NULL") == []


def test_a_carts_key_stays_and_is_told_until_somebody_refuses(world: PageWorld) -> None:
    world.allow()
    key = world.js("pushctl.cartKey()")
    assert re.fullmatch(r"[\w-]{22}", key)
    world.go("/?pushctl_debug")
    assert world.js("pushctl.cartKey()") == key
    assert world.js("pushctl.subscribe()") == "granted"
    assert world.js(f"pushctl.identify({{ emailHash: '{'0f' * 32}' }})") is True
    lines = "".join(file.read_text() for file in (world.folder / "inbox").glob("*.seg"))
    assert lines.count(key) == 2
    assert lines.count("0f" * 32) == 1
    assert world.table("SELECT key FROM cart_keys") == [(key,)]
    hashed = "SELECT lower(hex(email_hash)) FROM subscriptions ORDER BY id DESC"
    assert world.table(hashed)[0] == ("0f" * 32,)
    said = world.js("said")
    assert "not subscribed" in said[0]
    assert [line.split()[1:4] for line in said[1:]] == [
        ["to", "/v1/subscribe", said[1].split()[3]],
        ["from", "/v1/subscribe", "204"],
        ["to", "/v1/identify", said[3].split()[3]],
        ["from", "/v1/identify", "204"],
    ]
    for allowed, given in (("false", None), ("true", str)):
        world.js(f"pushctl.consent({{ tracking: {allowed} }})")
        assert isinstance(world.js("pushctl.cartKey()"), given or type(None))
        refused = "SELECT tracking_refused_at IS NOT NULL FROM subscriptions ORDER BY id DESC"
        assert world.table(refused)[0] == (allowed == "false",)


def test_who_accepts_in_an_outage_is_told_of_on_the_same_page(world: PageWorld) -> None:
    world.allow()
    before = world.table("SELECT id FROM subscriptions")
    world.go("/import")
    world.receiver.end()
    try:
        assert world.js("pushctl.subscribe()") == "failed"
        assert world.js("pushctl.track('page_view')") is False
        assert not world.subscribed()
    finally:
        world.restart()
    world.wait("pushctl.state().then(({ subscribed }) => subscribed)")
    world.wait("!JSON.parse(localStorage.pushctl).events.length")
    assert len(world.table("SELECT id FROM subscriptions")) == len(before) + 1


def test_a_permission_that_is_there_needs_our_question_alone(world: PageWorld) -> None:
    world.allow()
    world.go()
    world.js("(pushctl.prompt(), 0)")
    world.wait(f"Boolean({PROMPT}('.allow'))")
    world.browser.click(ALLOW)
    world.wait("pushctl.state().then(({ subscribed }) => subscribed)")
    world.go()
    assert world.js("pushctl.prompt()") == "skipped"

    # Whoever has turned it off here is asked on a click of theirs, and by nothing else.
    erase = ("erase", "yes")
    for leave in ("pushctl.unsubscribe()", None):
        if leave:
            world.js(leave)
        else:
            world.js("(pushctl.preferences(), 0)")
            for row in erase:
                world.wait(f"Boolean({DIALOG}('.{row}'))")
                world.browser.click(f"pushctl-preferences >>> .{row}")
            world.wait(f"{DIALOG}('.said').textContent.includes('deleted')")
        world.go()
        assert not world.subscribed()
        assert world.js("pushctl.prompt()") == "skipped"
        assert world.js("pushctl.prompt({ again: true })") == "skipped"
        world.browser.click("#ask")
        world.wait(f"Boolean({PROMPT}('.allow'))")
        world.browser.click(ALLOW)
        assert world.wait("window.asked") == "granted"


def test_a_push_service_that_fails_is_said_and_counted_as_such(world: PageWorld) -> None:
    world.go()
    # Chromium: a database that is made as its page goes away would hold up the next page.
    world.js("(pushctl.track('page_view'), 0)")
    world.go("/lamps")
    brave = """(() => {
      window.real = PushManager.prototype.subscribe;
      PushManager.prototype.subscribe = async () => {
        throw new DOMException("Registration failed - push service error", "AbortError");
      };
    })()"""
    world.js(brave)
    world.js("(pushctl.prompt({ kind: 'bar' }).then((answer) => (window.asked = answer)), 0)")
    world.wait(f"Boolean({PROMPT}('.allow'))")
    world.browser.grant()
    world.browser.click(ALLOW)
    assert world.wait("window.asked") == "failed"
    counted = "SELECT stage FROM prompt_counts WHERE variant = 'bar' ORDER BY stage"
    expected = [("accepted",), ("failed",), ("seen",), ("visit",)]
    processes.wait_until(lambda: world.table(counted) == expected, "the stages")
    world.js("(PushManager.prototype.subscribe = real, 0)")
    world.wait("pushctl.state().then(({ subscribed }) => subscribed)")


def test_a_click_finds_the_tab_by_what_it_shows(world: PageWorld) -> None:
    world.allow()
    world.js("pushctl.subscribe()")
    world.wait("pushctl.tag('Clicks')")
    arrived = "SELECT 1 FROM tags WHERE name = 'Clicks'"
    processes.wait_until(lambda: world.table(arrived), "the tag")
    target = f"{world.shop.origin}/cart"

    def click(name: str) -> None:
        text = {"en": f'title = "{name}"\nbody = "Here"\n'}
        world.template(name, text, f'url = "{target}"\n')
        world.pushctl("import")
        world.pushctl("send", "--template", name, "--yes", "--name", name, "--tag", "Clicks")
        world.desktop.click(world.desktop.wait(name))

    # Loaded elsewhere, and shows it now.
    world.js("(history.pushState({}, '', '/cart'), window.mark = 1, 0)")
    click("shown")
    clicked = "SELECT count(*) FROM interactions WHERE kind = 'clicked'"
    processes.wait_until(lambda: world.table(clicked) == [(1,)], "the click")
    assert world.browser.tabs() == [target]
    # Loaded there, and shows something else now.
    world.go("/cart")
    world.js("(history.pushState({}, '', '/lamps'), 0)")
    click("gone")
    world.browser.switch(target)
    assert sorted(world.browser.tabs()) == sorted([target, f"{world.shop.origin}/lamps"])


def test_preferences_withdraw_the_invitation_and_name_the_browser(world: PageWorld) -> None:
    world.go()
    world.js("(pushctl.prompt().then((answer) => (window.asked = answer)), 0)")
    world.wait(f"Boolean({PROMPT}('.allow'))")
    world.js("(pushctl.preferences(), 0)")
    world.wait(f"Boolean({DIALOG}('dialog')?.open)")
    assert world.js("window.asked") == "skipped"
    world.browser.grant()
    assert world.js("document.querySelector('pushctl-prompt')") is None
    assert world.js("pushctl.prompt()") == "skipped"
    world.wait(f"Boolean({DIALOG}('.allow'))")
    world.browser.click("pushctl-preferences >>> .allow")
    world.wait(f"Boolean({DIALOG}('.pause'))")
    own = world.wait(f"{DIALOG}('.id bdi')?.textContent")
    world.pushctl("import")
    shown = world.rows("subscribers", "show", own)
    assert shown["state"] == "active"
    viewing.rest(world.browser)
