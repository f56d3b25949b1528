"""[[tag_rules]]: read with every fault at its line, handed to each site's pages."""

from dataclasses import replace
from pathlib import Path

import pytest

from pushctl import config as configs
from pushctl.errors import ConfigError
from pushctl.push import vapid
from pushctl.receiver import scripts
from pushctl.rules.web import tag_rules
from tests.support import project

RULES = """
[[tag_rules]]
tag = "Looked at lamps"
when = { page = "/lamps/*" }
expires = "30d"

[[tag_rules]]
tag = "Read to the end"
when = { page = "/blog/*", scroll = 0.8 }
sites = ["shop"]

[[tag_rules]]
tag = "Thinks about it"
[tag_rules.when]
page = "/pricing"
dwell = "1m30s"

[[tag_rules]]
tag = "Looked at lamps"
when = { event = "purchase" }
remove = true
"""


def load(folder: Path, text: str) -> configs.Config:
    project.make(folder)
    project.add(folder, text)
    return configs.load(folder / "pushctl.toml", {})


def test_pages_get_them_flat_and_in_seconds(tmp_path: Path) -> None:
    config = load(tmp_path, RULES)
    assert tag_rules.list_for_site(config.tag_rules, "shop") == [
        {"tag": "Looked at lamps", "page": "/lamps/*", "expires": 2_592_000},
        {"tag": "Read to the end", "page": "/blog/*", "scroll": 0.8},
        {"tag": "Thinks about it", "page": "/pricing", "dwell": 90},
        {"tag": "Looked at lamps", "event": "purchase", "remove": True},
    ]
    assert len(tag_rules.list_for_site(config.tag_rules, "other")) == 3


def test_the_receiver_serves_them_and_only_then_are_they_loaded(tmp_path: Path) -> None:
    config = load(tmp_path, RULES)
    key = vapid.load_public(config.keys)
    served = scripts.prepare(config, key)
    assert b'"page": "/lamps/\\u002a"' in served["pushctl-rules.js", "shop"].plain
    assert b'"rules": true' in served["pushctl.js", "shop"].plain
    plain = scripts.prepare(replace(config, tag_rules=()), key)
    assert b'"rules": true' not in plain["pushctl.js", "shop"].plain
    assert plain["pushctl-rules.js", "shop"].etag != served["pushctl-rules.js", "shop"].etag


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ('tag = "pushctl:paused"\nwhen = { page = "/" }', "pushctl's own"),
        ('tag = ""\nwhen = { page = "/" }', "is empty"),
        ('when = { page = "/" }', "tag: is missing"),
        ('tag = "a"', "when: is missing"),
        ('tag = "a"\nwhen = {}', "is empty"),
        ('tag = "a"\nwhen = { page = "lamps" }', "neither a path nor an address"),
        ('tag = "a"\nwhen = { page = "/search?q=*" }', "Write '*/search?q=*' or a whole"),
        ('tag = "a"\nwhen = { link = "/search?q=*" }', "Write '*/search?q=*' or a whole"),
        ('tag = "a"\nwhen = { page = "/lamps#red" }', "Write '/lamps'."),
        ('tag = "a"\nwhen = { page = "*/lamps?a=1#red" }', "Write '*/lamps?a=1'."),
        ('tag = "a"\nwhen = { scroll = 80 }', "from 0.01 to 1"),
        ('tag = "a"\nwhen = { dwell = "soon" }', "45s"),
        ('tag = "a"\nwhen = { click = "a {}" }', "CSS selector"),
        ('tag = "a"\nwhen = { click = "a", scroll = 0.5 }', "scroll and click at once"),
        ('tag = "a"\nwhen = { pages = "/" }', "Did you mean page?"),
        ('tag = "a"\nwhen = { page = "/" }\nexpires = "5s"', "60 to"),
        ('tag = "a"\nwhen = { page = "/" }\nexpires = "9d"\nremove = true', "Leave out"),
        ('tag = "a"\nwhen = { page = "/" }\nsites = ["shp"]', "Did you mean shop?"),
    ],
)
def test_a_fault_is_told_with_its_line(tmp_path: Path, rule: str, fault: str) -> None:
    good = '[[tag_rules]]\ntag = "fine"\nwhen = { page = "/fine" }\n'
    with pytest.raises(ConfigError) as told:
        load(tmp_path, f"{good}\n[[tag_rules]]\n{rule}")
    (problem,) = told.value.problems
    text = (tmp_path / "pushctl.toml").read_text("utf-8").splitlines()
    second = [number for number, line in enumerate(text, 1) if line == "[[tag_rules]]"][1]
    assert fault in str(problem)
    line = int(problem.place.split(":")[1])
    assert second <= line <= len(text)


@pytest.mark.parametrize(
    "page", ["*/search?q=*", "https://shop.example/search?q=*", "/lamps/*", "/лампы/*", "*"]
)
def test_what_follows_a_question_mark_counts_in_a_whole_address(
    tmp_path: Path, page: str
) -> None:
    config = load(tmp_path, f'[[tag_rules]]\ntag = "a"\nwhen = {{ page = "{page}" }}\n')
    assert config.tag_rules[0].when.page == page


def test_pages_do_not_carry_rules_without_end(tmp_path: Path) -> None:
    many = '[[tag_rules]]\ntag = "fine"\nwhen = { page = "/fine" }\n' * 101
    with pytest.raises(ConfigError, match="at most 100"):
        load(tmp_path, many)
