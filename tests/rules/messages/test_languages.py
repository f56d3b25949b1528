"""Which text a reader of a language is given, and which way it runs."""

import pytest

from pushctl.rules.messages import languages


def fallbacks(tag: str | None, default: str) -> tuple[str, ...]:
    """Return whose texts may be shown to *tag* where *default* is the site's language."""
    return tuple(dict.fromkeys((*languages.list_own(tag), *languages.list_own(default))))


@pytest.mark.parametrize(
    ("tag", "direction"),
    [
        ("ar", "rtl"),
        ("ar-EG", "rtl"),
        ("he", "rtl"),
        ("iw-IL", "rtl"),  # what old Androids call Hebrew
        ("fa_IR", "rtl"),
        ("ur", "rtl"),
        ("ckb", "rtl"),
        ("dv", "rtl"),
        ("yi", "rtl"),
        ("az-Arab", "rtl"),
        ("ar-Latn", "ltr"),
        ("pa-PK", "rtl"),
        ("pa-IN", "ltr"),
        ("sd", "rtl"),
        ("sd-IN", "ltr"),
        ("ku", "ltr"),
        ("tr", "ltr"),
        ("en-US", "ltr"),
        ("zh-Hant-TW", "ltr"),
        ("", "ltr"),
        ("not a language", "ltr"),
    ],
)
def test_direction_follows_script_language_and_country(tag: str, direction: str) -> None:
    assert languages.direction(tag) == direction


def test_no_language_at_all_runs_left_to_right() -> None:
    assert languages.direction(None) == "ltr"


@pytest.mark.parametrize(
    ("tag", "chain"),
    [
        ("pt-BR", ("pt-BR", "pt", "en")),
        ("PT_br", ("pt-BR", "pt", "en")),
        ("zh-Hant-TW", ("zh-Hant-TW", "zh-Hant", "zh", "en")),
        ("zh-TW", ("zh-TW", "zh-Hant", "zh", "en")),
        ("iw-IL", ("he-IL", "he", "en")),
        ("nb-NO", ("nb-NO", "nb", "no", "en")),
        ("en-GB", ("en-GB", "en")),
        ("de-u-co-phonebk", ("de", "en")),
        (None, ("en",)),
        ("*", ("en",)),
    ],
)
def test_the_nearest_language_comes_first_and_the_site_s_last(
    tag: str | None, chain: tuple[str, ...]
) -> None:
    assert fallbacks(tag, "en") == chain


def test_a_site_s_regional_language_falls_back_too() -> None:
    assert fallbacks("fr", "en-GB") == ("fr", "en-GB", "en")
