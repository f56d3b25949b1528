"""pushctl.config, rules.structure, rules.settings: what a project says, where it errs."""

import os
import string
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushctl import config, shipped
from pushctl.config import Config
from pushctl.errors import ConfigError, Problem
from pushctl.rules.config import checks
from pushctl.rules.config.structure import line_of

GOOD = """\
contact = "mailto:ada@shop.example"

[sites.shop]
origin = "https://shop.example"
"""


def load(folder: Path, text: str, environment: Mapping[str, str] | None = None) -> Config:
    file = folder / "pushctl.toml"
    file.write_text(text, "utf-8")
    return config.load(file, environment or {})


def problems(
    folder: Path, text: str, environment: Mapping[str, str] | None = None
) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, environment)
    return caught.value.problems


def only(found: tuple[Problem, ...]) -> Problem:
    (problem,) = found
    return problem


def test_the_least_config_has_defaults_and_absolute_paths(tmp_path: Path) -> None:
    found = load(tmp_path, GOOD)
    assert found.file == tmp_path / "pushctl.toml"
    assert found.database == tmp_path / "pushctl.db"
    assert found.sites["shop"].name == "shop"
    assert found.sites["shop"].language == "en"
    assert found.push.encoder == "auto"
    assert found.receiver.listen == "127.0.0.1:8750"


def test_every_setting_can_be_written(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        """\
contact = "https://shop.example/contact"
database = "data/people.db"
inbox = "/var/lib/inbox"

[sites.shop]
origin = "https://shop.example"
language = "pt-BR"
languages = ["en", "pt-BR", "es"]
timezone = "America/Sao_Paulo"
origins = ["http://localhost:8080", "https://www.shop.example"]

[sites.shop.brand]
name = "Loja"
icon = "https://shop.example/i.png"

[sites.blog]
origin = "https://blog.example:8443"

[receiver]
url = "https://push.shop.example/hook"
listen = "[::1]:9000"
country_header = "CF-IPCountry"

[push]
encoder = "direct"
allowed_hosts = ["fcm.googleapis.com", ".push.example"]
workers = 3
rate = 500
proxy = "http://user:word@proxy.example:3128"
timeout = 10

[push.loopback]
ca = "ca.pem"
hosts = { "push.example:8443" = "127.0.0.1:8443" }

[segments]
vip = "tag('VIP')"

[frequency]
messages = 2

[triggers.basket]
on = "cart_updated"
steps = [{ after = "3m", template = "basket" }]
""",
    )
    assert found.database == tmp_path / "data/people.db"
    assert found.inbox == Path("/var/lib/inbox")
    assert found.sites["blog"].origin == "https://blog.example:8443"
    assert found.sites["shop"].origins[0] == "http://localhost:8080"
    assert found.sites["shop"].written_languages == ("pt-BR", "en", "es")
    assert found.sites["blog"].written_languages == ("en",)
    assert found.push.rate == 500.0
    assert found.push.loopback.ca == tmp_path / "ca.pem"
    assert found.segments == {"vip": "tag('VIP')"}
    assert found.triggers["basket"].steps[0].templates == ("basket",)
    assert found.frequency.messages == 2


def test_every_problem_is_told_at_once_in_the_files_order(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """\
contact = "ada@shop.example"
databse = "x.db"
[sites.shop]
origin = "https://Shop.example/"
timezone = "Europe/Berln"
[push]
encoder = "quick"
rate = "many"
[push.loopback.hosts]
"push.example" = "10.0.0.1:443"
[triggers.a]
on = "x"
steps = [{ after = "3 miles", template = "x" }]
""",
    )
    assert [(each.place, each.fault) for each in found] == [
        ("pushctl.toml:1: contact", "is 'ada@shop.example', which push services refuse"),
        ("pushctl.toml:2: databse", "there is no such setting"),
        ("pushctl.toml:4: sites.shop.origin", "is 'https://Shop.example/', not an origin"),
        ("pushctl.toml:5: sites.shop.timezone", "is 'Europe/Berln', not a time zone"),
        ("pushctl.toml:7: push.encoder", "is 'quick', not an encoder"),
        ("pushctl.toml:8: push.rate", "is 'many', not a number"),
        (
            "pushctl.toml:10: push.loopback.hosts.push.example",
            "is '10.0.0.1:443', which is not on this machine",
        ),
        ("pushctl.toml:13: triggers.a.steps.1.after", "is '3 miles'"),
    ]
    assert found[0].remedy == "Write 'mailto:ada@shop.example'."
    assert found[1].remedy == "Did you mean database?"
    assert "https://shop.example" in found[2].remedy
    assert "Europe/Berlin" in found[3].remedy


def test_what_is_missing_is_shown_as_it_should_be_written(tmp_path: Path) -> None:
    found = problems(tmp_path, "[sites.shop]\nlanguage = 'de'\n")
    assert [str(each) for each in found] == [
        'pushctl.toml: contact: is missing\n    Write contact = "mailto:you@shop.example"',
        "pushctl.toml:1: sites.shop.origin: is missing\n"
        '    Write origin = "https://shop.example"',
    ]
    contact = 'contact = "mailto:a@b.example"'
    assert only(problems(tmp_path, contact)).fault == "is missing"
    assert only(problems(tmp_path, f"{contact}\n[sites]")).fault == "has no site"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("workers = true", "is true, not a whole number"),
        ("workers = 1.5", "is 1.5, not a whole number"),
        ("workers = -1", "is -1"),
        ("encoder = 5", "is 5, not a text in quotes"),
        ("allowed_hosts = 'a.example'", "is 'a.example', not a list"),
        ("allowed_hosts = [1]", "is 1, not a text in quotes"),
        ("allowed_hosts = ['https://a.example']", "is 'https://a.example', not a host name"),
        ("loopback = 1", "is 1, not a table"),
        ("rate = 0", "is 0"),
        ("rate = nan", "is nan"),
        ("timeout = inf", "is inf"),
        ("timeout = 0.5", "is 0.5"),
        ("proxy = 'socks5://x'", "is not the URL of an HTTP proxy"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, line: str, fault: str) -> None:
    assert only(problems(tmp_path, f"{GOOD}[push]\n{line}\n")).fault.startswith(fault)


def test_a_sites_languages_have_its_own_among_them(tmp_path: Path) -> None:
    found = only(problems(tmp_path, f"{GOOD}languages = ['ar', 'tr']\n"))
    assert (found.place, found.fault) == (
        "pushctl.toml:5: sites.shop.languages",
        "lacks 'en', the site's language",
    )
    assert "language = 'ar'" in found.remedy
    wrong = only(problems(tmp_path, f"{GOOD}languages = ['en', 'turkish']\n"))
    assert wrong.fault == "is 'turkish', not a language tag"


def test_a_proxys_password_is_not_repeated(tmp_path: Path) -> None:
    found = problems(tmp_path, f"{GOOD}[push]\nproxy = 'http://a:hunter2@x y'\n")
    assert "hunter2" not in str(found)


def test_a_file_that_is_no_toml_is_named_with_its_line(tmp_path: Path) -> None:
    assert "line 2" in only(problems(tmp_path, 'contact = "a"\n[sites.shop\n')).fault


@pytest.mark.parametrize("content", [b"\xff\xfe", b"contact = \xe4"])
def test_a_file_that_is_no_utf_8_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pushctl.toml").write_bytes(content)
    with pytest.raises(ConfigError, match="UTF-8"):
        config.load(tmp_path / "pushctl.toml", {})


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    assert load(tmp_path, "\ufeff" + GOOD).contact == "mailto:ada@shop.example"


def test_variables_go_before_the_file(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        GOOD.replace("[sites.shop]", "[sites.my-shop]"),
        {
            "PUSHCTL_CONTACT": "mailto:bob@shop.example",
            "PUSHCTL_PUSH__WORKERS": "4",
            "PUSHCTL_PUSH__ALLOWED_HOSTS": "['a.example']",
            "PUSHCTL_SITES__MY_SHOP__ORIGIN": "https://other.example",
            "PUSHCTL_E2E": "require",
            "HOME": "/",
        },
    )
    assert found.contact == "mailto:bob@shop.example"
    assert found.push.workers == 4
    assert found.push.allowed_hosts == ("a.example",)
    assert found.sites["my-shop"].origin == "https://other.example"


def test_a_wrong_variable_is_named_by_its_name(tmp_path: Path) -> None:
    found = problems(tmp_path, GOOD, {"PUSHCTL_PUSH__WORKERS": "lots"})
    assert str(only(found)).startswith("PUSHCTL_PUSH__WORKERS: is 'lots', not a whole number")


def test_a_variable_that_sets_nothing_is_a_slip_of_the_pen() -> None:
    found = config.unknown_variables({"PUSHCTL_CONTCT": "x", "PUSHCTL_PUSH__RATE": "1"})
    assert only(tuple(found)).remedy == "Did you mean PUSHCTL_CONTACT?"


def test_the_nearest_config_above_is_found(tmp_path: Path) -> None:
    (tmp_path / "pushctl.toml").touch()
    below = tmp_path / "a/b"
    below.mkdir(parents=True)
    assert config.find(below) == tmp_path / "pushctl.toml"
    assert config.find(tmp_path / "pushctl.toml") == tmp_path / "pushctl.toml"


def test_a_strangers_config_above_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pushctl.toml").touch()
    (tmp_path / "a").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    if (tmp_path / "pushctl.toml").stat().st_uid == 0:
        os.chown(tmp_path / "pushctl.toml", 4712, -1)
    assert config.find(tmp_path) == tmp_path / "pushctl.toml", "named outright it is taken"
    with pytest.raises(ConfigError, match="pushctl init"):
        config.find(tmp_path / "a")


def test_the_secret_is_32_bytes_or_an_error_with_its_remedy(tmp_path: Path) -> None:
    found = load(tmp_path, GOOD)
    with pytest.raises(ConfigError, match="backup"):
        found.secret()
    found.keys.mkdir()
    (found.keys / "secret").write_bytes(b"short")
    with pytest.raises(ConfigError, match="5 bytes"):
        found.secret()
    (found.keys / "secret").write_bytes(b"s" * 32)
    assert found.secret() == b"s" * 32


def test_the_shipped_example_is_a_config_and_shows_every_setting(tmp_path: Path) -> None:
    text = shipped.find("pushctl.toml.example").read_text("utf-8")
    load(tmp_path, text)
    every = text.replace("\n# ", "\n")
    for name in ("database", "country_header", "encoder", "rate", "proxy", "badge", "segments"):
        assert f"\n{name} =" in every or f"[{name}]" in every


@pytest.mark.parametrize(
    "value",
    ["https://a.example", "https://xn--bcher-kva.example:8443", "http://localhost:8080"],
)
def test_origins_as_browsers_write_them(value: str) -> None:
    assert checks.origin(value) is None


@pytest.mark.parametrize(
    "value",
    [
        "shop.example",
        "http://shop.example",
        "https://shop.example/",
        "https://shop.example/path",
        "https://SHOP.example",
        "https://shop.example:443",
        "https://shop.example:0",
        "https://shop.example:99999",
        "https://me@shop.example",
        "https://shop.example?x",
        "https://bücher.example",
        "https://shop.example\n",
        "https://",
        "https://[::1",
        "null",
        "*",
        "",
    ],
)
def test_what_is_no_origin_is_refused_with_a_remedy(value: str) -> None:
    verdict = checks.origin(value)
    assert verdict and verdict[1]


@pytest.mark.parametrize(
    "value",
    ["ada@b.example", "mailto:ada", "mailto:a@localhost", "mailto:<a@b.example>", "", "x"],
)
def test_contacts_that_push_services_refuse(value: str) -> None:
    assert checks.contact(value)


@pytest.mark.parametrize(
    ("value", "right"), [("EN", "en"), ("pt_BR", None), ("pt-br", "pt-BR"), ("deutsch", None)]
)
def test_languages_are_spelled_as_browsers_do(value: str, right: str | None) -> None:
    verdict = checks.language(value)
    assert verdict and (right is None or repr(right) in verdict[1])


@pytest.mark.parametrize("target", ["127.0.0.1:80", "[::1]:8443", "localhost:1", "127.9.9.9:2"])
def test_loopback_targets_on_this_machine(target: str) -> None:
    assert checks.loopback(("push.example:443", target)) is None


@pytest.mark.parametrize(
    "target",
    ["10.0.0.1:80", "0.0.0.0:80", "127.0.0.1", "localhost.evil.example:1", "[::2]:1", ""],
)
def test_loopback_targets_elsewhere_are_refused(target: str) -> None:
    assert checks.loopback(("push.example", target))


@given(st.text())
def test_no_check_of_a_text_ever_fails(text: str) -> None:
    plain = (checks.origin, checks.url, checks.contact, checks.language)
    more = (checks.receiver_url, checks.listen, checks.push_host, checks.proxy)
    for check in (*plain, *more, checks.timezone):
        verdict = check(text)
        assert verdict is None or all(verdict)


_names = st.text(string.ascii_lowercase + "-_", min_size=1, max_size=8)


@given(st.lists(st.tuples(_names, _names), min_size=1, max_size=6, unique=True))
def test_a_settings_line_is_found_again(pairs: list[tuple[str, str]]) -> None:
    lines = [part for table, key in pairs for part in (f"[{table}.x]", f'"{key}" = [1] # =')]
    for number, (table, key) in enumerate(pairs, 1):
        assert line_of((table, "x", key), "\n".join(lines)) == 2 * number
