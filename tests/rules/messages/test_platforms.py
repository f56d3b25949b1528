"""The table of where notifications are cut, and the cuts that it makes likely."""

import dataclasses

import pytest

from pushctl.model import Action, Message
from pushctl.rules.messages import platforms
from pushctl.rules.messages.platforms import EXPANDED, LOCK_SCREEN, Platform, likely_cuts

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"


def message(**changes: object) -> Message:
    plain = Message("Your basket is saved", "It waits.", "https://shop.example/", "en", "ltr")
    return dataclasses.replace(plain, **changes)


@pytest.mark.parametrize("platform", platforms.load().values(), ids=platforms.load())
def test_each_row_of_the_table_makes_sense(platform: Platform) -> None:
    assert platform.where in ("below", "expanded", "options", "nowhere")
    assert (platform.buttons == 0) == (platform.where == "nowhere")
    assert platform.find_bound("title") and platform.find_bound("body")
    for bound in platform.bounds:
        assert bound.part in platforms.PARTS and bound.view in platforms.VIEWS
        assert 0 < bound.low <= bound.high and bound.sources
    assert all(2022 <= source.year <= 2026 for source in platform.sources)


def test_sources_that_disagree_make_a_range() -> None:
    title = platforms.load()["macos-chrome"].find_bound("title")
    assert title and (title.low, title.high, title.lines) == (35, 43, 1)
    assert [str(source) for source in title.sources] == [
        "Batch (read 2026)", "webpushnotifications.xyz (read 2026)",
    ]  # fmt: skip
    body = platforms.load()["windows-chrome"].find_bound("body")
    assert body and str(body.sources[0]) == "PushOwl (2022)"


def test_a_short_message_is_cut_nowhere() -> None:
    assert likely_cuts(message(), platforms.VIEWS) == []


def test_a_title_is_warned_of_from_the_shortest_limit() -> None:
    just = message(title="x" * 35)
    over = message(title="x" * 36)
    macos = [platforms.load()["macos-chrome"]]
    assert likely_cuts(just, platforms=macos) == []
    (cut,) = likely_cuts(over, platforms=macos)
    assert (cut.part, cut.length, cut.kept, cut.opens) == ("title", 36, "x" * 35, False)


def test_a_family_is_one_character_and_is_never_cut_apart() -> None:
    ios = [platforms.load()["ios"]]
    assert likely_cuts(message(title=FAMILY * 30), platforms=ios) == []
    (cut,) = likely_cuts(message(title=FAMILY * 31), platforms=ios)
    assert (cut.length, cut.kept) == (31, FAMILY * 30)


def test_what_android_cuts_appears_when_the_message_is_opened() -> None:
    long, endless = message(body="word " * 30), message(body="word " * 130)
    android = [platforms.load()["android-chrome"]]
    assert [cut.opens for cut in likely_cuts(long, platforms=android)] == [True]
    assert [cut.opens for cut in likely_cuts(endless, platforms=android)] == [False]
    views = (LOCK_SCREEN, EXPANDED)
    assert [cut.view for cut in likely_cuts(long, views, android)] == [LOCK_SCREEN]
    assert [cut.view for cut in likely_cuts(endless, views, android)] == [*views]


def test_buttons_are_judged_where_they_are_shown() -> None:
    wide = Action("a", "A label of twenty ch")
    made = message(actions=(wide, Action("b", "Short"), wide))
    cuts = likely_cuts(made)
    assert [(cut.platform.id, cut.part) for cut in cuts] == [("windows-chrome", "button")]


def test_lines_of_its_own_are_cut_like_long_text() -> None:
    three = message(body="One.\nTwo.\nThree.")
    found = {cut.platform.id: cut.kept for cut in likely_cuts(three)}
    assert found == dict.fromkeys(
        ("macos-chrome", "macos-firefox", "macos-safari"), "One.\nTwo."
    )
