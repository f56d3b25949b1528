"""``check --live``: a shop, its receiver and a push service over TLS, right and wrong."""

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pushctl import config as configs
from pushctl import web
from pushctl.errors import ConfigError
from pushctl.jobs.project import scripts
from pushctl.jobs.project.check_notes import Finding, Level
from pushctl.jobs.project.live import certificates, http, run, state
from pushctl.model import Cause, SubscriptionState
from pushctl.push import vapid
from pushctl.receiver.scripts import prepare
from pushctl.rules.web import content_policy, embeds
from pushctl.store import Store, soundness
from pushctl.store.health import Answered
from tests.support import live_scene, people, project, wire
from tests.support.live_scene import RECEIVER, SERVICE, SHOP, Scene
from tests.support.program import PROGRAM, on_terminal, pushctl
from tests.support.wire import Answer

_WORKER = f'importScripts("https://{RECEIVER}/pushctl-sw.js");\n'.encode()


@pytest.fixture(scope="module")
def playing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with live_scene.play(tmp_path_factory.mktemp("live")) as scene:
        yield scene


@pytest.fixture
def scene(playing: Scene) -> Iterator[Scene]:
    yield playing
    playing.rules.clear()
    playing.wire.requests.clear()


def look(folder: Path, seconds: float = 10.0, **variables: str) -> list[Finding]:
    config = configs.load(folder / "pushctl.toml", variables)
    return run.look(config, lambda total, done: None, seconds)


def find(found: list[Finding], area: str, level: Level = Level.PROBLEM) -> Finding:
    (one,) = (each for each in found if each.area == area and each.level is level)
    return one


def list_worse(found: list[Finding]) -> list[str]:
    return [each.area for each in found if each.level is not Level.FINE]


def test_what_is_right_is_fine_and_nothing_is_sent_or_written(scene: Scene) -> None:
    before = read_files(scene.folder)
    found = look(scene.folder)
    assert list_worse(found) == [], [each for each in found if each.level is not Level.FINE]
    areas = {each.area for each in found}
    assert areas >= {"clock", "certificate", "receiver", "scripts", "CORS", "pages", "worker"}
    assert areas >= {"subscribers", "messages", "services", "browsers", "outside"}
    assert find(found, "outside", Level.FINE).remedy.startswith("curl -sS -m 10 ")
    assert read_files(scene.folder) == before
    assert {each.headers[":method"] for each in scene.wire.requests} == {"GET"}
    assert not any(each.body for each in scene.wire.requests)


def read_files(folder: Path) -> dict[str, bytes]:
    """Return the files of a project; SQLite's shared memory is no content."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        and not file.name.endswith(("-shm", "-wal"))
        and "usage" not in file.name
    }


def test_the_command_says_it_worst_first_and_as_json(scene: Scene) -> None:
    scene.set("/", "text/html; charset=utf-8", b"<html><p>No script</p></html>")
    done = pushctl("check", "--live", "--json", cwd=scene.folder)
    assert done.code == 3
    rows: list[dict[str, Any]] = json.loads(done.out)
    (bad,) = (each for each in rows if each["level"] == "problem")
    assert bad["area"] == "pages" and bad["place"] == f"https://{SHOP}"
    assert "nobody can subscribe" in bad["text"] and "pushctl receive" in bad["remedy"]
    shown = on_terminal([*PROGRAM, "check", "--live"], cwd=scene.folder, NO_COLOR="1")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.out).replace("\r", "\n")
    lines = [line for line in plain.splitlines() if line[:1] in ("✗", "·", "✓")]
    assert [line[0] for line in lines] == sorted((line[0] for line in lines), key="✗·✓".index)
    assert lines[0].startswith("✗ pages")
    # A command to be copied is never broken over two lines.
    assert any(
        line.startswith("curl ") and line.endswith("sw.js") for line in plain.splitlines()
    )


@pytest.mark.parametrize(
    ("names", "ends", "trusted", "said"),
    [
        (("other.test", "more.test"), 2, True, f"is for other.test, more.test, not for {SHOP}"),
        ((SHOP,), -0.5, True, "it ended 12 hours ago"),
        ((SHOP,), 2, False, "it is self-signed"),
    ],
)
def test_a_certificate_that_browsers_refuse_is_named_with_its_reason(
    tmp_path: Path, scene: Scene, names: tuple[str, ...], ends: float, trusted: bool, said: str
) -> None:
    (tmp_path / "wire").mkdir()
    with wire.serve(tmp_path / "wire", names=names, ends=timedelta(days=ends)) as bad:
        ca = bad.ca if trusted else scene.wire.ca
        folder = live_scene.make_project(tmp_path / "shop", ca, {SHOP: bad.port})
        found = look(folder, PUSHCTL_RECEIVER__URL="https://shop.test")
    one = next(each for each in found if each.area == "certificate")
    assert one.level is Level.PROBLEM and said in one.text and one.remedy
    assert not bad.requests  # nothing was asked of a server that nobody trusts


def test_a_certificate_that_ends_soon_is_named(tmp_path: Path) -> None:
    with wire.serve(tmp_path, names=(SHOP,), ends=timedelta(hours=2)) as soon:
        folder = live_scene.make_project(tmp_path / "shop", soon.ca, {SHOP: soon.port})
        found = look(folder, PUSHCTL_RECEIVER__URL="https://shop.test")
    one = next(each for each in found if each.area == "certificate")
    assert one.level is Level.PROBLEM and "renewal does not work" in one.text


def test_a_redirect_is_followed_within_configured_origins_and_nowhere_else(
    scene: Scene,
) -> None:
    scene.set("/", "text/html", b"", 302, location="https://elsewhere.test/login?secret=1")
    scene.wire.requests.clear()
    found = look(scene.folder)
    one = find(found, "pages")
    assert "leads to https://elsewhere.test" in one.text and "secret" not in one.text
    hosts = {each.headers[":authority"].partition(":")[0] for each in scene.wire.requests}
    assert hosts <= {SHOP, SERVICE}
    page = b'<script src="https://push.shop.test/pushctl.js"></script>'
    scene.set("/", "text/html", b"", 302, location=f"https://{SHOP}/en/")
    scene.set("/en/", "text/html", page)
    assert list_worse(look(scene.folder)) == []
    scene.set("/en/", "text/html", b"", 302, location=f"https://{SHOP}/en/")  # round and round
    assert find(look(scene.folder), "pages").text.startswith("leads to")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (("text/html", _WORKER), "has the Content-Type 'text/html'"),
        (("text/javascript", b"self.onpush = () => {};"), "is not pushctl's worker"),
        (
            ("text/javascript", b'importScripts("https://push.other.test/pushctl-sw.js")'),
            "loads pushctl-sw.js from https://push.other.test",
        ),
        (
            (
                "text/javascript",
                b'importScripts("https://push.shop.test/pushctl-sw.js?site=x")',
            ),
            "loads the worker of another site",
        ),
    ],
)
def test_a_worker_that_shows_nothing_is_named(
    scene: Scene, rule: tuple[str, bytes], said: str
) -> None:
    scene.set("/pushctl-sw.js", *rule)
    one = find(look(scene.folder), "worker")
    assert said in one.text and one.place == f"https://{SHOP}/pushctl-sw.js" and one.remedy


def test_a_worker_that_is_gone_moved_kept_too_long_or_out_of_its_scope(scene: Scene) -> None:
    scene.set("/pushctl-sw.js", "text/html", b"", 404)
    one = find(look(scene.folder), "worker")
    assert "is not there" in one.text and f"https://{RECEIVER}/pushctl-sw.js" in one.remedy
    scene.set("/pushctl-sw.js", "text/html", b"", 301, location=f"https://{SHOP}/sw.js")
    assert "follow no redirect" in find(look(scene.folder), "worker").text
    scene.set("/pushctl-sw.js", "text/javascript", _WORKER, cache_control="max-age=31536000")
    assert "kept for 365 days" in find(look(scene.folder), "worker", Level.NOTE).text
    page = b"""<script>pushctl = []; pushctl.options = { worker: "/js/w.js", scope: "/" };
        </script><script async src=https://push.shop.test/pushctl.js></script>"""
    scene.set("/", "text/html", page)
    scene.set("/js/w.js", "text/javascript", _WORKER)
    one = find(look(scene.folder), "worker")
    assert "'/js/'" in one.text and "Service-Worker-Allowed" in one.remedy
    scene.set("/js/w.js", "text/javascript", _WORKER, service_worker_allowed="/")
    assert list_worse(look(scene.folder)) == []


def test_of_a_huge_page_one_mebibyte_is_read(tmp_path: Path) -> None:
    huge = Answer(200, (("content-type", "text/html"),), b"<p>" * 1_000_000)
    with wire.serve(tmp_path, lambda _: huge, alpn=("http/1.1",), names=(SHOP,)) as server:
        folder = live_scene.make_project(tmp_path / "shop", server.ca, {SHOP: server.port})
        found = look(folder, PUSHCTL_RECEIVER__URL="https://shop.test")
    one = find(found, "pages", Level.NOTE)
    assert "only 1,048,576 bytes were read" in one.text


def test_a_page_that_is_slow_or_none_stops_nothing_else(scene: Scene) -> None:
    scene.set("/", "application/json", b"{}")
    assert "is no page" in find(look(scene.folder), "pages").text
    scene.rules["/"] = lambda _: wire.Act.HANG
    began = time.monotonic()
    found = look(scene.folder, seconds=1.0)
    one = find(found, "pages")
    assert "does not answer" in one.text and "timed out" in one.text.lower()
    assert find(found, "receiver", Level.FINE) and find(found, "CORS", Level.FINE)
    assert time.monotonic() - began < 30


def test_a_page_with_a_tag_manager_is_only_noted_and_comments_do_not_count(
    scene: Scene,
) -> None:
    hidden = b'<!-- <script src="https://push.shop.test/pushctl.js"></script> -->'
    scene.set("/", "text/html", hidden)
    assert "does not load" in find(look(scene.folder), "pages").text
    scene.set(
        "/", "text/html", hidden + b'<script src="https://www.googletagmanager.com/gtm.js">'
    )
    assert "tag manager" in find(look(scene.folder), "pages", Level.NOTE).text


def test_what_strangers_write_commands_no_terminal(scene: Scene) -> None:
    evil = "text/\x1b]0;owned\x07\x1b[2Jx\u202e"
    scene.rules["/"] = lambda _: Answer(
        200, (("content-type", evil.encode().decode("latin-1")), ("server", "\x1b[31m")), b"x"
    )
    shown = on_terminal([*PROGRAM, "check", "--live"], cwd=scene.folder, NO_COLOR="1")
    assert (
        "is no page" in shown.out and "\x1b]0" not in shown.out and "\x1b[2J" not in shown.out
    )
    plain = pushctl("check", "--live", "--json", cwd=scene.folder)
    assert "\x1b" not in plain.out and "\x9b" not in plain.out


def test_copies_of_the_scripts_are_compared_with_this_release(scene: Scene) -> None:
    config = configs.load(scene.folder / "pushctl.toml", {})
    key = vapid.load_own(config.keys).public
    page = b'<script src="/push/pushctl.js"></script>'
    scene.set("/", "text/html", page)
    copy = scripts.build_copy(config, key, "shop", "pushctl.js")
    worker = scripts.build_copy(config, key, "shop", "pushctl-sw.js")
    scene.set("/push/pushctl.js", "text/javascript", copy.encode())
    scene.set("/pushctl-sw.js", "text/javascript", worker.encode())
    assert list_worse(look(scene.folder)) == []
    other = vapid.read(vapid.create())
    scene.set("/push/pushctl.js", "text/javascript", copy.replace(key, other.public).encode())
    one = find(look(scene.folder), "pages")
    assert f"the key {other.id}, which is not the own key" in one.text
    scene.set("/push/pushctl.js", "text/javascript", (copy + "\n// mine").encode())
    assert "another release" in find(look(scene.folder), "pages", Level.NOTE).text
    worker = worker.replace("push.shop.test", "old.shop.test")
    scene.set("/pushctl-sw.js", "text/javascript", worker.encode())
    assert "other settings than pushctl.toml: 'url'" in find(look(scene.folder), "worker").text


def test_a_receiver_with_another_key_or_without_this_origin_is_named(scene: Scene) -> None:
    """The receiver runs on with the settings of its start."""
    made = pushctl("keys", "new", "--yes", cwd=scene.folder)
    try:
        found = look(scene.folder, PUSHCTL_SITES__SHOP__ORIGINS='["https://m.shop.test"]')
        (one,) = (each for each in found if each.area == "scripts")
        assert "which is not the own key" in one.text and "anew" in one.remedy
        one = find(found, "CORS")
        assert "https://m.shop.test" in one.text and "is missing" in one.text
    finally:
        (old,) = (key for key in vapid.load(scene.folder / "keys") if key != made.out.strip())
        assert pushctl("keys", "use", old, "--yes", cwd=scene.folder).code == 0


def test_a_receiver_that_is_down_is_one_finding(scene: Scene) -> None:
    """The shop answers at the receiver's name: it is not pushctl."""
    port = scene.wire.port
    file = scene.folder / "pushctl.toml"
    before = file.read_text()
    lines = [
        f'"{RECEIVER}" = "127.0.0.1:{port}"' if line.startswith(f'"{RECEIVER}"') else line
        for line in before.splitlines()
    ]
    try:
        file.write_text("\n".join(lines))
        found = look(scene.folder)
        assert "answers 404, and `pushctl receive` does not" in find(found, "receiver").text
        assert find(found, "pages", Level.FINE)
        scene.set("/healthz", "application/json", b'{"ok":false,"error":"disk"}', 503)
        assert "no room on its disk" in find(look(scene.folder), "receiver").text
    finally:
        file.write_text(before)


def test_a_clock_that_is_wrong_is_named(scene: Scene) -> None:
    date = (("date", "Mon, 01 Jan 2024 00:00:00 GMT"),)
    scene.rules[SERVICE] = lambda _: Answer(200, date)
    one = find(look(scene.folder), "clock")
    assert "ahead of 1 push service" in one.text and "NTP" in one.remedy
    scene.rules[SERVICE] = lambda _: wire.Act.SHUTDOWN
    assert "could be asked for the time" in find(look(scene.folder), "clock").text
    scene.rules[SERVICE] = lambda _: wire.Act.HANG
    assert find(look(scene.folder, seconds=0.5), "clock")


def test_only_looking_can_write_nothing(scene: Scene) -> None:
    with Store(scene.folder / "pushctl.db") as store:
        store.soundness.forbid_writing()
        with pytest.raises((ConfigError, sqlite3.OperationalError)):
            store.meta.set("x", "y")


def test_what_is_compared_is_what_the_receiver_serves(scene: Scene) -> None:
    config = configs.load(scene.folder / "pushctl.toml", {})
    key = vapid.load_own(config.keys).public
    for (name, site), file in prepare(config, key).items():
        assert scripts.build_served(config, key, site, name).encode() == file.plain


def test_known_faults_of_sqlite_are_of_their_versions_alone() -> None:
    faulty = [(3, 40, 1), (3, 44, 5), (3, 50, 6), (3, 51, 2)]
    fixed = [(3, 44, 6), (3, 50, 7), (3, 51, 3), (3, 53, 0)]
    assert all(soundness.has_wal_reset_fault(one) for one in faulty)
    assert not any(soundness.has_wal_reset_fault(one) for one in fixed)
    assert soundness.find_faults((3, 52, 0)) and soundness.find_faults((3, 36, 0))
    assert not any(soundness.find_faults(one) for one in (*faulty, *fixed))


@pytest.mark.parametrize(
    "page",
    [
        "<!--" * 100_000,
        "pushctl.js?" * 50_000,
        "=" * 500_000 + "pushctl.js",
        "pushctl." * 60_000,
    ],
)
def test_a_hostile_page_is_read_in_little_more_than_one_pass(page: str) -> None:
    """With a quadratic reader each would take minutes, and this test its time-out."""
    assert len(embeds.read_page(page).scripts) <= 20


def test_an_address_is_found_however_it_is_written() -> None:
    written = [
        '<script async src="https://a.test/pushctl.js?site=x&amp;v=1"></script>',
        "<script src=https://a.test/pushctl.js?site=x&v=1 async></script>",
        "<script>import p from 'https://a.test/pushctl.js?site=x&v=1';</script>",
    ]
    for page in written:
        assert embeds.read_page(page).scripts == ("https://a.test/pushctl.js?site=x&v=1",)


def test_each_state_comes_with_the_command_that_mends_it(tmp_path: Path) -> None:
    folder = project.make(tmp_path / "shop")
    now = time.time_ns() // 1_000_000
    with Store(folder / "pushctl.db") as store:
        humans = [people.Human(), people.Human(), people.Human(), people.Human()]
        people.settle(store, humans)
        connection = store.connection
        rows = [row for (row,) in connection.execute("SELECT id FROM subscriptions")]
        connection.execute(
            "UPDATE subscriptions SET state = 'quarantined', state_reason = '403 forbidden' "
            "WHERE id = ?", (rows[0],),
        )  # fmt: skip
        for name, status in (("sale", "running"), ("news", "paused")):
            connection.execute(
                "INSERT INTO campaigns (name, template, audience, sources, status, "
                "created_at, note) VALUES (?, 'welcome', '', '', ?, ?, 'stopped by hand')",
                (name, status, now),
            )  # fmt: skip
        for number, status in zip(rows[1:], ("in_doubt", "planned", "gone"), strict=True):
            connection.execute(
                "INSERT INTO deliveries (campaign_id, subscription_id, status, changed_at) "
                "VALUES (1, ?, ?, ?)", (number, status, now - 10),
            )  # fmt: skip
        store.health.mark_gone(
            [Answered(rows[3], store.subscriptions.get(str(rows[3]), now).endpoint, "410")], now
        )
        store.subscriptions.mark(
            [rows[3]], SubscriptionState.ACTIVE, "too many", now, Cause.MASS_GONE
        )
        store.origins.save(
            "https://fcm.test", paused_until=now + 600_000, reason="429", rate=None, now=now
        )
        run_number = store.runs.start("sweep", now)
        store.runs.finish(run_number, now, 5, {})
        config = configs.load(folder / "pushctl.toml", {})
        store.soundness.forbid_writing()  # figures are counted, and not kept
        found = list(state.look(config, store, now))
        assert store.connection.execute("SELECT count(*) FROM kept_columns").fetchone() == (0,)
    said = {each.place: each for each in found}
    assert "1 subscriber in quarantine" in said["quarantine"].text
    assert "403 forbidden" in said["quarantine"].text
    assert "1 of 'sale'" in said["in doubt"].text
    assert said["in doubt"].remedy.endswith("pushctl in-doubt list")
    assert "campaigns resume 'sale' --accept-mass-gone" in said["mass gone"].remedy
    assert "campaigns resume 'news'" in said["news"].remedy
    assert said["queue"].text == "1 message to go out, 1 of them now"
    assert "gets nothing for 10m more: 429" in said["fcm.test"].text
    assert said["penalties"].level is Level.FINE
    assert "exit code 5" in said["pushctl sweep"].text
    assert all(each.remedy for each in found if each.level is not Level.FINE)


def test_a_policy_of_the_page_that_keeps_pushctl_out_is_named(scene: Scene) -> None:
    page = b'<script src="https://push.shop.test/pushctl.js"></script>'
    scene.set("/", "text/html", page, content_security_policy="default-src 'self'")
    one = find(look(scene.folder), "pages")
    assert one.text.endswith("keeps pushctl out: script-src, connect-src")
    assert f"https://{RECEIVER}" in one.remedy


@pytest.mark.parametrize(
    ("policy", "blocked"),
    [
        ("", ""),
        ("img-src 'none'", ""),
        ("script-src 'self'", "script-src"),
        ("script-src 'nonce-x'; connect-src https:; worker-src 'self'", ""),
        ("default-src https://push.shop.test 'self'", ""),
        ("default-src *.shop.test; worker-src 'self'", ""),
        ("default-src *; worker-src 'none'", "worker-src"),
        ("default-src *, connect-src http://push.shop.test:8080", "connect-src"),
        ("script-src-elem 'none'; script-src *; CONNECT-SRC PUSH.shop.test", "script-src"),
        ("child-src 'none'; script-src *; connect-src https://[", "connect-src worker-src"),
    ],
)
def test_a_policy_is_read_as_browsers_read_it(policy: str, blocked: str) -> None:
    page, receiver = f"https://{SHOP}", f"https://{RECEIVER}"
    assert content_policy.find_blocks([policy], page, receiver) == blocked.split()


def test_a_name_that_leads_into_this_network_is_noted(tmp_path: Path) -> None:
    folder = project.make(tmp_path / "shop")
    asker = http.Asker(configs.load(folder / "pushctl.toml", {}))

    def ask(address: str, url: str = "https://shop.example/") -> list[Finding]:
        seen = web.Seen(200, (), b"", False, None, address, ())
        return list(asker.find_private("pages", "shop", url, seen))

    assert ["which others can't reach" in each.text for each in ask("10.0.0.7")] == [True]
    assert ask("93.184.216.34") == [] and ask("127.0.0.1", "http://localhost:8000/") == []


def sign(days: float, life: float, *, by_itself: bool = False) -> str:
    """Return a certificate for shop.test that ends in *days*, of an authority or by itself."""
    key, authority = ec.generate_private_key(ec.SECP256R1()), x509.NameOID.COMMON_NAME
    subject = x509.Name([x509.NameAttribute(authority, SHOP)])
    issuer = x509.Name([x509.NameAttribute(authority, "Test\x1b[31m CA")])
    ends = datetime.now(UTC) + timedelta(days=days)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if by_itself else issuer)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(ends - timedelta(days=life))
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(f"*.{SHOP}")]), False)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize(
    ("days", "life", "level"),
    [
        (60, 90, Level.FINE), (20, 90, Level.NOTE), (6, 90, Level.PROBLEM),
        (3, 6, Level.FINE), (1.5, 6, Level.NOTE), (0.5, 6, Level.PROBLEM),
    ],
)  # fmt: skip
def test_a_certificate_should_be_renewed_in_time(
    days: float, life: float, level: Level
) -> None:
    now = time.time_ns() // 1_000_000
    assert certificates.judge("https://shop.test", [sign(days, life)], now).level is level


def test_a_chain_that_is_not_sent_or_not_trusted_is_told_apart() -> None:
    now, leaf = time.time_ns() // 1_000_000, sign(60, 90)
    origin = "https://www.shop.test"  # covered by *.shop.test
    alone = certificates.diagnose(origin, [leaf], "refused", now)
    assert "which signed it, is not sent with it" in alone.text and "\x1b" not in alone.text
    assert "fullchain.pem" in alone.remedy
    whole = certificates.diagnose(origin, [leaf, sign(60, 90)], "refused", now)
    assert "this machine does not trust" in whole.text
    own = certificates.diagnose(origin, [sign(60, 90, by_itself=True)], "refused", now)
    assert "it is self-signed" in own.text
    assert (
        "not for a.b.shop.test"
        in certificates.diagnose("https://a.b.shop.test", [leaf], "refused", now).text
    )  # a wildcard is for one label
    assert "refused: no TLS" in certificates.diagnose(origin, [], "no TLS", now).text
