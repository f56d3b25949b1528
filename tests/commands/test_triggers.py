"""triggers, explain, leads, replay, catalogue and cron, as people type them."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl import cli
from pushctl.errors import InputError
from pushctl.jobs.project import cron
from pushctl.jobs.triggers import feed_items
from pushctl.store import Store
from pushctl.store.events import Event
from tests.support import DAY, HOUR, MINUTE, NOON, project, sending
from tests.support.program import PROGRAM, on_terminal
from tests.support.sending import Field
from tests.support.shop import BASKET, decide_all

NOW = "2026-04-28T10:00:00+02:00"  # NOON of the tests

PRICES = """
[triggers.price]
on = "price_dropped"
where = { drop = ">= 0.1" }
steps = [{ template = "one" }]
"""


@pytest.fixture
def field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Field]:
    folder = tmp_path / "project"
    made = sending.field(folder)
    for name in ("one", "two"):
        sending.template(folder, name, title=name, body="Hello")
    project.add(folder, BASKET + PRICES)
    monkeypatch.setenv("PUSHCTL_PROJECT", str(folder))
    monkeypatch.setenv("PUSHCTL_NOW", NOW)
    yield made
    made.store.close()


def run(*words: str) -> int:
    return cli.run(list(words))


def fill(store: Store, person: int, at: int, price: float = 80) -> None:
    items = [{"id": "lamp", "name": "Lamp", "price": price}]
    store.events.add(
        [Event(person, "cart_updated", at, at, {"items": items}, f"{person}:{at}")]
    )


def decide(field: Field, at: int = NOON) -> None:
    from pushctl import config as configs

    config = configs.load(field.config.folder / "pushctl.toml", {})
    decide_all(config, field.store, at)


def rows(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def test_headings_of_triggers_stay_on_one_line(field: Field) -> None:
    (ann,) = field.people(1)
    fill(field.store, ann, NOON)
    decide(field)
    folder = str(field.config.folder)
    command = [*PROGRAM, "--project", folder, "triggers", "list"]
    shown = on_terminal(command, COLUMNS="80", NO_COLOR="1").out
    headings = shown.splitlines()[0].split()
    assert headings == ["Trigger", "Starts", "with", "Steps", "Active", "Accepted"]


def test_triggers_are_listed_with_who_is_on_the_way(
    field: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    (ann,) = field.people(1)
    fill(field.store, ann, NOON)
    decide(field)
    capsys.readouterr()
    assert run("triggers", "list", "--json") == 0
    basket = rows(capsys)[0]
    assert (basket["name"], basket["active"], basket["state"]) == ("basket", 1, "on")


def test_a_trigger_is_shown_in_words(field: Field, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("triggers", "show", "basket") == 0
    told = capsys.readouterr().out
    assert "one: 3m after it began; not more than 15m late" in told
    assert "two: 1h30m after the previous step was shown" in told
    assert run("triggers", "show", "bascet") == 4


def test_pausing_shows_and_resuming_too(
    field: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("triggers", "pause", "basket") == 0
    assert field.store.triggers.list_paused() == {"basket"}
    assert run("triggers", "list", "--json") == 0
    assert rows(capsys)[0]["state"] == "paused"
    assert run("triggers", "resume", "basket") == 0
    assert field.store.triggers.list_paused() == set()
    assert run("triggers", "pause", "nothing") == 4


def test_a_trigger_is_tried_over_virtual_time(
    field: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    (ann,) = field.people(1)
    assert (
        run("triggers", "test", "basket", "--for", str(ann), "--set", "total=80", "--json") == 0
    )
    found = rows(capsys)
    assert [row["template"] for row in found if row["kind"] == "deliver"] == ["one", "two"]
    assert found[-1]["reason"] == "all steps are done"
    assert field.store.enrolments.list_all(ann) == []
    assert run("triggers", "test", "basket", "--for", str(ann), "--set", "total") == 2


def test_a_paused_trigger_is_tried_all_the_same_and_said_to_be_paused(
    field: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    (ann,) = field.people(1)
    words = ("triggers", "test", "basket", "--for", str(ann), "--set", "total=80", "--json")
    assert run(*words) == 0
    on = capsys.readouterr()
    assert "paused" not in on.err
    run("triggers", "pause", "basket")
    capsys.readouterr()

    assert run(*words) == 0

    told = capsys.readouterr()
    assert told.out == on.out
    assert "basket is paused: it sends nothing until" in told.err


def test_a_trigger_that_is_tried_shows_its_messages(
    field: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    home = field.config.folder
    sending.template(home, "one", title="{{ cart.names|join }} waits", body="{{ event.total }}")
    sending.template(home, "two", title="{{ promo }}", body="Hello")
    (ann,) = field.people(1)
    capsys.readouterr()
    words = ("triggers", "test", "basket", "--for", str(ann), "--set")
    assert run(*words, 'items=[{"name": "Lamp", "price": 80}]', "--json") == 0
    first, second = [row for row in rows(capsys) if row["kind"] == "deliver"]
    assert (first["title"], first["body"]) == ("Lamp waits", "‹total›")
    assert second["title"] is None and "promo" in str(second["fault"])
    assert run(*words, "total=80") == 0
    told = capsys.readouterr()
    assert "Step 1, Tue 2026-04-28 08:03 UTC there: one/en.toml" in told.out
    assert "‹product› waits\n80" in told.out
    assert "can't be written" in told.err
    file = home / "pushctl.toml"
    file.write_text(file.read_text().replace('"two",', '"two", promo = "GOLD-0001",'))
    assert run(*words, "total=80", "--json") == 0
    found = [row for row in rows(capsys) if row["kind"] == "deliver"]
    assert found[1]["title"] == "PROMOCODE"  # a sample of its length


def test_explain_tells_what_was_what_is_and_what_comes(
    field: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    (ann,) = field.people(1)
    fill(field.store, ann, NOON - MINUTE)
    decide(field)
    capsys.readouterr()
    assert run("explain", str(ann), "--json") == 0
    found = rows(capsys)
    assert [row["what"] for row in found] == ["event", "decision", "next"]
    assert found[2]["text"] == "step 1 of 2: one"
    assert run("explain", str(ann), "nothing") == 4
    assert run("explain", "nobody-at-all") == 4


def test_explain_tells_of_what_began_nothing_and_of_triggers_that_are_gone(
    field: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    (ann,) = field.people(1)
    field.store.events.add([Event(ann, "price_dropped", NOON, NOON, {"drop": 0.05}, "p")])
    fill(field.store, ann, NOON)
    decide(field)
    capsys.readouterr()
    assert run("explain", str(ann), "price", "--json") == 0
    (told,) = [row for row in rows(capsys) if row["trigger"] == "price"]
    assert told["text"] == "not meant: where: not drop >= 0.1"

    file = field.config.folder / "pushctl.toml"
    file.write_text(file.read_text().replace("[triggers.basket]", "[triggers.cart]"))
    assert run("explain", str(ann), "basket", "--json") == 0
    assert "entered: cart_updated came" in {row["text"] for row in rows(capsys)}
    assert run("leads", "basket", "--json") == 0
    assert len(rows(capsys)) == 1


def test_several_devices_of_a_person_are_one_list_for_programs(
    field: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    for device in field.people(2):
        field.store.subscriptions.set_alias(device, "ann", True)
        fill(field.store, device, NOON)
    capsys.readouterr()
    assert run("explain", "alias:ann", "--json") == 0
    assert len({row["subscriber"] for row in rows(capsys)}) == 2
    decide(field)
    assert run("leads", "basket", "--note", "alias:ann", "call her", "--json") == 0
    assert {row["note"] for row in rows(capsys)} == {"call her"}
    assert run("leads", "basket", "--state", "activ") == 2


def test_leads_are_listed_noted_and_counted(
    field: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    people = field.people(8)
    for person in people:
        fill(field.store, person, NOON - HOUR, price=person * 10)
    decide(field)
    capsys.readouterr()
    assert run("leads", "basket", "--note", str(people[0]), "wants it in red") == 0
    capsys.readouterr()
    assert run("leads", "basket", "--quorum", "12", "--json") == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert len(found) == 8
    assert {row["about"] for row in found} == {"Lamp"}
    assert [row["note"] for row in found if row["note"]] == ["wants it in red"]
    assert "8 of 12: 4 more" in told.err
    assert run("leads", "basket", "--step", "1", "--json") == 0
    assert rows(capsys) == []


def test_replay_says_what_other_rules_would_have_done(
    field: Field, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for person in field.people(3):
        fill(field.store, person, NOON - 2 * DAY, price=20)
    file = tmp_path / "tomorrow.toml"
    file.write_text(BASKET.replace('"3m"', '"10m"'))
    assert run("replay", "--since", "7d", "--triggers", str(file), "--json") == 0
    found = rows(capsys)
    assert [(row["campaign"], row["would"], row["did"]) for row in found] == [
        ("basket/1", 3, 0),
        ("basket/2", 3, 0),
    ]
    assert run("replay", "--since", "7d", "--each", "--csv") == 0
    assert capsys.readouterr().out.count("basket/1") == 3
    file.write_text("[triggers.a]\non = 3")
    assert run("replay", "--triggers", str(file)) == 3
    assert "tomorrow.toml:2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[trigger.basket]\non = "a"', "has no trigger"),
        (
            '[triggers.basket]\non = "a"\naudience = "tag(("\nsteps = [{ template = "one" }]',
            "rules.toml:3",
        ),
        ('[triggers.basket]\non = "a"', "rules.toml:1"),
    ],
)
def test_rules_that_cannot_be_replayed_are_told(
    field: Field, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(text)
    assert run("replay", "--triggers", str(file)) == 3
    assert words in capsys.readouterr().err


def test_a_trial_says_why_a_trigger_is_not_meant(
    field: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    (ann,) = field.people(1)
    capsys.readouterr()
    words = ("triggers", "test", "price", "--for", str(ann), "--set", "drop=0.05", "--json")
    assert run(*words) == 0
    assert rows(capsys)[-1]["reason"] == "where: not drop >= 0.1"


def test_replay_sends_nothing_of_a_trigger_since_it_was_paused(
    field: Field, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before, between, after = field.people(3)
    fill(field.store, before, NOON - 2 * DAY)
    # The first reminder comes after three minutes, the second an hour and a half later.
    fill(field.store, between, NOON - DAY - HOUR)
    fill(field.store, after, NOON - HOUR)
    field.store.triggers.set_paused("basket", NOON - DAY)

    assert run("replay", "--since", "7d", "--json") == 0

    told = capsys.readouterr()
    assert [(row["campaign"], row["would"]) for row in json.loads(told.out)] == [
        ("basket/1", 2),
        ("basket/2", 1),
    ]
    assert "basket is paused since" in told.err
    assert "after that time it sends nothing, here too" in told.err


def test_replay_takes_a_files_triggers_as_on_and_says_so(
    field: Field, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (ann,) = field.people(1)
    fill(field.store, ann, NOON - HOUR)
    field.store.triggers.set_paused("basket", NOON - DAY)
    field.store.triggers.set_paused("price", NOON - DAY)
    file = tmp_path / "tomorrow.toml"
    file.write_text(BASKET)

    assert run("replay", "--since", "7d", "--triggers", str(file), "--json") == 0

    told = capsys.readouterr()
    assert [(row["campaign"], row["would"]) for row in json.loads(told.out)] == [
        ("basket/1", 1)
    ]
    assert "it has sent nothing since then; here it counts as on" in told.err
    assert "price" not in told.err  # the file has no such trigger


ATOM = """<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom">
<entry><id>2</id><title>Newer &lt;b&gt;bold&lt;/b&gt;</title>
<updated>2026-04-28T10:00:00Z</updated><link href="https://shop.example/new"/>
<summary type="html">&lt;p&gt;Short&lt;/p&gt;</summary></entry>
<entry><id>1</id><title>Older</title><updated>2026-04-20T10:00:00Z</updated>
<link href="https://shop.example/old"/></entry>
<entry><id>3</id><title>Stranger</title><link href="https://evil.example/"/></entry></feed>"""


def test_a_feed_is_read_newest_first_and_without_strangers_links() -> None:
    items = feed_items.read(ATOM.encode(), ("https://shop.example",)).items
    assert [item.values["url"] for item in items] == [
        "https://shop.example/new",
        "https://shop.example/old",
    ]
    assert items[0].values == {
        "title": "Newer bold", "url": "https://shop.example/new", "summary": "Short"
    }  # fmt: skip


def test_cron_lines_name_the_project_and_can_be_taken_out(tmp_path: Path) -> None:
    mine = cron.render_crontab(tmp_path, ["/opt/a b/pushctl"])
    assert "* * * * * '/opt/a b/pushctl' --project" in mine
    others = "MAILTO=me\n5 4 * * * backup\n"
    assert cron.remove_lines(others + mine, tmp_path) == others
    assert cron.remove_lines(others, tmp_path) == others
    other = cron.render_crontab(tmp_path / "second", ["pushctl"])
    assert cron.remove_lines(mine + other, tmp_path) == other
    with pytest.raises(InputError):
        cron.render_crontab(tmp_path / "a\n* * * * * b", ["pushctl"])


def test_cron_is_told_of_trouble_alone(tmp_path: Path) -> None:
    assert (
        cron.render_crontab(tmp_path, ["pushctl"])
        .splitlines()[1]
        .endswith(" sweep > /dev/null")
    )


def test_installing_twice_leaves_one_line(
    field: Field, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a crontab command of our own, which keeps its table in a file."""
    table, program = tmp_path / "table", tmp_path / "bin" / "crontab"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        f'if [ "$1" = -l ]; then cat "{table}" 2>/dev/null || '
        "{ echo no crontab for you >&2; exit 1; }\n"
        f'else cat > "{table}"; fi\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    assert run("cron", "install") == 0
    assert run("cron", "install") == 0
    assert table.read_text().count("sweep") == 1
    assert run("cron", "remove") == 0
    assert table.read_text() == ""
    assert run("cron", "remove") == 0


@pytest.mark.parametrize(
    "words",
    [
        ["sweep"], ["triggers"], ["triggers", "test"], ["explain"], ["leads"], ["replay"],
        ["catalogue", "import"], ["cron"], ["cron", "print"],
    ],
)  # fmt: skip
def test_every_command_has_help_with_an_example(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words, "--help") == 0
    assert "Usage" in capsys.readouterr().out
