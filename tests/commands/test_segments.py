"""`segments` and `templates preview` from outside: answers on stdout, codes, live counts."""

import csv
import json
from pathlib import Path

import pytest

from pushctl.store import Store
from tests.support import DAY, NOON, database
from tests.support.people import Human, settle
from tests.support.program import PROGRAM, on_terminal, pushctl

CONFIG = """
contact = "mailto:push@shop.example"

[sites.shop]
origin = "https://shop.example"
language = "en"

[sites.shop.brand]
name = "The Shop"

[segments]
vip = "tag('VIP') and attribute('points') >= 100"
sleeping = "segment('vip') and not seen within 30d"
"""
NOW = {"PUSHCTL_NOW": "2026-04-28T08:00:00+00:00"}  # NOON


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with three people, of whom one is a sleeping VIP."""
    (tmp_path / "pushctl.toml").write_text(CONFIG)
    with database.create(tmp_path / "pushctl.db") as store:
        with store.write() as connection:
            connection.execute(
                "INSERT INTO sites (name, origin) VALUES ('shop', 'https://shop.example')"
            )
        settle(
            store,
            [
                Human(
                    {"language": "ar-EG", "alias": "c-1"},
                    tags=[("VIP", None)],
                    attributes={"points": 100, "first_name": "ليلى\x1b[2J"},
                    last_seen_at=NOON - 40 * DAY,
                ),
                Human(tags=[("vip", None)], attributes={"points": 200}, last_seen_at=NOON),
                Human({"country": "TR"}, tags=[("Abandoned basket 1", None)]),
            ],
        )
    folder = tmp_path / "templates" / "hello"
    (folder / "sleeping").mkdir(parents=True)
    (folder / "message.toml").write_text('[[actions]]\naction = "go"\n')
    action = '\n[actions]\ngo = "Go"\n'
    (folder / "en.toml").write_text(
        'title = "Hello {{ attributes.first_name|default(\'you\') }}"\nbody = "Body"' + action
    )
    (folder / "sleeping" / "ar.toml").write_text(
        'title = "أهلا {{ attributes.first_name }}"\nbody = "عدنا"' + action
    )
    return tmp_path


def test_segments_are_listed_with_live_counts(project: Path) -> None:
    run = pushctl("segments", "list", "--csv", cwd=project, **NOW)
    assert run.code == 0
    assert list(csv.reader(run.out.splitlines())) == [
        ["name", "subscribers", "share", "expression"],
        ["vip", "2", str(2 / 3), "tag('VIP') and attribute('points') >= 100"],
        ["sleeping", "1", str(1 / 3), "segment('vip') and not seen within 30d"],
    ]
    with Store(project / "pushctl.db") as store:
        store.tags.add([3], "VIP", NOON)
        store.subscriptions.set_attributes(3, {"points": 500})
    run = pushctl("segments", "list", "--json", cwd=project, **NOW)
    assert [row["subscribers"] for row in json.loads(run.out)] == [3, 2]


def test_a_broken_segment_is_listed_with_what_is_wrong(project: Path) -> None:
    with (project / "pushctl.toml").open("a") as file:
        file.write("broken = \"tga('x')\"\n")
    run = pushctl("segments", "list", "--csv", cwd=project, **NOW)
    assert list(csv.reader(run.out.splitlines()))[-1] == ["broken", "", "", "tga('x')"]
    assert "Did you mean tag?" in run.err
    assert pushctl("segments", "count", "broken", cwd=project, **NOW).code == 2
    check = pushctl("check", "--csv", cwd=project)
    assert "segments.broken" in check.out


def test_a_segment_is_shown_in_plain_words(project: Path) -> None:
    run = pushctl("segments", "show", "sleeping", "--json", cwd=project, **NOW)
    assert json.loads(run.out)["meaning"] == (
        "tagged 'VIP' and attribute 'points' is at least 100 and last seen longer than 30d ago"
    )


def test_an_audience_is_counted_before_it_is_saved(project: Path) -> None:
    def count(*arguments: str) -> str:
        return pushctl("segments", "count", *arguments, cwd=project, **NOW).out

    assert count() == "3\n"
    assert count("--tag", "abandoned basket 1") == "1\n"
    assert count("vip", "--where", "not seen within 30d") == "1\n"
    assert count("--tag", "VIP", "--tag", "Abandoned basket 1") == "0\n"
    assert count("--where", "country = 'TR' or alias = 'c-1'") == "2\n"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["segments", "count", "--where", "tag('x"], 2, "quote is never closed"),
        (["segments", "count", "nope"], 4, "no segment is called 'nope'"),
        (["segments", "show", "nope"], 4, "vip"),
        (["templates", "preview", "nope"], 4, "Known templates: hello"),
        (["templates", "preview", "hello", "--for", "alias:x"], 4, "no subscriber"),
        (["templates", "preview", "hello", "--variant", "z"], 4, "no variant 'z'"),
    ],
)
def test_what_cannot_be_is_told_on_stderr_with_its_code(
    project: Path, arguments: list[str], code: int, says: str
) -> None:
    run = pushctl(*arguments, cwd=project, **NOW)
    assert (run.code, run.out) == (code, "")
    assert says in run.err


@pytest.mark.parametrize("noun", ["segments", "templates"])
def test_help_leads_with_an_example(noun: str) -> None:
    for verb in {"segments": ["list", "show", "count"], "templates": ["list", "preview"]}[noun]:
        run = pushctl(noun, verb, "--help")
        assert run.code == 0
        assert f"pushctl {noun} {verb}" in run.out


def test_a_preview_shows_what_this_subscriber_will_get(project: Path) -> None:
    run = pushctl(
        "templates", "preview", "hello", "--for", "alias:c-1", "--json", cwd=project, **NOW
    )
    shown = json.loads(run.out)
    # In the segment, in Arabic, the name in isolates; the stranger's escape sequence is gone.
    assert shown["file"] == "sleeping/ar.toml"
    assert shown["title"] == "أهلا \u2068ليلى [2J\u2069"
    assert (shown["dir"], shown["segment"]) == ("rtl", "sleeping")
    assert "\x1b" not in run.out


def test_a_preview_without_a_subscriber_names_what_it_does_not_know(project: Path) -> None:
    run = pushctl("templates", "preview", "hello", cwd=project, **NOW)
    assert run.out.splitlines()[:6] == ["hello/en.toml", "Hello ‹first_name›", "", "Body", "",
                                        "[ Go ]"]  # fmt: skip
    assert "of 3,993 bytes" in run.out


def test_on_a_terminal_arabic_stands_at_the_right(project: Path) -> None:
    run = on_terminal(
        [*PROGRAM, "templates", "preview", "hello", "--for", "alias:c-1"],
        cwd=project,
        NO_COLOR="1",
        **NOW,
    )
    line = next(line for line in run.out.splitlines() if "عدنا" in line)
    assert line.rstrip().endswith("عدنا │")


def test_templates_are_listed_with_languages_size_and_problems(project: Path) -> None:
    (project / "templates" / "bad").mkdir()
    (project / "templates" / "bad" / "en.toml").write_text('title = "x"')
    run = pushctl("templates", "list", "--json", cwd=project)
    bad, hello = json.loads(run.out)
    assert (bad["name"], bad["problems"], bad["bytes"]) == ("bad", 1, None)
    assert (hello["languages"], hello["segments"]) == (["en"], ["sleeping"])
    assert 200 < hello["bytes"] < 400
    assert "templates/bad/en.toml: body is missing" in run.err
