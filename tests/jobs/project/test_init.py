"""``pushctl init``: a whole project from a few answers, and nothing overwritten."""

import stat
import tomllib
from pathlib import Path

import pytest

from pushctl import shipped
from pushctl.jobs.project import init
from pushctl.jobs.project.init import Answers
from pushctl.push import vapid
from pushctl.store import Store
from tests.support import project
from tests.support.program import PROGRAM, on_terminal, pushctl


def modes(folder: Path) -> dict[str, int]:
    return {
        str(each.relative_to(folder)): stat.S_IMODE(each.stat().st_mode)
        for each in folder.rglob("*")
    }


def contents(folder: Path) -> dict[Path, bytes]:
    return {each: each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def test_options_make_a_whole_project(tmp_path: Path) -> None:
    shown = pushctl(
        "init",
        str(tmp_path / "shop"),
        "--origin=https://www.shop.example",
        "--contact=ada@shop.example",
        "--languages=de, pt-BR",
        "--receiver-url=https://push.shop.example",
        "--timezone=Europe/Vienna",
    )
    folder = tmp_path / "shop"
    assert (shown.code, shown.out) == (0, "")
    assert "Next" in shown.err and "1." in shown.err and "3." in shown.err
    found = tomllib.loads((folder / "pushctl.toml").read_text("utf-8"))
    assert found["contact"] == "mailto:ada@shop.example"
    site = found["sites"]["shop"]
    assert site["origin"] == "https://www.shop.example"
    assert (site["language"], site["timezone"]) == ("de", "Europe/Vienna")
    assert site["languages"] == ["de", "pt-BR"]
    assert found["receiver"]["url"] == "https://push.shop.example"
    with Store(folder / "pushctl.db") as store:
        assert list(store.sites.load_ids()) == ["shop"]


def test_secrets_are_for_their_owner_alone(tmp_path: Path) -> None:
    found = modes(project.initialise(tmp_path / "p"))
    (key,) = (name for name in found if name.endswith(".pem"))
    for folder in ("keys", "inbox", "journal"):
        assert found[folder] == 0o700, folder
    for file in (key, "keys/secret", "pushctl.db"):
        assert found[file] == 0o600, file
    ignored = (tmp_path / "p/.gitignore").read_text().splitlines()
    assert {"keys/", "pushctl.db*", "inbox/", "journal/"} <= set(ignored)


def test_the_comments_of_the_example_stay(tmp_path: Path) -> None:
    text = (project.initialise(tmp_path) / "pushctl.toml").read_text("utf-8")
    example = shipped.find("pushctl.toml.example").read_text("utf-8")
    comments = [line for line in example.splitlines() if line.startswith("#")]
    assert len(comments) > 20
    assert [line for line in text.splitlines() if line.startswith("#")] == comments


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    project.initialise(tmp_path)
    before = contents(tmp_path)
    shown = pushctl("init", str(tmp_path))
    assert shown.code == 0
    assert "exists already, unchanged" in shown.err
    after = contents(tmp_path)
    after.pop(tmp_path / "pushctl.db-wal", None)
    after.pop(tmp_path / "pushctl.db-shm", None)
    assert after == before


def test_a_second_run_completes_what_is_missing(tmp_path: Path) -> None:
    project.initialise(tmp_path)
    kept = (tmp_path / "keys/secret").read_bytes()
    for script in (tmp_path / "sw").iterdir():
        script.unlink()
    (tmp_path / "sw").rmdir()
    (tmp_path / "journal").rmdir()
    assert pushctl("init", cwd=tmp_path).code == 0
    assert (tmp_path / "sw/pushctl-sw.js").exists()
    assert (tmp_path / "journal").is_dir()
    assert (tmp_path / "keys/secret").read_bytes() == kept


def test_options_beside_a_config_are_refused(tmp_path: Path) -> None:
    project.initialise(tmp_path)
    before = contents(tmp_path)
    shown = pushctl("init", str(tmp_path), "--origin=https://other.example")
    assert shown.code == 2
    assert "never overwritten" in shown.err
    assert contents(tmp_path) == before


def test_a_gitignore_that_is_there_is_added_to(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.pyc\nkeys/")
    project.initialise(tmp_path)
    lines = (tmp_path / ".gitignore").read_text().splitlines()
    assert lines[:2] == ["*.pyc", "keys/"]
    assert lines.count("keys/") == 1 and "inbox/" in lines


def test_templates_come_in_the_chosen_languages(tmp_path: Path) -> None:
    project.initialise(tmp_path, "--languages=ar,en")
    names = {each.name for each in (tmp_path / "templates").rglob("*.toml")}
    assert {"message.toml", "ar.toml", "en.toml"} <= names
    assert "de.toml" not in names


def test_a_language_that_none_is_shipped_in_gets_the_english_to_translate(
    tmp_path: Path,
) -> None:
    project.initialise(tmp_path, "--languages=nb")
    for message in (tmp_path / "templates").glob("*/message.toml"):
        assert message.with_name("nb.toml").read_text("utf-8").startswith("# Still English")
    assert pushctl("check", cwd=tmp_path).code == 0


def test_the_scripts_hold_the_key_and_the_receivers_url(tmp_path: Path) -> None:
    project.initialise(tmp_path, "--receiver-url=https://push.shop.example")
    (key,) = vapid.load(tmp_path / "keys").values()
    for name in ("pushctl.js", "pushctl-sw.js"):
        text = (tmp_path / "sw" / name).read_text("utf-8")
        # The worker learns the key from the page.
        assert (key.public in text) is (name == "pushctl.js")
        assert "https://push.shop.example" in text


def test_several_sites_have_a_folder_each(tmp_path: Path) -> None:
    project.initialise(
        tmp_path,
        "--site=shop=https://shop.example",
        "--site=blog=https://blog.example",
    )
    for name in ("shop", "blog"):
        assert f'"site": "{name}"' in (tmp_path / "sw" / name / "pushctl.js").read_text("utf-8")
    found = tomllib.loads((tmp_path / "pushctl.toml").read_text("utf-8"))
    assert found["sites"]["blog"]["origin"] == "https://blog.example"
    assert pushctl("check", cwd=tmp_path).code == 0


def test_on_a_terminal_the_person_is_asked(tmp_path: Path) -> None:
    shown = on_terminal(
        [*PROGRAM, "init"],
        answers=["https://shop.example", "ada@shop.example", ""],
        cwd=tmp_path,
        TZ="Asia/Kathmandu",
    )
    assert shown.code == 0, shown.out
    assert "What is the address of your web site?" in shown.out
    found = tomllib.loads((tmp_path / "pushctl.toml").read_text("utf-8"))
    assert found["contact"] == "mailto:ada@shop.example"
    assert found["sites"]["shop"]["language"] == "en"
    assert found["sites"]["shop"]["timezone"] == "Asia/Kathmandu"


def test_where_nobody_can_be_asked_the_options_are_named(tmp_path: Path) -> None:
    shown = pushctl("init", str(tmp_path / "p"))
    assert shown.code == 2
    assert "--origin" in shown.err and "--contact" in shown.err
    assert not (tmp_path / "p").exists()


def test_every_bad_answer_is_told_at_once_and_nothing_made(tmp_path: Path) -> None:
    shown = pushctl(
        "init",
        str(tmp_path / "p"),
        "--site=My Shop=http://shop.example/x",
        "--contact=me",
        "--languages=en,klingon",
        "--timezone=Mars/Base",
        "--receiver-url=push",
    )
    assert shown.code == 2
    for word in ("My Shop", "http://shop.example/x", "'me'", "klingon", "Mars/Base", "'push'"):
        assert word in shown.err
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("origin", "name"),
    [
        ("https://www.shop.example", "shop"),
        ("https://shop.example:8443", "shop"),
        ("http://localhost:8080", "localhost"),
        ("http://127.0.0.1", "localhost"),
        ("http://127.0.0.1:8000", "localhost"),
        ("http://[::1]:8000", "localhost"),
        ("https://10.0.0.5", "site"),
        ("https://[2001:db8::5]:8443", "site"),
        ("https://163.example", "163"),
        ("https://WWW.Shop.Example", "shop"),
        ("http://[nonsense", "site"),
        ("nonsense", "site"),
    ],
)
def test_a_site_is_named_after_its_host(origin: str, name: str) -> None:
    assert init.name_site(origin) == name


def test_no_site_takes_anothers_name() -> None:
    assert init.name_site("https://shop.example", ["shop"]) == "shop-2"
    assert init.name_site("https://10.0.0.5", ["site", "site-2"]) == "site-3"


def test_an_origin_beside_a_site_of_that_name_makes_two(tmp_path: Path) -> None:
    shown = pushctl(
        "init",
        str(tmp_path / "p"),
        "--site=shop=https://shop.example",
        "--origin=https://shop.example.org",
        "--contact=me@shop.example",
    )
    assert shown.code == 0
    config = tomllib.loads((tmp_path / "p" / "pushctl.toml").read_text())
    assert {name: site["origin"] for name, site in config["sites"].items()} == {
        "shop": "https://shop.example",
        "shop-2": "https://shop.example.org",
    }


def test_the_machines_time_zone_is_read_where_it_is_set(tmp_path: Path) -> None:
    link = tmp_path / "localtime"
    assert init.read_timezone({}, link) == "UTC"
    link.symlink_to("/usr/share/zoneinfo/America/New_York")
    assert init.read_timezone({}, link) == "America/New_York"
    assert init.read_timezone({"TZ": "Asia/Dubai"}, link) == "Asia/Dubai"
    assert init.read_timezone({"TZ": ":odd"}, link) == "America/New_York"


def test_answers_with_quotes_cannot_write_settings_of_their_own() -> None:
    text = init.render_toml(
        Answers({"shop": "https://shop.example"}, 'mailto:a"\nx = 1\n#@b.example')
    )
    found = tomllib.loads(text)
    assert "x" not in found
    assert found["contact"] == 'mailto:a"\nx = 1\n#@b.example'


def test_an_answer_that_cannot_be_right_is_asked_again(tmp_path: Path) -> None:
    shown = on_terminal(
        [*PROGRAM, "init"],
        answers=[
            *("shop.example", "https://shop.example"),
            *("me", "ada@shop.example"),
            *("german", "de,tr"),
        ],
        cwd=tmp_path,
    )
    assert shown.code == 0, shown.out
    assert "That is 'shop.example', not an origin. Write 'https://shop.example'" in shown.out
    assert "That is 'me', which push services refuse." in shown.out
    assert "That is 'german', not a language tag." in shown.out
    found = tomllib.loads((tmp_path / "pushctl.toml").read_text("utf-8"))
    assert found["contact"] == "mailto:ada@shop.example"
    assert found["sites"]["shop"]["language"] == "de"


@pytest.mark.parametrize(
    ("origin", "receiver"),
    [
        ("http://localhost:8000", "http://localhost:8750"),
        ("http://127.0.0.1:8000", "http://localhost:8750"),
        ("https://shop.example", ""),
    ],
)
def test_a_shop_on_this_machine_finds_the_receiver_on_it(origin: str, receiver: str) -> None:
    assert init.find_local_receiver({"shop": origin}) == receiver


def test_the_next_steps_are_commands_that_work(tmp_path: Path) -> None:
    shown = pushctl(
        "init", "my shop", "--origin=https://shop.example", f"--contact={project.CONTACT}",
        cwd=tmp_path,
    )  # fmt: skip
    assert "cd 'my shop'" in shown.err
    steps = [line.partition("pushctl ")[2] for line in shown.err.splitlines()]
    (send,) = (step for step in steps if step.startswith("send "))
    done = pushctl(*send.split(), cwd=tmp_path / "my shop")
    assert (done.code, done.err) == (0, project.NO_ICON)
