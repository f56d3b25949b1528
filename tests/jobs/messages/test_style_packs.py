"""One style per site: what templates take from [sites.NAME.brand] and [sites.NAME.utm]."""

from pathlib import Path
from typing import Any

import pytest

from pushctl import config
from pushctl.config import Config
from pushctl.errors import ConfigError
from pushctl.jobs.messages import overview, preview
from pushctl.model import Message
from pushctl.rules.messages import packs, payload, values
from pushctl.templates import Template
from tests.support import project

BRAND = """
[sites.shop.brand]
name = "The Lamp"
icon = "https://shop.example/i.png"
image = "https://shop.example/wide.jpg"
color = "#0a7"
"""
UTM = """
[sites.shop.utm]
source = "pushctl"
campaign = "{campaign}"
content = "{language}-{variant}"
"""
EN = """
title = "T"
body = "{{ site.color|default('-') }}"
[actions]
open = "Open"
"""
MESSAGE = 'url = "/cart#top"\n[[actions]]\naction = "open"\nurl = "{{ event.url|link }}"\n'


def load(folder: Path, text: str) -> Config:
    made = project.make(folder)
    file = made / "pushctl.toml"
    plain = "\n".join(x for x in file.read_text().splitlines() if ".brand]" not in x)
    file.write_text(f"{plain}\n{text}")
    return config.load(file, {})


def render(found: Config, message: str = "", event: str = "/lamp", **extra: Any) -> Message:
    """Render both ways and return the message: they may not differ."""
    sources = {"message.toml": message + MESSAGE, "en.toml": EN, "en.b.toml": EN}
    text = Template.from_sources("lamps", sources).choose("en", (), "en", "b")
    site = packs.collect_values(found.first_site, "May sale")
    context = {"site": site, "event": {"url": event}, **extra}
    made = text.render(context)
    assert text.render_frame(context) == payload.frame(made)
    return made


def test_a_message_has_the_sites_look_and_parameters(tmp_path: Path) -> None:
    made = render(load(tmp_path, BRAND + UTM))
    added = "utm_source=pushctl&utm_campaign=May%20sale&utm_content=en-b"
    assert made.url == f"https://shop.example/cart?{added}#top"
    assert made.actions[0].url == f"https://shop.example/lamp?{added}"
    assert (made.icon, made.image) == (
        "https://shop.example/i.png",
        "https://shop.example/wide.jpg",
    )
    assert made.body == "#0a7"


def test_a_link_elsewhere_and_a_signed_one_get_none(tmp_path: Path) -> None:
    found = load(tmp_path, UTM + '[sites.shop.twocheckout]\nmerchant = "A"\n')
    signed = "https://secure.2checkout.com/checkout/buy?prod=1&signature=ab"
    for link in ("https://other.example/", signed):
        assert render(found, event=link).actions[0].url == link
    plain = render(found, event=signed.partition("&")[0]).actions[0].url
    assert plain and plain.endswith(
        "?prod=1&utm_source=pushctl&utm_campaign=May%20sale&utm_content=en-b"
    )


def test_a_template_may_have_its_own_or_none(tmp_path: Path) -> None:
    found = load(tmp_path, BRAND + UTM)
    own = render(found, 'utm = { campaign = "spring", content = "" }\nimage = ""\n')
    assert own.url == "https://shop.example/cart?utm_source=pushctl&utm_campaign=spring#top"
    assert own.image is None
    assert render(found, "utm = false\n").url == "https://shop.example/cart#top"


def test_a_template_may_have_some_where_its_site_has_none(tmp_path: Path) -> None:
    made = render(load(tmp_path, ""), 'utm = { source = "push" }\n')
    assert made.url == "https://shop.example/cart?utm_source=push#top"
    assert render(load(tmp_path / "other", "")).url == "https://shop.example/cart#top"


def test_what_a_program_wrote_stays_as_it_is(tmp_path: Path) -> None:
    site = packs.collect_values(load(tmp_path, UTM).first_site, "m")
    sources = {
        "message.toml": 'url = "{{ given.url }}"',
        "en.toml": 'title = "{{ given.title }}"\nbody = "{{ given.body }}"',
    }
    text = Template.from_sources("given", sources).texts[0]
    words = {"texts": {"en": {"title": "T", "body": "B"}}, "url": "https://shop.example/x"}
    made = text.render({"site": site, values.GIVEN: words})
    assert made.url == "https://shop.example/x"


def test_parameters_count_against_the_bytes(tmp_path: Path) -> None:
    plain, tagged = load(tmp_path / "a", ""), load(tmp_path / "b", UTM)
    sizes = [
        {one.name: one.bytes or 0 for one in overview.list_templates(found)}["welcome"]
        for found in (plain, tagged)
    ]
    made = preview.preview(tagged, None, "welcome", 0, language="en")
    assert "utm_campaign=welcome" in made.message.url
    assert sizes[1] - sizes[0] >= len("utm_source=pushctl&utm_campaign=welcome")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[sites.shop.utm]\nsource = "{who}"', "{who}, which nothing stands for"),
        ('[sites.shop.brand]\ncolor = "red; x"', "not a colour"),
        ('[sites.shop.brand]\nimage = "wide.jpg"', "not a URL"),
    ],
)
def test_a_wrong_pack_is_found_by_check(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ConfigError, match="has a problem"):
        load(tmp_path, text)
    _, faults = config.read(tmp_path / "pushctl.toml", {})
    assert any(fault in str(each) for each in faults)


def test_a_template_with_wrong_parameters_is_refused() -> None:
    for given in ('utm = "x"', 'utm = { place = "x" }', 'utm = { source = "{who}" }'):
        with pytest.raises(Exception, match="can't be used"):
            Template.from_sources(
                "t", {"message.toml": given, "en.toml": 'title="T"\nbody="B"'}
            )
