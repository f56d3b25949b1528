"""rules.figures.cases: what the published cases had, beside a user's own baseline."""

from pushctl.rules.figures.forecasts import published_cases


def test_a_campaign_is_like_one_kind_of_the_cases() -> None:
    assert published_cases.find_kind(None, None) == "promotion"
    assert published_cases.find_kind("shoes", None) == "promotion"
    assert published_cases.find_kind("news", None) == "information"
    assert published_cases.find_kind("news", "basket") == "trigger"


def test_they_are_said_with_the_users_own_beside() -> None:
    assert published_cases.say("promotion", {}) == (
        "In the published cases 7 % of the people who got a promotion clicked."
    )
    assert published_cases.say("cart_return", {"cart_return": 0.125}) == (
        "In the published cases 21 % of the people who were reminded of a basket came back to "
        "it; your own baseline is 12.5 %."
    )
    assert "5 to 13 to 17 to 22 % of new visitors" in published_cases.say(
        "optin", {"optin": None}
    )
