"""pushctl subscribers, tags and import: answers, exit codes, no secrets."""

import csv
import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pushctl.rules import tokens
from pushctl.store import Store
from pushctl.store.subscriptions import Registration
from tests import support
from tests.support import project as projects
from tests.support.files import person
from tests.support.program import PROGRAM, on_terminal, pushctl


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project made by init, with four subscribers and one refused line."""
    here = projects.make(tmp_path_factory.mktemp("shop"))
    lines = [person(n, tags=["VIP"] if n < 2 else ["News"], alias=f"c{n}") for n in range(4)]
    for line in lines:
        del line["site"]
    text = "\n".join([*map(json.dumps, lines), "rubbish"])
    (here / "people.jsonl").write_text(text)
    done = pushctl("subscribers", "import", "people.jsonl", "--json", cwd=here)
    assert done.code == 0
    assert json.loads(done.out)["added"] == 4
    assert "1 refused: no JSON" in done.err
    return here


def test_listing_and_showing(folder: Path) -> None:
    done = pushctl("subscribers", "list", "--tag", "vip", "--csv", cwd=folder)
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [row["alias"] for row in rows] == ["c0", "c1"]
    assert done.err == ""
    shown = pushctl("subscribers", "show", rows[0]["public_id"][:8], "--json", cwd=folder)
    one = json.loads(shown.out)
    assert (one["alias"], one["tags"]) == ("c0", ["VIP"])
    assert support.endpoint(0) not in shown.out
    assert one["push_service"].startswith("updates.push.services.mozilla.com/#")


def test_an_ignored_column_is_named_with_the_way_to_keep_it(tmp_path: Path) -> None:
    here = projects.make(tmp_path)
    one = person(1)
    names = ["endpoint", "p256dh", "auth", "points", "attr.plan"]
    cells = [one["endpoint"], one["keys"]["p256dh"], one["keys"]["auth"], "7", "gold"]
    (here / "people.csv").write_text(f"{','.join(names)}\n{','.join(cells)}\n")
    done = pushctl("subscribers", "import", "people.csv", cwd=here)
    said = "ignored columns: points. Rename one to attr.points to keep it as an attribute"
    assert (done.code, said in " ".join(done.err.split())) == (0, True)


def test_a_browsers_own_id_names_it_before_and_after_it_moves(folder: Path) -> None:
    def shown(number: int) -> str:  # as sw/pushctl-preferences.js makes it
        digits = tokens.endpoint_hash(support.endpoint(number)).hex()[:12]
        return "-".join(digits[place : place + 4] for place in (0, 4, 8))

    for spelling in (shown(2), shown(2).replace("-", ""), f" {shown(2).upper()} "):
        found = json.loads(pushctl("subscribers", "show", spelling, "--json", cwd=folder).out)
        assert found["alias"] == "c2"
    data = json.loads(pushctl("subscribers", "export", "--id", shown(2), cwd=folder).out)
    assert [each["alias"] for each in data["browsers"]] == ["c2"]

    with Store(folder / "pushctl.db") as store, store.write():
        (one,) = store.subscriptions.find(shown(3))
        moved = support.endpoint(33)
        made = Registration(
            1, moved, tokens.endpoint_hash(moved), one.p256dh, one.auth, one.key_id
        )
        store.subscriptions.move(one.id, made, "new endpoint", one.last_seen_at + 1)
        for number in (3, 33):
            assert [each.id for each in store.subscriptions.find(shown(number))] == [one.id]
    unknown = pushctl("subscribers", "show", "0000-0000-0000", cwd=folder)
    assert unknown.code == 4
    assert "preferences" in unknown.err


def test_tagging_by_hand_and_the_list_of_tags(folder: Path) -> None:
    assert pushctl("subscribers", "tag", "Wholesale", "alias:c3", cwd=folder).code == 0
    assert pushctl("subscribers", "tag", "All", "--where", "everyone", cwd=folder).code == 0
    assert pushctl("subscribers", "untag", "all", "alias:c3", cwd=folder).code == 0
    done = pushctl("tags", "list", "--json", cwd=folder)
    counts = {row["name"]: row["active"] for row in json.loads(done.out)}
    assert counts == {"All": 3, "VIP": 2, "News": 2, "Wholesale": 1}


def test_a_person_gets_their_data(folder: Path) -> None:
    done = pushctl("subscribers", "export", "--alias", "c3", cwd=folder)
    (browser,) = json.loads(done.out)["browsers"]
    assert (browser["alias"], browser["consents"]) == ("c3", [])
    assert support.endpoint(3) not in done.out
    assert done.err == ""

    kept = pushctl("subscribers", "export", "--alias", "c3", "-o", "c3.json", cwd=folder)
    assert "The data of 1 browser is written to c3.json." in kept.err
    assert json.loads((folder / "c3.json").read_text())["browsers"] == [browser]
    assert (folder / "c3.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["show", "nobody"], 4, "no subscriber is called"),
        (["tag", "x"], 2, "give subscribers, or an audience"),
        (["tag", "x", "alias:c1", "--where", "everyone"], 2, "give subscribers, or"),
        (["untag", "never was", "alias:c1"], 4, "there is no tag"),
        (["import", "none.csv"], 2, "can't be read"),
        (["import", "people.jsonl", "--site", "x"], 2, "no site is called"),
        (["list", "--where", "country ="], 2, "country ="),
        (["export", "--alias", "nobody"], 4, "no subscriber is called"),
        (["export", "--alias", "c1", "--csv"], 2, "data is JSON: leave out filters and CSV"),
        (
            ["export", "--alias", "c1", "--tag", "VIP"],
            2,
            "data is JSON: leave out filters and CSV",
        ),
        (["forget", "alias:c1"], 2, "--yes"),
        (["forget", "nobody", "--yes"], 4, "no subscriber"),
    ],
)
def test_mistakes_have_their_exit_codes(
    folder: Path, arguments: list[str], code: int, text: str
) -> None:
    done = pushctl("subscribers", *arguments, cwd=folder)
    assert (done.code, done.out) == (code, "")
    assert text in done.err
    assert "Traceback" not in done.err


def test_a_file_without_one_right_line_is_a_failure(folder: Path) -> None:
    (folder / "rubbish.jsonl").write_text("{}\n{}\n")
    done = pushctl("subscribers", "import", "rubbish.jsonl", cwd=folder)
    assert done.code == 2
    assert "no line could be imported" in done.err


def test_exporting_and_forgetting(folder: Path) -> None:
    done = pushctl("subscribers", "export", "-o", "all.jsonl", cwd=folder)
    assert "4 subscribers written to all.jsonl" in done.err
    assert os.stat(folder / "all.jsonl").st_mode & 0o777 == 0o600
    rehearsed = pushctl("subscribers", "forget", "alias:c2", "--dry-run", "--json", cwd=folder)
    assert json.loads(rehearsed.out)["subscriptions"] == 1
    assert pushctl("subscribers", "forget", "alias:c2", "--yes", cwd=folder).code == 0
    piped = pushctl("subscribers", "export", "--csv", cwd=folder)
    assert len(list(csv.DictReader(io.StringIO(piped.out)))) == 3
    again = pushctl("subscribers", "import", "all.jsonl", "--json", cwd=folder)
    assert json.loads(again.out)["refused"] == 1


def test_an_empty_inbox_is_told_on_stderr(folder: Path) -> None:
    done = pushctl("import", cwd=folder)
    assert (done.code, done.out, done.err) == (0, "", "There was nothing to import.\n")


def test_reading_from_a_pipe(folder: Path) -> None:
    line = person(9)
    del line["site"]
    done = subprocess.run(
        [sys.executable, "-m", "pushctl", "subscribers", "import", "-", "--json"],
        input=gzip.compress(json.dumps(line).encode()),
        capture_output=True,
        cwd=folder,
        check=True,
    )
    assert json.loads(done.stdout)["added"] == 1


def test_an_endpoint_never_reaches_a_message(folder: Path) -> None:
    secret = support.endpoint(123456)
    bad = {"endpoint": secret, "keys": {"p256dh": "AAAA", "auth": "BBBB"}}
    (folder / "bad.jsonl").write_text(json.dumps(bad))
    done = pushctl("subscribers", "import", "bad.jsonl", cwd=folder)
    assert done.code == 2
    assert secret not in done.out + done.err
    assert tokens.endpoint_hash(secret).hex() not in done.out + done.err


@pytest.mark.parametrize(
    "content", ["id;p256dh\r\n".encode("utf-16"), b"\x00\x01\x02\n", b"endpoint,pr\xe9nom\n"]
)
def test_what_is_no_text_is_said_to_be_none(folder: Path, content: bytes) -> None:
    (folder / "people.csv").write_bytes(content)
    done = pushctl("subscribers", "import", "people.csv", cwd=folder)
    assert done.code == 2
    assert "neither JSON lines nor CSV in UTF-8" in done.err and "CSV UTF-8." in done.err


def test_a_folder_is_no_place_for_an_export(folder: Path) -> None:
    (folder / "there").mkdir()
    for place in ("there", "nowhere/people.jsonl"):
        done = pushctl("subscribers", "export", "-o", place, cwd=folder)
        assert (done.code, place in done.err) == (2, True)


def test_an_empty_name_of_a_tag_is_refused_as_such(folder: Path) -> None:
    done = pushctl("subscribers", "tag", " ", "--where", "everyone", cwd=folder)
    assert (done.code, done.err) == (2, "Error: the tag's name is empty\n")


def test_an_alias_counts_only_when_signed(tmp_path: Path) -> None:
    here = projects.make(tmp_path)
    claimed = [person(n, alias="c1", alias_trusted=n == 0) for n in range(3)]
    claimed.append(person(3, alias="c2", alias_trusted=False))
    for line in claimed:
        del line["site"]
    (here / "people.jsonl").write_text("\n".join(map(json.dumps, claimed)))
    assert pushctl("subscribers", "import", "people.jsonl", cwd=here).code == 0
    listed = pushctl("subscribers", "list", "--json", cwd=here).out
    ids = {
        alias: [row["public_id"] for row in json.loads(listed)
                        if row["alias"] == alias]
        for alias in ("c1", "c2")
    }  # fmt: skip
    assert pushctl("subscribers", "tag", "VIP", "alias:c1", cwd=here).err == (
        "1 tagged, 0 had it already.\n"
    )
    (one,) = ids["c2"]
    for command in (
        ("subscribers", "tag", "VIP", "alias:c2"),
        ("subscribers", "untag", "VIP", "alias:c2"),
        ("subscribers", "show", "alias:c2"),
        ("subscribers", "forget", "alias:c2", "--yes"),
        ("subscribers", "export", "--alias", "c2"),
        ("explain", "alias:c2"),
        ("templates", "preview", "welcome", "--for", "alias:c2"),
        ("send", "--to", "alias:c2", "--message", "Hi", "--yes"),
        ("send", "--to", "c2", "--message", "Hi", "--yes"),
    ):
        done = pushctl(*command, cwd=here)
        assert done.code == 2, command
        assert "the alias 'c2' is not signed" in done.err, command
        assert one in done.err, "the way for developers"
    assert pushctl("subscribers", "show", one, cwd=here).code == 0
    forgotten = pushctl("subscribers", "forget", "alias:c1", "--yes", "--json", cwd=here)
    assert json.loads(forgotten.out)["subscriptions"] == 1
    assert "left out: 2 browsers claimed the alias 'c1'" in forgotten.err
    assert len(json.loads(pushctl("subscribers", "list", "--json", cwd=here).out)) == 3


def test_unsubscribing_by_hand(tmp_path: Path) -> None:
    here = projects.make(tmp_path)
    lines = [person(n, alias=f"c{n}") for n in range(2)]
    for line in lines:
        del line["site"]
    (here / "people.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert pushctl("subscribers", "import", "people.jsonl", cwd=here).code == 0
    refused = pushctl("subscribers", "unsubscribe", "alias:c0", cwd=here)
    assert (refused.code, "--yes" in refused.err) == (2, True)
    done = pushctl("subscribers", "unsubscribe", "alias:c0", "--yes", cwd=here)
    assert done.err == "1 unsubscribed, 0 were it already.\n"
    done = pushctl("subscribers", "unsubscribe", "alias:c0", "alias:c1", "--yes", cwd=here)
    assert done.err == "1 unsubscribed, 1 were it already.\n"
    rows = json.loads(pushctl("subscribers", "list", "--all", "--json", cwd=here).out)
    assert [row["state"] for row in rows] == ["unsubscribed", "unsubscribed"]
    assert pushctl("subscribers", "unsubscribe", "alias:c9", "--yes", cwd=here).code == 4


def paused(number: int, status: str) -> str:
    line = person(number, status=status, country="Turkey")
    del line["site"]
    return json.dumps(line)


def test_a_value_that_may_say_no_is_asked_about(folder: Path) -> None:
    (folder / "users.jsonl").write_text("\n".join(paused(n + 50, "paused") for n in range(2)))
    words = ("subscribers", "import", "users.jsonl", "--json")
    refused = pushctl(*words, cwd=folder)
    assert (refused.code, refused.out) == (2, "")
    assert "status is 'paused' (2 lines)" in refused.err
    assert pushctl(*words, "--subscribed", "status", cwd=folder).code == 2
    done = pushctl(*words, "--unsubscribed", "Status=PAUSED", cwd=folder)
    report = json.loads(done.out)
    assert (report["added"], report["unsubscribed"]) == (2, 2)
    assert report["fields_left_out"] == {"country": 2}
    assert "country left out 2 times: it is no country code" in done.err


def test_on_a_terminal_the_question_is_asked(folder: Path) -> None:
    (folder / "users.jsonl").write_text(
        "\n".join(paused(n + 60, status) for n, status in enumerate(("a", "b")))
    )
    command = [*PROGRAM, "subscribers", "import", "users.jsonl"]
    shown = on_terminal(command, answers=["what", "no", "ignore"], cwd=folder)
    assert shown.code == 0 and "status is 'a' in 1 line (the first is 1)" in shown.out
    assert "Write yes, no or ignore." in shown.out
