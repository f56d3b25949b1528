"""``pushctl keys``: what pages subscribe with, and one more of it."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from pushctl import config as configs
from pushctl.jobs.project import check, keys
from pushctl.push import foreign_keys, vapid
from pushctl.rules import tokens
from pushctl.store import Store
from tests.support import people, project
from tests.support.files import person
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
    assert [each["use"] for each in found] == ["own", "earlier"]
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


def move_in(folder: Path, pem: bytes) -> str:
    """Put a key into keys/ by hand, with a file that is newer than all; return its id."""
    key = vapid.read(pem)
    file = folder / "keys" / f"vapid-{key.id}.pem"
    file.touch(0o600)
    file.write_bytes(pem)
    os.utime(file, (4e9, 4e9))
    return key.id


def read_keys(folder: Path) -> dict[str, str]:
    """Return use by id, in the order of ``keys show``."""
    config = configs.load(folder / "pushctl.toml", {})
    with Store(config.database) as store:
        shown = keys.list_keys(config, store.soundness.count_keys())
    return {each["id"]: each["use"] for each in shown}


def find_problems(folder: Path) -> list[check.Finding]:
    found = check.run(folder / "pushctl.toml", {})
    return [each for each in found if each.level is check.Level.PROBLEM]


def test_a_key_that_is_brought_is_for_earlier_subscribers_alone(tmp_path: Path) -> None:
    project.make(tmp_path)
    (own,) = vapid.load(tmp_path / "keys").values()
    by_hand = move_in(tmp_path, vapid.create())
    (tmp_path / "theirs.pem").write_bytes(vapid.create())
    added = pushctl("keys", "add", "theirs.pem", cwd=tmp_path)
    assert added.code == 0 and f"--key {added.out.strip()}" in added.err
    assert set(read_keys(tmp_path).items()) == {
        (own.id, "own"), (by_hand, "earlier"), (added.out.strip(), "earlier"),
    }  # fmt: skip
    os.utime(tmp_path / f"keys/vapid-{by_hand}.pem", (5e9, 5e9))
    assert pushctl("keys", "fill", cwd=tmp_path).code == 0
    assert own.public in (tmp_path / "sw/pushctl.js").read_text("utf-8")
    assert vapid.load_public(tmp_path / "keys") == own.public
    assert "PRIVATE" not in added.out + added.err
    again = pushctl("keys", "add", "theirs.pem", cwd=tmp_path)
    assert again.out == added.out and read_keys(tmp_path)[own.id] == "own"


def test_use_changes_the_own_key(tmp_path: Path) -> None:
    project.make(tmp_path)
    (own,) = vapid.load(tmp_path / "keys")
    other = vapid.read(vapid.create())
    (tmp_path / "theirs.pem").write_bytes(other.pem)
    pushctl("keys", "add", "theirs.pem", cwd=tmp_path)
    assert pushctl("keys", "use", other.id, cwd=tmp_path).code == 2  # it asks first
    assert pushctl("keys", "use", "nothing0", "--yes", cwd=tmp_path).code == 2
    done = pushctl("keys", "use", other.id, "--yes", cwd=tmp_path)
    assert done.code == 0 and "sw/" in done.err
    assert read_keys(tmp_path) == {other.id: "own", own: "earlier"}
    assert other.public in (tmp_path / "sw/pushctl.js").read_text("utf-8")
    assert vapid.load_public(tmp_path / "keys") == other.public
    assert find_problems(tmp_path) == []


def test_an_old_project_keeps_its_newest_key_from_its_first_use_on(tmp_path: Path) -> None:
    project.make(tmp_path)
    (tmp_path / "keys/keys.toml").unlink()
    (old,) = vapid.load(tmp_path / "keys")
    newest = move_in(tmp_path, vapid.create())
    run = pushctl("check", "--json", cwd=tmp_path)
    assert run.code == 0 and "has another key" in run.out  # its scripts have the old one
    assert not (tmp_path / "keys/keys.toml").exists()  # check changes nothing
    assert pushctl("sw", cwd=tmp_path).code == 0
    os.utime(tmp_path / f"keys/vapid-{old}.pem", (6e9, 6e9))
    assert read_keys(tmp_path) == {newest: "own", old: "earlier"}


def test_halves_that_disagree_are_named_both(tmp_path: Path) -> None:
    project.make(tmp_path)
    (key,) = vapid.load(tmp_path / "keys")
    public = tmp_path / f"keys/vapid-{key}.pub"
    public.write_text(vapid.read(vapid.create()).public)
    for command in (("keys", "show"), ("sw",), ("check",)):
        done = pushctl(*command, cwd=tmp_path)
        assert done.code == 3, command
        assert f"vapid-{key}.pub" in done.out + done.err
        assert f"vapid-{key}.pem" in done.out + done.err


def test_add_shows_no_key(tmp_path: Path) -> None:
    project.make(tmp_path)
    secret = tokens.encode(os.urandom(32))
    done = pushctl("keys", "add", secret, cwd=tmp_path)
    assert done.code == 2 and secret not in done.err and "shell's history" in done.err
    shown = on_terminal([*PROGRAM, "keys", "add", "-"], cwd=tmp_path)
    assert shown.code == 2 and "never typed on a terminal" in shown.out
    (tmp_path / "junk").write_text(f"{{{secret}")
    done = pushctl("keys", "add", "junk", cwd=tmp_path)
    assert done.code == 2 and secret not in done.err
    assert pushctl("keys", "add", "nowhere.pem", cwd=tmp_path).code == 2
    assert len(read_keys(tmp_path)) == 1


def test_a_key_comes_through_a_pipe(tmp_path: Path) -> None:
    project.make(tmp_path)
    done = subprocess.run(
        [*PROGRAM, "keys", "add", "-"], cwd=tmp_path, input=vapid.create(), capture_output=True
    )
    assert done.returncode == 0
    assert read_keys(tmp_path)[done.stdout.decode().strip()] == "earlier"


def test_a_key_whose_id_begins_like_an_option_is_chosen(tmp_path: Path) -> None:
    project.make(tmp_path)
    # The id of this key begins with "-"; a new one of ours never does.
    scalar = 1
    while (key := vapid.read(foreign_keys.read(scalar.to_bytes(32, "big")))).id[0] != "-":
        scalar += 1
    (tmp_path / "theirs.pem").write_bytes(key.pem)
    pushctl("keys", "add", "theirs.pem", cwd=tmp_path)
    assert pushctl("keys", "use", f"vapid-{key.id}", "--yes", cwd=tmp_path).code == 0
    assert read_keys(tmp_path)[key.id] == "own"


def test_a_receivers_machine_has_lost_nothing(tmp_path: Path) -> None:
    project.make(tmp_path)
    (key,) = vapid.load(tmp_path / "keys").values()
    for file in (tmp_path / f"keys/vapid-{key.id}.pem", tmp_path / "pushctl.db"):
        file.unlink()
    (found,) = json.loads(pushctl("keys", "show", "--json", cwd=tmp_path).out)
    assert (found["use"], found["public"]) == ("own", key.public)
    assert found["file"].endswith(".pub")
    (fault,) = [one for one in find_problems(tmp_path) if one.area == "keys"]
    assert fault.text == f"holds no private key; {key.id} had subscribers"


def test_an_import_without_a_key_says_which_it_took(tmp_path: Path) -> None:
    project.make(tmp_path)
    lines = [person(n, site="shop") for n in range(2)]
    (tmp_path / "people.jsonl").write_text("\n".join(map(json.dumps, lines)))
    words = ("subscribers", "import", "people.jsonl", "--site", "shop")
    assert "VAPID key" not in pushctl(*words, cwd=tmp_path).err
    (tmp_path / "theirs.pem").write_bytes(vapid.create())
    other = pushctl("keys", "add", "theirs.pem", cwd=tmp_path).out.strip()
    assert "2 lines named no VAPID key, and got your own" in pushctl(*words, cwd=tmp_path).err
    assert "VAPID key" not in pushctl(*words, "--key", other, cwd=tmp_path).err


def lose_key(folder: Path, people_of_it: int) -> str:
    project.make(folder)
    (key,) = vapid.load(folder / "keys")
    with Store(folder / "pushctl.db") as store:
        people.settle(store, [people.Human() for _ in range(people_of_it)])
        store.connection.execute("UPDATE subscriptions SET key_id = ?", (key,))
    return key


@pytest.mark.parametrize("with_register", [True, False])
def test_a_lost_key_says_whom_it_leaves_out_of_reach(
    tmp_path: Path, with_register: bool
) -> None:
    key = lose_key(tmp_path, 3)
    saved = (tmp_path / f"keys/vapid-{key}.pem").read_bytes()
    for file in (tmp_path / "keys").glob("*" if with_register else "vapid-*"):
        if file.name not in ("secret", "alias_secret", "email_secret", "keys.toml"):
            file.unlink()
    (fault,) = [one for one in find_problems(tmp_path) if one.area == "keys"]
    assert f"3 active subscribers came with the key {key}" in fault.text
    assert fault.remedy.index(f"vapid-{key}.pem") < fault.remedy.index(f"keys lost {key}")
    assert "3 active subscribers" in pushctl("init", cwd=tmp_path).err
    assert "lost" in read_keys(tmp_path)[key]
    asked = pushctl("keys", "new", "--yes", cwd=tmp_path)
    assert "3 active subscribers" in asked.err
    own = asked.out.strip()
    (fault,) = find_problems(tmp_path)
    assert "3 active subscribers" in fault.text
    # Once it is found again, they are reached, and newcomers stay with the new one.
    (tmp_path / "found").write_bytes(saved)
    assert pushctl("keys", "add", "found", cwd=tmp_path).code == 0
    assert read_keys(tmp_path) == {own: "own", key: "earlier"}


def test_a_lost_own_key_stays_the_own_one_when_it_comes_back(tmp_path: Path) -> None:
    key = lose_key(tmp_path, 2)
    pem = tmp_path / f"keys/vapid-{key}.pem"
    saved = pem.read_bytes()
    (tmp_path / "theirs.pem").write_bytes(vapid.create())
    other = pushctl("keys", "add", "theirs.pem", cwd=tmp_path).out.strip()
    pem.unlink()
    assert read_keys(tmp_path) == {other: "earlier", key: "own, lost"}
    done = pushctl("keys", "fill", cwd=tmp_path)
    assert done.code == 3 and key in done.err and "keys use ID" in done.err
    texts = [one.text for one in find_problems(tmp_path)]
    assert any("2 active subscribers" in text for text in texts)
    assert any(f"new subscribers get the key {key}, which is lost" in text for text in texts)
    (tmp_path / "found").write_bytes(saved)
    assert "use own" in pushctl("keys", "add", "found", cwd=tmp_path).err
    assert read_keys(tmp_path) == {key: "own", other: "earlier"}


def test_a_key_is_retired_and_comes_back(tmp_path: Path) -> None:
    project.make(tmp_path)
    (old,) = vapid.load(tmp_path / "keys")
    with Store(tmp_path / "pushctl.db") as store:
        people.settle(store, [people.Human(last_seen_at=1_790_000_000_000)])
        store.connection.execute("UPDATE subscriptions SET key_id = ?", (old,))
    new = pushctl("keys", "new", "--yes", cwd=tmp_path).out.strip()
    refused = pushctl("keys", "retire", old, "--yes", cwd=tmp_path)
    assert refused.code == 3
    assert f"1 active subscriber has the key {old}, last seen 2026-09-21" in refused.err
    assert pushctl("keys", "retire", new, "--yes", cwd=tmp_path).code == 3
    for asked in ((), ("--yes",)):  # nothing is asked about a key that is not there
        run = pushctl("keys", "retire", "nothing0", *asked, cwd=tmp_path)
        assert (run.code, "no key is called 'nothing0'" in run.err) == (2, True)
    assert read_keys(tmp_path) == {new: "own", old: "earlier"}
    with Store(tmp_path / "pushctl.db") as store:
        store.connection.execute("UPDATE subscriptions SET key_id = ?", (new,))
    assert pushctl("keys", "retire", old, cwd=tmp_path).code == 2  # it asks first
    done = pushctl("keys", "retire", f"vapid-{old}.pem", "--yes", cwd=tmp_path)
    assert done.code == 0 and f"pushctl keys use {old}" in done.err
    shown = json.loads(pushctl("keys", "show", "--json", cwd=tmp_path).out)
    assert [(each["id"], each["use"]) for each in shown] == [(new, "own"), (old, "retired")]
    assert shown[1]["until"] and shown[1]["file"].endswith(f"retired/vapid-{old}.pem")
    assert pushctl("check", cwd=tmp_path).code == 0
    assert pushctl("keys", "use", old, "--yes", cwd=tmp_path).code == 0
    assert read_keys(tmp_path) == {old: "own", new: "earlier"}
    assert not list((tmp_path / "keys/retired").iterdir())


def test_a_lost_key_is_explained_and_given_up(tmp_path: Path) -> None:
    project.make(tmp_path)
    (old,) = vapid.load(tmp_path / "keys").values()
    with Store(tmp_path / "pushctl.db") as store:
        people.settle(store, [people.Human(), people.Human(state="quarantined")])
        store.connection.execute("UPDATE subscriptions SET key_id = ?", (old.id,))
    assert pushctl("keys", "lost", old.id, "--yes", cwd=tmp_path).code == 2
    file = tmp_path / f"keys/vapid-{old.id}.pem"
    file.unlink()
    told = pushctl("check", cwd=tmp_path)
    assert told.code == 3 and f"`pushctl keys lost {old.id}`" in told.out
    dry = pushctl("keys", "lost", old.id, "--dry-run", cwd=tmp_path)
    assert dry.code == 0 and "shop\t1\t1\t" in dry.out and "a new key is made" in dry.err
    assert read_keys(tmp_path) == {old.id: "own, lost"}
    done = pushctl("keys", "lost", old.id, "--yes", cwd=tmp_path)
    new = done.out.splitlines()[-1]
    assert done.code == 0 and "2 subscribers marked as gone" in done.err
    assert read_keys(tmp_path) == {new: "own", old.id: "lost"}
    assert vapid.load_own(tmp_path / "keys").public in (tmp_path / "sw/pushctl.js").read_text()
    assert pushctl("check", cwd=tmp_path).code == 0
    (tmp_path / "found.pem").write_bytes(old.pem)
    back = pushctl("keys", "add", "found.pem", cwd=tmp_path)
    assert back.code == 0 and "2 subscribers of the lost key are active again" in back.err
    assert read_keys(tmp_path) == {new: "own", old.id: "earlier"}
