"""pushctl apikeys and api: keys made, listed and revoked, and the log of what they did."""

import json
import re
import stat
from pathlib import Path

import pytest

from pushctl import apikeys
from pushctl.errors import ConfigError
from pushctl.store import Store
from pushctl.store.api_requests import ApiCall
from tests.support import NOON, project
from tests.support.program import pushctl


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return project.make(tmp_path / "shop")


def test_a_key_is_shown_once(folder: Path) -> None:
    made = pushctl("apikeys", "create", "shop-server", cwd=folder)
    secret = made.out.strip()
    assert made.code == 0
    assert apikeys.SECRET.fullmatch(secret)
    assert secret not in made.err
    file = folder / "keys/api_keys.toml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    listed = pushctl("apikeys", "list", "--json", cwd=folder)
    (key,) = json.loads(listed.out)
    assert (key["label"], key["scopes"], key["site"]) == ("shop-server", ["events"], "shop")
    assert (key["state"], key["used"]) == ("valid", None)
    for path in folder.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes()
    assert secret not in listed.out


def test_a_key_has_scopes_a_site_and_an_end(tmp_path: Path) -> None:
    sites = ("--site=shop=https://shop.example", "--site=blog=https://blog.example")
    folder = project.make(tmp_path / "two", *sites)
    which = pushctl("apikeys", "create", "crm", cwd=folder)
    assert (which.code, "--site is one of" in which.err) == (2, True)
    made = pushctl(
        "apikeys", "create", "crm", "--site", "blog", "--scope", "tags", "--scope", "read",
        "--expires", "30d", cwd=folder,
    )  # fmt: skip
    assert made.code == 0, made.err
    (key,) = apikeys.load(folder / "keys").values()
    assert key.expires is not None
    assert (key.site, key.scopes) == ("blog", {"tags", "read"})
    assert key.expires - key.created == 30 * 86_400_000
    odd = pushctl("apikeys", "create", "crm", "--site", "blog", "--scope", "all", cwd=folder)
    assert (odd.code, "there is no scope 'all'" in odd.err) == (2, True)
    assert len(apikeys.load(folder / "keys")) == 1


def test_a_key_is_revoked_by_its_label(folder: Path) -> None:
    for _ in range(2):
        pushctl("apikeys", "create", "shop-server", cwd=folder)
    both = pushctl("apikeys", "revoke", "shop-server", "--yes", cwd=folder)
    assert (both.code, "stands for several keys" in both.err) == (2, True)
    name = next(iter(apikeys.load(folder / "keys")))
    assert pushctl("apikeys", "revoke", name, "--yes", cwd=folder).code == 0
    assert pushctl("apikeys", "revoke", "shop-server", "--yes", cwd=folder).code == 0
    assert pushctl("apikeys", "revoke", "nobody", "--yes", cwd=folder).code == 4
    states = [row["state"] for row in json.loads(list_keys(folder))]
    assert states == ["revoked", "revoked"]


def list_keys(folder: Path) -> str:
    return pushctl("apikeys", "list", "--json", cwd=folder).out


def test_the_log_is_empty_at_first(folder: Path) -> None:
    pushctl("apikeys", "create", "shop-server", cwd=folder)
    for words in (("api", "log"), ("api", "log", "--refused"), ("apikeys", "log")):
        shown = pushctl(*words, "--json", cwd=folder)
        assert (shown.code, json.loads(shown.out)) == (0, [])
    assert pushctl("apikeys", "log", "nobody", cwd=folder).code == 4


def test_a_route_has_one_name_whether_it_was_taken_or_not(folder: Path) -> None:
    routes = ("/v1/server/events", "/v1/messages", "/v1/requests/{id}")
    with Store(folder / "pushctl.db") as store:
        store.api_requests.add_calls(ApiCall(NOON, "k", each, "scope", 1) for each in routes)
    shown = json.loads(pushctl("api", "log", "--json", cwd=folder).out)
    assert {row["route"] for row in shown} == {"events", "messages", "requests/{id}"}


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ('sha256 = "', 'sha256 = "x'),
        ("site = ", "sites = "),
        ("created = ", 'created = "then" #'),
        ('scopes = ["events"', 'scopes = ["everything"'),
    ],
)
def test_a_damaged_file_says_so(folder: Path, wrong: str, text: str) -> None:
    pushctl("apikeys", "create", "shop-server", cwd=folder)
    file = folder / "keys/api_keys.toml"
    file.write_text(file.read_text().replace(wrong, text))
    with pytest.raises(ConfigError, match=re.escape(str(file))):
        apikeys.load(folder / "keys")


def test_check_names_keys_that_lead_nowhere(folder: Path) -> None:
    apikeys.create(folder / "keys", "old", ["events"], "shop", 1_700_000_000_000)
    apikeys.create(folder / "keys", "lost", ["events"], "gone", 1_700_000_000_000)
    (folder / "keys/api_keys.toml").chmod(0o644)
    found = json.loads(pushctl("check", "--json", cwd=folder).out)
    texts = [one["text"] for one in found if one["area"] in ("API", "keys")]
    assert sum("for 90 days" in text for text in texts) == 2
    assert sum("is for a site that is not in pushctl.toml" in text for text in texts) == 1
    assert any("can be read by others" in text for text in texts)
