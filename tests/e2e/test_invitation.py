"""
The invitation and the preferences in real browsers: how they look, what they do.

PUSHCTL_PICTURES=folder keeps a screenshot of everything that is looked at here, as it
stands in the shop's page. How ours looks by itself is held against docs/pictures/looks.
"""

import json
import os
import sqlite3
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from pushctl.demo.browsers import processes
from tests.e2e.machine import Machine
from tests.e2e.test_shop import ShopWorld
from tests.support import looks, npm, viewing

pytestmark = pytest.mark.browser

AXE = "axe-core@4.11.0"
KINDS = ("card", "bar", "inline", "bell")  # the bell stays where it was asked for
PEOPLE = list(product(("en", "ar"), (False, True), viewing.SIZES))
PICTURES = os.environ.get("PUSHCTL_PICTURES")

PROMPT = "document.querySelector('pushctl-prompt')?.shadowRoot.querySelector"
DIALOG = "document.querySelector('pushctl-preferences')?.shadowRoot.querySelector"

RULES = """
[[tag_rules]]
tag = "Saw the basket"
when = { page = "/basket" }
expires = "30d"

[[tag_rules]]
tag = "Browsed the collection"
when = { click = "a[href='#collection']" }
"""

# What holds of every box of ours: inside the window, nothing cut off, buttons for fingers.
FACTS = """((box) => {
  const { left, right, top, bottom } = box.getBoundingClientRect();
  const buttons = [...box.querySelectorAll("button")].filter((one) => one.offsetParent);
  const cut = [...box.querySelectorAll("h2, p, b, small, button")].filter(
    ({ scrollWidth, clientWidth }) => clientWidth && scrollWidth > clientWidth + 1);
  return {
    inside: left >= 0 && right <= innerWidth && (top >= 0 && bottom <= innerHeight + 1),
    sideways: document.documentElement.scrollWidth > innerWidth,
    dir: getComputedStyle(box).direction,
    lang: box.lang,
    least: Math.min(...buttons.map((one) => one.getBoundingClientRect().height)),
    cut: cut.map((one) => one.textContent),
    back: getComputedStyle(box).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number),
  };
})"""


class InvitationWorld(ShopWorld):
    """The shop with a brand, and with rules that set tags."""

    def _make_project(self) -> None:
        super()._make_project()
        file = self.folder / "pushctl.toml"
        text = file.read_text().replace('# name = "The shop"', 'name = "Lamp & Loom"')
        file.write_text(text + RULES)

    def ask(self, kind: str, **options: Any) -> None:
        given = {"kind": kind, "again": True, "into": "#main", "privacy": "/privacy"} | options
        self.js(f"(pushctl.prompt({json.dumps(given)}), 0)")
        if kind == "bell":
            self.wait("Boolean(document.querySelector('pushctl-bell'))")
            self.browser.click("pushctl-bell >>> .ring")
        self.wait(f"Boolean({PROMPT}('.allow'))")
        self.js(f"({PROMPT}('section').scrollIntoView({{ block: 'nearest' }}), 0)")

    def put_off(self) -> None:
        """Say "later": the page can ask anew, without being loaded again."""
        self.browser.click("pushctl-prompt >>> .later")
        self.wait("!document.querySelector('pushctl-prompt')")

    def open_preferences(self, **options: Any) -> None:
        self.js(f"(pushctl.preferences({json.dumps(options)}), 0)")
        self.wait(f"Boolean({DIALOG}('.pause, .off'))")

    def choose(self, row: str) -> str:
        """Click a row of the preferences; return what they say then."""
        self.js(f"({DIALOG.replace('?.', '.')}('.said').textContent = '', 0)")
        self.browser.click(f"pushctl-preferences >>> .{row}")
        said: str = self.wait(f"{DIALOG}('.said')?.textContent")
        return said

    def table(self, sql: str) -> list[Any]:
        self.pushctl("import")
        with sqlite3.connect(self.folder / "pushctl.db") as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def world(machine: Machine, tmp_path: Path) -> Iterator[InvitationWorld]:
    with InvitationWorld(machine, tmp_path) as world:
        yield world


def subscribe(world: InvitationWorld, kind: str = "card", **options: Any) -> None:
    world.ask(kind, **options)
    world.browser.grant()  # what the person answers to the browser's own question
    world.browser.click("pushctl-prompt >>> .allow")
    world.wait("pushctl.state().then(({ subscribed }) => subscribed)")
    world.wait("pushctl.tag()")


def assert_looks_well(facts: dict[str, Any], spoken: str, dark: bool, size: str) -> None:
    assert facts["inside"] and not facts["sideways"], facts
    assert facts["dir"] == ("rtl" if spoken == "ar" else "ltr")
    assert facts["lang"] == spoken
    assert facts["cut"] == []
    assert facts["least"] >= (44 if size == "phone" else 40)
    assert (sum(facts["back"]) < 384) is dark


def seen(world: InvitationWorld, what: str, person: tuple[str, bool, str]) -> str | None:
    """Look at *what* stands on the page; return what differs from how it is meant to look."""
    spoken, dark, size = person
    name = f"{world.kind}-{what}-{spoken}-{'dark' if dark else 'light'}-{size}"
    viewing.rest(world.browser)
    viewing.picture(world.browser, PICTURES, name)
    world.js(looks.ALONE)
    return looks.check(world.browser, name)


# A button's style, and whether somebody who looks at the page would see another page.
CHANGES = {
    "": False,
    "translate: 1px 0": False,
    "translate: 6px 0": True,
    "translate: 0 -6px": True,
    "background: #b4663a": True,
    "border-radius: 4px": True,
    "font-size: 17px": True,
    "display: none": True,
}


def test_a_button_that_moved_or_looks_otherwise_is_seen(
    world: InvitationWorld, tmp_path: Path
) -> None:
    viewing.look(world.browser, size="desktop", dark=False)
    world.go("/?lang=en")
    world.ask("card", language="en")
    viewing.rest(world.browser)
    world.js(looks.ALONE)
    name = f"{world.kind}-card-en-light-desktop"
    seen = {}
    for number, change in enumerate(CHANGES):
        world.js(f"({PROMPT.replace('?.', '.')}('.allow').style = {change!r}, 0)")
        left = tmp_path / f"left-{number}"
        seen[change] = bool(looks.check(world.browser, name, left))
        files = sorted(path.name for path in left.glob("*"))
        assert files == ([f"{name}.difference.png", f"{name}.png"] if seen[change] else [])
    assert seen == CHANGES


def test_the_invitation_fits_every_person_and_screen(world: InvitationWorld) -> None:
    other = []
    for spoken, dark, size in PEOPLE:
        viewing.look(world.browser, size=size, dark=dark)
        for kind in KINDS:
            if kind in ("card", "inline"):  # it stands in the page, so the page must be as new
                world.go(f"/?lang={spoken}")
            world.ask(kind, language=spoken)
            facts = world.js(f"{FACTS}({PROMPT}('section'))")
            assert_looks_well(facts, spoken, dark, size)
            other.append(seen(world, kind, (spoken, dark, size)))
            world.put_off()
    assert list(filter(None, other)) == []


def test_preferences_fit_every_person_and_screen(world: InvitationWorld) -> None:
    other = []
    world.go("/?lang=en")
    subscribe(world)
    for spoken, dark, size in PEOPLE:
        viewing.look(world.browser, size=size, dark=dark)
        world.go(f"/?lang={spoken}")
        world.open_preferences(language=spoken)
        world.browser.click("pushctl-preferences >>> .erase")
        facts = world.js(f"{FACTS}({DIALOG}('dialog'))")
        # Each run's browser has another one.
        world.wait(f"Boolean({DIALOG}('.id bdi'))")
        world.js(f"({DIALOG.replace('?.', '.')}('.id bdi').textContent = '3fa9-c21b-77e0', 0)")
        # The cross is a small button in a corner of its own, as dialogs have it.
        assert_looks_well(facts, spoken, dark, "desktop")
        other.append(seen(world, "preferences", (spoken, dark, size)))
    assert list(filter(None, other)) == []


def test_nobody_is_shut_out(world: InvitationWorld, tmp_path: Path) -> None:
    """axe-core, over all that we put on a page, in both colours and directions."""
    if world.kind != "chromium":
        pytest.skip("axe-core judges the same elements in every browser: once is enough")
    axe = (npm.installed(AXE, tmp_path) / "axe.min.js").read_text("utf-8")
    for spoken, dark, size in PEOPLE:
        viewing.look(world.browser, size=size, dark=dark)
        world.go(f"/?lang={spoken}")
        for kind in KINDS:
            world.ask(kind, language=spoken)
            assert _violations(world, axe, "pushctl-prompt", "pushctl-bell") == [], kind
            world.put_off()
    world.go("/?lang=en")
    subscribe(world)
    for spoken, dark, size in PEOPLE:
        viewing.look(world.browser, size=size, dark=dark)
        world.go(f"/?lang={spoken}")
        world.open_preferences(language=spoken)
        world.browser.click("pushctl-preferences >>> .erase")
        assert _violations(world, axe, "pushctl-preferences") == []


def _violations(world: InvitationWorld, axe: str, *hosts: str) -> list[Any]:
    if not world.js("'axe' in window"):  # half a megabyte: once a page
        world.browser.evaluate(f"(() => {{ {axe}; return 0 }})()")
    found = world.js(
        f"axe.run({{ include: {list(hosts)!r}.filter((one) => document.querySelector(one)) }},"
        " { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice'] })"
        ".then(({ violations, passes }) => ({ checked: passes.length, violations:"
        " violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]) }))"
    )
    assert found["checked"] > 5  # it has looked
    return list(found["violations"])


def test_each_step_is_counted_and_the_words_agreed_to_are_kept(world: InvitationWorld) -> None:
    world.go("/?lang=en")
    # The page's own invitation counts the visit, unless somebody is asked already.
    world.wait("Boolean(JSON.parse(localStorage.pushctl ?? '{}').visits)")
    variants = {"offer": {"kind": "bar", "texts": {"en": {"title": "Offers from {name}"}}}}
    world.ask("card", language="en", variants=variants)
    assert world.js(f"{PROMPT}('h2').textContent") == "Offers from Lamp & Loom"
    world.browser.click("pushctl-prompt >>> .later")
    world.go("/?lang=en")
    subscribe(world, language="en", variants=variants, consent="2026-11")

    def count() -> list[Any]:
        rows = world.table(
            "SELECT variant, language, browser, stage, sum(count) "
            "FROM prompt_counts GROUP BY 1, 2, 3, 4"
        )
        return rows if {"allowed", "visit"} <= {row[3] for row in rows} else []

    # The page is subscribed before it counts that, and each count is a request of its own.
    counted = processes.wait_until(count, "a count of the visit and of who allowed it")
    browser = {"firefox": "Firefox", "chromium": "Chrome"}[world.kind]
    stages = {"seen": 2, "dismissed": 1, "accepted": 1, "allowed": 1}
    assert {(row[0], row[1], row[3]): row[4] for row in counted} == {
        ("offer", "en", stage): count for stage, count in stages.items()
    } | {("card", "en", "visit"): 1}  # of the page's own invitation: two pages, one browser
    assert {row[2] for row in counted} <= {browser, "Chromium", "other"}
    ((text, page),) = world.table("SELECT text, page FROM consents")
    assert text == "2026-11"
    assert page.startswith(world.shop.origin)


def test_pause_fewer_stop_and_erase_arrive(world: InvitationWorld) -> None:
    world.go("/?lang=en")
    subscribe(world)
    world.browser.click("#bell")  # of the shop: leads those who subscribed to preferences
    world.wait(f"Boolean({DIALOG}('.pause'))")
    assert world.js("document.activeElement.localName") == "pushctl-preferences"

    assert world.choose("pause") == "Saved"
    assert "Paused until" in world.js(f"{DIALOG}('.pause').textContent")
    assert world.choose("fewer") == "Saved"
    assert world.js(f"{DIALOG}('.fewer').getAttribute('aria-checked')") == "true"
    # The keyboard stays where it was, although the rows were drawn anew.
    assert world.js(f"{DIALOG}('.fewer') === {DIALOG}(':focus')")
    assert set(world.subscriber()["tags"]) >= {"pushctl:paused", "pushctl:fewer"}
    assert world.choose("pause") == "Saved"
    assert "pushctl:paused" not in world.subscriber()["tags"]

    world.browser.click("pushctl-preferences >>> .close")
    world.wait("!document.querySelector('pushctl-preferences')")
    assert world.js("document.activeElement.id") == "bell"

    world.open_preferences()
    assert world.choose("stop") == "Notifications are off"
    assert world.js("pushctl.state().then(({ subscribed }) => subscribed)") is False
    world.browser.click("pushctl-preferences >>> .allow")
    world.wait(f"Boolean({DIALOG}('.erase'))")
    world.wait("pushctl.tag()")
    world.browser.click("pushctl-preferences >>> .erase")
    assert "being deleted" in world.choose("yes")
    assert world.js("localStorage.getItem('pushctl')") is None
    ((left,),) = world.table("SELECT count(*) FROM subscriptions WHERE state = 'active'")
    assert left == 0


def test_rules_set_tags_that_expire(world: InvitationWorld) -> None:
    world.go("/?lang=en")
    subscribe(world)
    world.browser.click("a[href='#collection']")
    world.go("/basket?lang=en")
    world.wait("Boolean(JSON.parse(localStorage.pushctl).ruled?.['Saw the basket'])")
    world.wait("pushctl.tag()")
    tags = world.table(
        "SELECT g.name, (st.expires_at - st.set_at) / 86400000 FROM subscription_tags AS st"
        " JOIN tags AS g ON g.id = st.tag_id ORDER BY 1"
    )
    assert tags == [("Browsed the collection", None), ("Saw the basket", 30)]


def test_rules_follow_an_address_that_changes_without_a_load(world: InvitationWorld) -> None:
    world.go("/?lang=en")
    world.js("(history.pushState({}, '', '/basket?lang=en'), 0)")
    world.wait("Boolean(JSON.parse(localStorage.pushctl).ruled?.['Saw the basket'])")


def test_the_script_may_be_imported(world: InvitationWorld) -> None:
    world.browser.open(f"{world.shop.origin}/static/texts.js")  # without the script
    script = f"http://{world._listen}/pushctl.mjs"
    world.js(f"import({script!r}).then(() => true)")
    loaded = world.js(
        "pushctl.ready.then(() => pushctl.state()).then(({ supported }) => supported)"
    )
    assert loaded is True


def test_whoever_asks_twice_gets_one(world: InvitationWorld) -> None:
    count = "document.querySelectorAll('pushctl-{}').length"
    world.go("/?lang=en")
    world.js("(pushctl.preferences(), pushctl.preferences(), 0)")
    world.wait(f"Boolean({DIALOG}('dialog')?.open)")
    world.wait("pushctl.state()")
    assert world.js(count.format("preferences")) == 1
    world.browser.click("pushctl-preferences >>> .close")
    for _ in range(2):
        world.js("pushctl.preferences({ into: 'main' })")
    assert world.js(count.format("preferences")) == 1
    world.js("(console.warn = (...all) => (window.warned = all.join(' ')), 0)")
    world.js("pushctl.preferences({ into: '#nowhere' })")
    assert "#nowhere" in world.js("window.warned")
    assert world.js(count.format("preferences")) == 1

    world.ask("bell")
    world.js("(pushctl.prompt({ kind: 'card', again: true }), 0)")
    world.wait(f"Boolean({PROMPT}('.card'))")
    assert world.js(count.format("prompt")) == 1


def test_the_bell_stays_and_a_part_of_the_page_may_hold_the_preferences(
    world: InvitationWorld,
) -> None:
    world.go("/?lang=en")
    subscribe(world, "bell")
    bell = "document.querySelector('pushctl-bell').shadowRoot.querySelector('.ring')"
    world.wait(f"{bell}.offsetParent !== undefined && !{bell}.hidden")
    assert world.js(f"{bell}.getAttribute('aria-label')") == "Notifications"
    world.open_preferences(into="#main")
    assert world.js(f"{DIALOG}('section').getAttribute('role')") == "region"
    assert world.js(
        f"document.querySelector('main').contains({DIALOG}('h2').getRootNode().host)"
    )
