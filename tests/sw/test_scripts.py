"""The scripts of sw/: their handlers in Node, their size, their settings, their signatures."""

import gzip
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pushctl import shipped
from pushctl.receiver import shapes
from pushctl.rules import limits, tokens
from pushctl.rules.shops import cart
from pushctl.rules.web import scripts, slimming
from tests.support import npm, p256dh
from tests.support.receiving import ROOT

SW = shipped.find("sw")
SETTINGS = scripts.settings(
    url="https://push.shop.example/", key=tokens.encode(p256dh()), site="shop", name="Shop"
)
# A site with all that a site may have.
BRANDED = SETTINGS | {
    "name": "The Lamp & Loom Company",
    "icon": "https://shop.example/static/icon-192.png",
    "badge": "https://shop.example/static/badge-96.png",
    "color": "#b04a26",
    "background": "#fffaf5",
    "rules": True,
}


RULES = [{"tag": "Lamps", "page": "/lamps/*", "expires": 2_592_000}]


def node(*arguments: str, **environment: str) -> str:
    program = shutil.which("node")
    if program is None:
        pytest.skip("Node is not installed (the scripts' handlers run in Node 20 or newer)")
    done = subprocess.run(
        [program, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def served(name: str, settings: Mapping[str, Any] = SETTINGS) -> str:
    text = scripts.minify(name, (SW / name).read_text("utf-8"))
    return scripts.render(name, text, settings, RULES)


@pytest.fixture
def as_served(tmp_path: Path) -> Path:
    for name in scripts.SCRIPTS:
        (tmp_path / name).write_text(served(name), "utf-8")
    return tmp_path


def node_tests() -> list[str]:
    return sorted(str(path) for path in (ROOT / "tests/sw").glob("*.test.mjs"))


def test_handlers_as_written() -> None:
    node("--test", *node_tests())


def test_handlers_as_served(as_served: Path) -> None:
    node("--test", *node_tests(), PUSHCTL_SW=str(as_served))


def test_every_script_is_sound_as_served(as_served: Path) -> None:
    for file in sorted(as_served.iterdir()):
        # A name ending in .mjs makes Node read it as a module, which all of them may be.
        module = file.with_suffix(".check.mjs")
        module.write_text(file.read_text("utf-8"), "utf-8")
        node("--check", str(module))


def test_page_and_worker_are_small() -> None:
    sizes = {
        name: len(gzip.compress(served(name, BRANDED).encode(), mtime=0))
        for name in ("pushctl.js", "pushctl-sw.js")
    }
    print(sizes, sum(sizes.values()))
    assert sum(sizes.values()) <= limits.MAX_SCRIPTS_BYTES


def test_every_script_there_is_is_served() -> None:
    assert sorted(scripts.SCRIPTS) == sorted(path.name for path in SW.glob("*.*js"))


def test_what_a_script_imports_is_imported_for_its_site() -> None:
    once = served("pushctl-prompt.js")
    assert 'from"./pushctl-look.js?site=shop"' in once
    assert scripts.render("pushctl-prompt.js", once, SETTINGS) == once
    other = scripts.render("pushctl-prompt.js", once, SETTINGS | {"site": "other"})
    assert other == once.replace("site=shop", "site=other")
    assert 'import("./pushctl.js?site=shop")' in served("pushctl.mjs")


TYPESCRIPT = "typescript@5.9.3"


def test_types_are_those_of_the_page(tmp_path: Path) -> None:
    compiler = npm.installed(TYPESCRIPT, tmp_path) / "bin/tsc"
    assert_all_names_are_known(compiler, tmp_path)
    node(
        *(str(compiler), "--noEmit", "--strict", "--target", "es2022"),
        *("--module", "esnext", "--moduleResolution", "bundler", "--lib", "es2022,dom"),
        str(ROOT / "tests/sw/types.ts"),
    )


def assert_all_names_are_known(compiler: Path, folder: Path) -> None:
    """A short name for what is the browser's, too, would leave one that nobody knows."""
    for name in ("pushctl.js", "pushctl-sw.js"):
        (folder / name).write_text(served(name) + "export {};\n", "utf-8")
    options = ["--noEmit", "--allowJs", "--checkJs", "--target", "esnext", "--module", "esnext"]
    files = [str(folder / "pushctl.js"), str(folder / "pushctl-sw.js")]
    program = [str(shutil.which("node")), str(compiler), *options, "--types", "", *files]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert "error TS" in done.stdout  # it has read them: untyped code has other faults
    assert "Cannot find name" not in done.stdout
    assert "used before" not in done.stdout


def test_types_name_what_there_is() -> None:
    text = (SW / "pushctl.d.ts").read_text("utf-8")
    body = text.partition("export interface Pushctl {")[2].partition("\n}")[0]
    typed = re.findall(r"^  (\w+)[(:]", body, re.MULTILINE)
    there = json.loads(node("tests/sw/names.mjs"))
    assert sorted(typed) == sorted(there["api"])
    texts = text.partition("export interface Texts {")[2].partition("\n}")[0]
    assert re.findall(r"^  (\w+):", texts, re.MULTILINE) == there["texts"]


def test_what_the_page_signs_holds_and_is_taken() -> None:
    requests = [json.loads(line) for line in node("tests/sw/requests.mjs").splitlines()]
    table = shapes.make_table(("push.example",))
    assert [request["path"] for request in requests] == [
        "/v1/subscribe",
        "/v1/events",
        "/v1/tags",
        "/v1/subscribe",
        "/v1/identify",
        "/v1/subscribe",
        "/v1/unsubscribe",
    ]
    now = time.time_ns() // 1_000_000
    for request in requests:
        body = request["body"].encode()
        auth = tokens.decode(request["auth"])
        assert tokens.is_signed(auth, request["path"], body, request["signature"], now)
        # The fake browser's public key is no point on the curve; all else must fit.
        known = json.loads(body)
        if "subscription" in known:
            known["subscription"]["keys"]["p256dh"] = tokens.encode(p256dh())
        shapes.check(table[request["path"]], json.dumps(known).encode())


def test_the_receiver_takes_whatever_was_made_fit() -> None:
    lines = [json.loads(line) for line in node("tests/sw/told.mjs").splitlines()]
    assert len({line["what"] for line in lines}) >= 19
    for line in lines:
        event = line["event"]
        shapes.EVENT(event)
        if line["what"] == "amounts as text":  # a hundred, of which some are told
            basket = cart.read(event["properties"], ())
            assert (basket["count"], basket["total"]) == (None, None)
        if line["what"] == "a thousand items":
            assert cart.read(event["properties"], ())["total"] == 5
        assert len(json.dumps(line["event"], ensure_ascii=False).encode()) <= 6000


def test_the_page_goes_by_the_limits_of_the_receiver() -> None:
    fit, page = ((SW / name).read_text("utf-8") for name in ("pushctl-fit.js", "pushctl.js"))
    text, name, entries, levels, most = map(
        int, re.findall(r"\d+", fit.partition("BYTES] = ")[2].partition("]")[0])
    )
    assert (text, name) == (limits.MAX_TEXT_CHARACTERS, limits.MAX_LABEL_CHARACTERS)
    assert (entries, levels) == (limits.MAX_LEVEL_ENTRIES, limits.MAX_RECEIVED_LEVELS)
    assert most < limits.MAX_BODY_BYTES
    assert f'"), {limits.MAX_CART_ITEMS}];' in fit
    sound = page.partition("const sound")[2].partition("const plain")[0].partition(";")[0]
    assert re.findall(r"<= (\d+)", sound) == [f"{text}", f"{entries}"]
    assert f"most = {limits.MAX_RECEIVED_TAGS};" in page


def test_a_new_endpoint_is_vouched_for_by_the_old_secret() -> None:
    requests = [json.loads(line) for line in node("tests/sw/requests.mjs").splitlines()]
    first, _, moved = (each for each in requests if each["path"] == "/v1/subscribe")
    body = json.loads(moved["body"])
    assert body["previous"] == json.loads(first["body"])["subscription"]["endpoint"]
    assert tokens.is_signed(
        tokens.decode(first["auth"]),
        "/v1/subscribe#previous",
        body["subscription"]["endpoint"].encode(),
        body["previous_signature"],
        time.time_ns() // 1_000_000,
    )


@pytest.mark.parametrize("name", ["pushctl.js", "pushctl-sw.js"])
def test_filling_is_repeatable(name: str) -> None:
    text = (SW / name).read_text("utf-8")
    once = scripts.fill(text, SETTINGS)
    assert '"https://push.shop.example"' in once
    assert scripts.fill(once, SETTINGS) == once


@pytest.mark.parametrize(
    "name",
    [
        "</script><script>alert(1)</script>",
        "a /*end*/ b",
        "\u2028\u2029",
        '"; alert(1); "',
        "<!--",
    ],
)
def test_a_brand_cannot_break_out_of_its_line(name: str) -> None:
    text = (SW / "pushctl-sw.js").read_text("utf-8")
    filled = scripts.fill(text, SETTINGS | {"name": name})
    line = next(line for line in filled.splitlines() if "/*pushctl*/" in line)
    settings = line.split("/*pushctl*/")[1].split("/*end*/")[0]
    assert json.loads(settings)["name"] == name
    assert not set("<>\u2028\u2029").intersection(settings)
    assert scripts.fill(filled, SETTINGS) == scripts.fill(text, SETTINGS)


def test_a_file_without_settings_is_not_filled() -> None:
    with pytest.raises(ValueError, match="found 0"):
        scripts.fill("const CONFIG = {};", SETTINGS)


def test_slimming_drops_comments_and_nothing_else() -> None:
    text = "// why\nconst a = 1; // not\n\n  // more\n  go('https://x /* y */', [1, 2,],);\n"
    assert slimming.slim(text) == "const a=1;go('https://x /* y */',[1,2]);\n"


@pytest.mark.parametrize(
    ("text", "slim"),
    [
        ("a = b\n(c)", "a=b\n(c)\n"),  # a call, as it was
        ("a\n++b", "a\n++b\n"),
        ("a + +b - -c", "a+ +b- -c\n"),
        ("return a in b", "return a in b\n"),
        ("x = a / b / c", "x=a/b/c\n"),
        ("x = /[/ ]  \\/ '/.test(y)", "x=/[/ ]  \\/ '/.test(y)\n"),
        ("x = `a  ${ b }  // c`", "x=`a  ${ b }  // c`\n"),
        ("'it\\'s  so' + \"a  b\"", "'it\\'s  so'+\"a  b\"\n"),
        ("if (a) {\n  b();\n}\nc();", "if(a){b()}\nc();\n"),
        ("const C = /*pushctl*/{ }/*end*/;", "const C=/*pushctl*/{ }/*end*/;\n"),
        (
            "const a = 1;\n// b\nconst b = { c: [2] };\nconst d = 3;",
            "const a=1,b={c:[2]},d=3;\n",
        ),
        (
            "const f = () => { const a = 1; const b = 2; };\nconst g = 3;",
            "const f=()=>{const a=1,b=2},g=3;\n",
        ),
        ("for (const a of b) c();\nconst d = 1;", "for(const a of b)c();const d=1;\n"),
        ("let a = 1; const b = 2; a = 3; const c = 4;", "let a=1;const b=2;a=3;const c=4;\n"),
        ("export const a = 1;\nconst b = 2;", "export const a=1;const b=2;\n"),
        ("const a = 86_400_000 * b_1;", "const a=86400000*b_1;\n"),
    ],
)
def test_slimming_keeps_what_a_script_means(text: str, slim: str) -> None:
    assert slimming.slim(text) == slim


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("const first = 1; go(first);", "const a = 1; go(a);"),
        (
            "function add(one, two = one) { return one + two }",
            "function a(b, c = b) { return b + c }",
        ),
        ("let a = 1; const first = a;", "let a = 1; const b = a;"),
        ("const first = (one, ...more) => more;", "const a = (c, ...b) => b;"),
        ("try { go() } catch (error) { say(error) }", "try { go() } catch (a) { say(a) }"),
        # A statement may have the letter of a name that it does not know.
        (
            "const f = (one) => one; const g = (two) => two;",
            "const f = (a) => a; const g = (a) => a;",
        ),
        (
            "const one = 1; const g = (two) => two; h(one);",
            "const a = 1; const g = (a) => a; h(a);",
        ),
        (
            "const one = 1; const g = (two) => two + one;",
            "const a = 1; const g = (b) => b + a;",
        ),
        ("let one, two = 1; f((two) => two, one);", "let b, a = 1; f((a) => a, b);"),
        (
            "(() => { const one = 1; f((two) => two); g(one); })();",
            "(() => { const a = 1; f((a) => a); g(a); })();",
        ),
        # Names of properties stay.
        ("const name = one.name;", "const a = one.name;"),
        ("const name = { name }; go(name);", "const a = { name: a }; go(a);"),
        ("const { name } = one; go(name);", "const { name } = one; go(name);"),
        ("const name = 1; go({ name } = name);", "const a = 1; go({ name: a } = a);"),
        ("const name = 1, all = { name: name };", "const a = 1, b = { name: a };"),
        ("const name = 1; go({ name() {} });", "const a = 1; go({ name() {} });"),
        (
            "const name = 1; go({ one, async name() {} });",
            "const a = 1; go({ one, async name() {} });",
        ),
        (
            "const f = ({ name = 1 }) => { name = 2, go(name) };",
            "const f = ({ name = 1 }) => { name = 2, go(name) };",
        ),
        ("let name; if (f) { name = 2 }", "let a; if (f) { a = 2 }"),
        ("const name = f ? name : { name };", "const a = f ? a : { name: a };"),
        # What stands in a template, too.
        ("const name = 1; go(`${name}`);", "const name = 1; go(`${name}`);"),
        ("export const first = 1;", "export const first = 1;"),
        ("class One { two = 1 }; const two = 2;", "class One { two = 1 }; const two = 2;"),
    ],
)
def test_a_short_name_stands_for_one_of_our_own(text: str, short: str) -> None:
    assert slimming.shorten(text) == short


def test_settings_leave_out_what_a_site_has_not() -> None:
    assert "icon" not in SETTINGS
    assert SETTINGS["url"] == "https://push.shop.example"
