"""``pushctl keys``: what pages subscribe with, and one more of it."""

import json
from pathlib import Path

from pushctl.push import vapid
from pushctl.store import Store
from tests.support import people, project
from tests.support.program import PROGRAM, on_terminal, pushctl


def test_show_names_the_public_key_and_never_the_private_one(tmp_path: Path) -> None:
    project.make(tmp_path)
    shown = pushctl("keys", "show", "--json", cwd=tmp_path)
    (found,) = json.loads(shown.out)
    (key,) = vapid.load(tmp_path / "keys").values()
    assert found["id"] == key.id
    assert found["public"] == key.public and len(key.public) == 87
    assert "PRIVATE" not in shown.out + shown.err


def test_a_new_key_is_for_new_subscribers_and_the_old_one_stays(tmp_path: Path) -> None:
    project.make(tmp_path)
    (old,) = vapid.load(tmp_path / "keys")
    shown = pushctl("keys", "new", "--yes", cwd=tmp_path)
    assert shown.code == 0
    found = json.loads(pushctl("keys", "show", "--json", cwd=tmp_path).out)
    assert [each["use"] for each in found] == ["new subscribers", "earlier subscribers"]
    assert [each["id"] for each in found] == [shown.out.strip(), old]
    script = (tmp_path / "sw/pushctl.js").read_text("utf-8")
    assert found[0]["public"] in script and found[1]["public"] not in script
    assert pushctl("check", cwd=tmp_path).code == 0


def test_new_asks_first(tmp_path: Path) -> None:
    project.make(tmp_path)
    refused = pushctl("keys", "new", cwd=tmp_path)
    assert (refused.code, refused.out) == (2, "")
    assert "--yes" in refused.err
    shown = on_terminal([*PROGRAM, "keys", "new"], answers=["n"], cwd=tmp_path)
    assert shown.code == 0
    assert len(vapid.load(tmp_path / "keys")) == 1


def test_fill_brings_a_changed_setting_into_the_scripts_and_keeps_our_edits(
    tmp_path: Path,
) -> None:
    project.make(tmp_path)
    script = tmp_path / "sw/pushctl.js"
    script.write_text(script.read_text("utf-8") + "// mine\n", "utf-8")
    file = tmp_path / "pushctl.toml"
    file.write_text(file.read_text().replace('url = ""', 'url = "https://push.shop.example"'))
    shown = pushctl("keys", "fill", cwd=tmp_path)
    assert shown.code == 0 and str(script) in shown.out
    text = script.read_text("utf-8")
    assert "https://push.shop.example" in text and text.endswith("// mine\n")


def test_without_a_key_the_remedy_is_named(tmp_path: Path) -> None:
    project.make(tmp_path)
    for file in (tmp_path / "keys").glob("*.pem"):
        file.unlink()
    assert pushctl("keys", "show", cwd=tmp_path).code == 0
    shown = pushctl("keys", "fill", cwd=tmp_path)
    assert shown.code == 3 and "pushctl keys new" in shown.err


def test_show_counts_the_subscribers_of_each_key(tmp_path: Path) -> None:
    project.make(tmp_path)
    (key,) = vapid.load(tmp_path / "keys")
    with Store(tmp_path / "pushctl.db") as store:
        people.settle(store, [people.Human(), people.Human(state="gone")])
        store.connection.execute("UPDATE subscriptions SET key_id = ?", (key,))
    (found,) = json.loads(pushctl("keys", "show", "--json", cwd=tmp_path).out)
    assert found["subscribers"] == 1
    (tmp_path / "pushctl.db").unlink()
    (found,) = json.loads(pushctl("keys", "show", "--json", cwd=tmp_path).out)
    assert found["subscribers"] is None
