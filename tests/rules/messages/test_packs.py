"""Style packs: the parameters of a site's links."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushctl.rules.config import checks
from pushctl.rules.messages.packs import Landing, extend_link, fill_parameters

ORIGINS = frozenset({"https://shop.example", "https://secure.2checkout.com"})
PUSH = (("utm_source", "push"), ("utm_campaign", "May%20sale"))


def extend(url: str) -> str:
    return extend_link(url, PUSH, ORIGINS)


@pytest.mark.parametrize(
    ("link", "wanted"),
    [
        ("https://shop.example", "https://shop.example?utm_source=push&utm_campaign=May%20sale"),
        ("https://shop.example/a?", "https://shop.example/a?utm_source=push&utm_campaign=May%20sale"),
        (
            "https://shop.example/a?b=1#top",
            "https://shop.example/a?b=1&utm_source=push&utm_campaign=May%20sale#top",
        ),
        (
            "HTTPS://Shop.Example/a?b=1&",
            "HTTPS://Shop.Example/a?b=1&utm_source=push&utm_campaign=May%20sale",
        ),
        (  # the author's own stays, however it is written
            "https://shop.example/?UTM_source=mail&x=1",
            "https://shop.example/?UTM_source=mail&x=1&utm_campaign=May%20sale",
        ),
        (  # the mark of a query inside a fragment begins none
            "https://shop.example/#/route?x=1",
            "https://shop.example/?utm_source=push&utm_campaign=May%20sale#/route?x=1",
        ),
    ],
)  # fmt: skip
def test_a_link_to_the_site_gets_what_it_lacks(link: str, wanted: str) -> None:
    assert extend(link) == wanted
    assert extend(wanted) == wanted  # never twice


@pytest.mark.parametrize(
    "link",
    [
        "https://other.example/",
        "https://shop.example.evil.example/",
        "https://shop.example:8443/",
        "http://shop.example/",
        "https://secure.2checkout.com/checkout/buy?merchant=A&prod=1&signature=ab12",
        "https://shop.example/reset?Signature=ab12",
        "https://shop.example/?utm_source=a&utm_campaign=b",
    ],
)
def test_other_links_stay_as_they_are(link: str) -> None:
    assert extend(link) == link


@settings(max_examples=60, derandomize=True)
@given(st.text(st.sampled_from("/?#&=;%41ab.-_~utm_source"), max_size=40))
def test_a_link_keeps_all_it_had(rest: str) -> None:
    link = f"https://shop.example/{rest}"
    made = extend(link)
    before, after = urlsplit(link), urlsplit(made)
    assert (before.netloc, before.path) == (after.netloc, after.path)
    # Not by "fragment", which does not tell "#" from none.
    assert link.partition("#")[1:] == made.partition("#")[1:]
    pairs = parse_qsl(after.query, keep_blank_values=True)
    was = parse_qsl(before.query, keep_blank_values=True)
    assert pairs[: len(was)] == was
    names = [name.lower() for name, _ in pairs]
    assert names.count("utm_campaign") <= 1
    assert extend(made) == made


def test_placeholders_are_filled_and_the_template_comes_first() -> None:
    landing = Landing(
        (
            ("source", "pushctl"),
            ("campaign", "{campaign}"),
            ("content", "{language}-{variant}"),
        ),
        ORIGINS,
        "shop",
        "Abandoned basket & more",
    )
    about = {"template": "basket", "language": "ar", "variant": "b"}
    assert fill_parameters(landing, {}, **about) == (
        ("utm_source", "pushctl"),
        ("utm_campaign", "Abandoned%20basket%20%26%20more"),
        ("utm_content", "ar-b"),
    )
    own = {"content": "", "term": "{template}/{site}"}
    assert fill_parameters(landing, own, **about) == (
        ("utm_source", "pushctl"),
        ("utm_campaign", "Abandoned%20basket%20%26%20more"),
        ("utm_term", "basket/shop"),
    )


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("{person}", "has {person}, which nothing stands for"),
        ("{}", "has {}, which nothing stands for"),
        ("{campaign", "has a brace without its pair"),
        ("x" * 101, "is longer than 100 characters"),
        ("a\nb", "has a control character"),
    ],
)
def test_a_wrong_parameter_is_explained(value: str, fault: str) -> None:
    found = checks.parameter(value)
    assert found and fault in found[0]
    assert checks.parameter("{language}-{variant}") is None
