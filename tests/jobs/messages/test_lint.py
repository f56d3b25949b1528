"""Advice about a project's templates, with what is known of the people who read them."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pushctl import config as configs
from pushctl import shipped
from pushctl.errors import TemplateError
from pushctl.jobs.messages import lint, question_figures
from pushctl.rules.messages.lint import Finding
from pushctl.store import Store
from pushctl.templates import Template
from tests.support import NOON, project, sending
from tests.support.program import pushctl

GOOD_ARABIC = 'title = "مصابيح جديدة"\nbody = "صنعت باليد."\n'
BRAND = "[sites.shop.brand]"
GOOD = 'title = "New lamps are here"\nbody = "They are made of brass, by hand."\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make(tmp_path, "en,ar,tr")


def make(folder: Path, languages: str) -> Path:
    made = project.make(folder, "--languages", languages)
    change(made, BRAND, f'{BRAND}\nicon = "https://shop.example/icon.png"')
    return made


def change(folder: Path, old: str, new: str) -> None:
    file = folder / "pushctl.toml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def write(folder: Path, message: str = "", **texts: str) -> None:
    there = folder / "templates/sale"
    there.mkdir(exist_ok=True)
    for name, text in {"message": message, **texts}.items():
        (there / f"{name.replace('_', '.')}.toml").write_text(text)


def look(folder: Path, *, counting: bool = False, online: bool = False) -> list[Finding]:
    config = configs.load(folder / "pushctl.toml", {})
    if not counting:
        return list(lint.lint_templates(config, None, ["sale"], online=online))
    with Store(config.database) as store:
        return list(lint.lint_templates(config, store, ["sale"], online=online))


def say(found: list[Finding]) -> list[tuple[str, str, str]]:
    return [(one.place, one.rule, one.fault) for one in found]


def test_shipped_templates_have_no_finding_in_any_language(tmp_path: Path) -> None:
    made = make(tmp_path, "en,ar,tr,ru,nl")
    config = configs.load(made / "pushctl.toml", {})
    assert sorted(path.name for path in config.templates.iterdir()) == sorted(
        path.name for path in shipped.find("templates").iterdir()
    )
    assert say(list(lint.lint_templates(config, None))) == []


@pytest.mark.parametrize("text", ["title = '{{ x'\n", "title = '\xff'"])
def test_a_template_that_cannot_be_looked_at_is_named(folder: Path, text: str) -> None:
    write(folder)
    (folder / "templates/sale/en.toml").write_bytes(text.encode("latin-1"))
    run = pushctl("templates", "lint", cwd=folder)
    assert run.code == 0
    assert "not looked at, because of mistakes: sale. pushctl check" in run.err
    assert pushctl("templates", "lint", "--strict", cwd=folder).code == 3


def test_people_who_lack_a_value_or_a_language_are_counted(folder: Path) -> None:
    write(
        folder,
        en=GOOD.replace("New", "{{ attributes.first_name }}, new")
        + "# {{ subscriber.city }} is no variable here\n",
        ar='title = "مصابيح"\nbody = "{{ subscriber.city|default(\'هنا\') }} من نحاس"\n',
    )
    config = configs.load(folder / "pushctl.toml", {})
    with Store(config.database) as store:
        people = sending.Field(config, store, "k")
        rows = people.people(5, language="tr") + people.people(2, first=10)
        store.subscriptions.set_attributes(rows[0], {"first_name": "Anna"})
        store.subscriptions.set_attributes(rows[1], {"first_name": ""})
    assert say(look(folder, counting=True)) == [
        (
            "templates/sale/en.toml",
            "no_default",
            "{{ attributes.first_name }} has no default: 6 of 7 people lack it and get no "
            "message",
        ),
        ("templates/sale", "missing_language", "no text in tr: 5 people who read tr get en"),
    ]


def test_what_several_texts_share_is_said_once(folder: Path) -> None:
    write(
        folder,
        'url = "http://shop.org/"',
        en=GOOD,
        tr=GOOD,
        ar='title = "مصابيح جديدة"\nbody = "صنعت باليد من نحاس"\n',
        de=GOOD,
    )
    assert say(look(folder)) == [
        ("templates/sale (ar, de, en, tr)", "link", "url is plain http: http://shop.org/"),
        (
            "templates/sale/de.toml",
            "extra_language",
            "no site writes de; their languages are ar, en, tr",
        ),
    ]


@pytest.mark.parametrize("where", ["project", "template"])
def test_a_rule_is_switched_off_by_name(folder: Path, where: str) -> None:
    asking = {"en": GOOD.replace("here", "here?"), "ar": "", "tr": ""}
    asking["ar"] = 'title = "مصابيح جديدة"\nbody = "صنعت باليد من نحاس"\n'
    asking["tr"] = GOOD
    write(folder, **asking)
    assert [one.rule for one in look(folder)] == ["question"]
    if where == "template":
        write(folder, 'lint_off = ["question"]', **asking)
    else:
        change(folder, '# off = ["question"]', 'off = ["question"]')
    assert look(folder) == []


def test_the_thanks_for_buyers_are_looked_at_as_a_text_of_their_own(folder: Path) -> None:
    bought = (
        f'title = "DANKE, all is well?"\nbody = "{"ب" * 160}"\nurl = "https://a.example/"\n'
    )
    write(folder, en=GOOD, ar=GOOD_ARABIC, tr=GOOD, en_bought=bought)
    found = look(folder)
    assert {one.place for one in found} == {"templates/sale/en.bought.toml"}
    assert {one.rule for one in found} == {"capitals", "cut", "direction", "link", "question"}


def test_an_unknown_rule_is_named_with_its_place(folder: Path) -> None:
    with pytest.raises(TemplateError) as caught:
        Template.from_sources(
            "t", {"message.toml": '\nlint_off = ["qestion"]', "en.toml": GOOD}
        )
    (problem,) = caught.value.problems
    assert (problem.place, problem.remedy) == (
        "templates/t/message.toml:2",
        "Did you mean 'question'?",
    )


@contextmanager
def serving() -> Iterator[str]:
    class Shop(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404 if self.path.startswith("/gone") else 200)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_only_links_to_the_sites_themselves_are_asked_for(folder: Path) -> None:
    with serving() as origin, serving() as elsewhere:
        change(folder, "https://shop.example", origin)
        button = f"[[actions]]\naction = 'a'\nurl = '{elsewhere}/gone'\n"
        message = "url = '/gone'\nimage = '/p/{{ attributes.sku }}.jpg'\n" + button
        text = GOOD + "[actions]\na = 'Go'\n"
        arabic = 'title = "مصابيح جديدة"\nbody = "من نحاس"\n[actions]\na = "هيا"\n'
        write(folder, message, en=text, tr=text, ar=arabic)
        dead = [one for one in look(folder, online=True) if one.rule == "link"]
    (one,) = dead
    assert one.place == "templates/sale (ar, en, tr)"
    assert one.fault.startswith(f"url is dead: {origin}/gone: ")
    assert "404" in one.fault


def test_the_command_lists_ends_with_3_when_strict_and_warns_before_sending(
    folder: Path,
) -> None:
    write(folder, en=GOOD.replace("here", "here?"), tr=GOOD, ar=GOOD)
    done = pushctl("templates", "lint", "sale", "--json", cwd=folder)
    (direction, question) = json.loads(done.out)
    assert (direction["rule"], question["rule"]) == ("direction", "question")
    assert question["place"] == "templates/sale/en.toml"
    assert "too few" in done.err  # campaigns of ours to compare with
    strict = pushctl("templates", "lint", "sale", "--strict", cwd=folder)
    assert (strict.code, "2 findings" in strict.err) == (3, True)
    checked = pushctl("check", cwd=folder)
    assert "2 things could be better" in " ".join(checked.out.split())
    planned = pushctl("send", "--template", "sale", "--everyone", "--dry-run", cwd=folder)
    assert "templates/sale/en.toml: the title is a question (question)" in planned.err


def test_own_campaigns_that_ask_stand_beside_those_that_say(tmp_path: Path) -> None:
    field = sending.field(tmp_path)
    field.people(150)
    asks, says = field.freeze(name="asks"), field.freeze(name="says")
    with field.store.write() as connection:
        connection.execute(
            "UPDATE campaigns SET sources = replace(sources, 'Sale', 'Sale?') WHERE id = ?",
            [asks.id],
        )
        connection.execute("UPDATE deliveries SET status = 'accepted'")
        connection.execute(
            "INSERT INTO interactions (delivery_id, kind, at, dedupe_key) "
            "SELECT id, 'clicked', ?, 'x' || id FROM deliveries "
            "WHERE campaign_id = ? AND id % 10 = 0 OR campaign_id = ? AND id % 5 = 0",
            [NOON, asks.id, says.id],
        )
    found = question_figures.compare(field.store, field.config)
    assert (found.questions.campaigns, found.questions.accepted) == (1, 150)
    assert (found.questions.clicked, found.statements.clicked) == (15, 30)
    assert "questions 10.0" in found.describe()
    assert "statements 20.0" in found.describe()
