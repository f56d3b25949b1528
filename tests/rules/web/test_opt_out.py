"""rules/web/opt_out: which columns may say that somebody left, and what they say."""

import pytest

from pushctl.rules.web import opt_out
from pushctl.rules.web.opt_out import ACTIVE, LEFT, Answers

NONE = Answers()

# column, values that say yes (or nothing), values that say no, values to be asked about
TABLE = [
    ("notification_types", ["1", 1, "31", "1.0"], ["0", "-2", -2, "-2.0", -31], ["x", "1e3"]),
    ("enabled", ["1", True, "TRUE", "yes", "on"], ["0", False, "no", "FALSE"], ["2", "maybe"]),
    ("is_active", ["t", "Y", "active"], ["f", "N", "inactive"], ["paused"]),
    ("push_subscribed", ["1"], ["0"], ["?"]),
    ("opted_in", ["true", "2024-05-01"], ["false", "opted_out"], ["web"]),
    ("disabled", ["0", False, "no"], ["1", True, "2024-05-01 10:00:00"], ["partly"]),
    ("is_deleted", ["false"], ["true"], ["x"]),
    ("opted_out", ["f"], ["t"], ["sms"]),
    ("invalid_identifier", ["f"], ["t"], ["?"]),
    (
        "unsubscribed_at",
        ["0000-00-00 00:00:00", "0", 0, "false", "0000-00-00T00:00:00Z"],
        ["2024-05-01", "31.12.2024 13:45", "Dec 31, 2024", "45123.5", 1714554000000],
        ["soon"],
    ),
    ("deleted_at", ["0"], ["2024-05-01T00:00:00Z"], ["yesterday"]),
    ("status", ["active", "Subscribed", "ENABLED", "opted-in"],
     ["unsubscribed", "Inactive", "opted_out", "İNACTİVE", "not subscribed"],
     ["1", 0, "pending", "California"]),
    ("push_status", ["granted"], ["denied"], ["default"]),
    ("permission", ["granted"], ["denied", "blocked"], ["default", "prompt"]),
    # About another channel or thing: a yes is none of ours, a no may be.
    ("sms_enabled", ["1"], [], ["0"]),
    ("email_opt_out", ["0"], [], ["1"]),
    ("order_status", ["active"], [], ["paid", "cancelled"]),
]  # fmt: skip


@pytest.mark.parametrize(("column", "yes", "no", "unclear"), TABLE)
def test_what_columns_say(
    column: str, yes: list[object], no: list[object], unclear: list[object]
) -> None:
    for value in yes:
        assert opt_out.read({column: value}, NONE) in (ACTIVE, None), value
    for value in no:
        assert opt_out.read({column: value}, NONE) is LEFT, value
    for value in unclear:
        with pytest.raises(LookupError):
            opt_out.read({column: value}, NONE)


@pytest.mark.parametrize(
    "column",
    ["endpoint", "created_at", "city", "session_count", "expiration_time", "tags",
     "interactive_score", "novalid_x", "deactivation_reason", "unsubscribe_url", "activity"],
)  # fmt: skip
def test_other_columns_say_nothing_of_it(column: str) -> None:
    assert opt_out.recognise(column) is None


def test_one_no_is_enough() -> None:
    said = {"state": "active", "notification_types": "1", "unsubscribed_at": "2024-05-01"}
    assert opt_out.read(said, NONE) is LEFT
    assert opt_out.read({"state": "gone", "enabled": "1"}, NONE) == "gone"
    assert opt_out.read({"deleted_at": "0"}, NONE) is None
    assert opt_out.read({}, NONE) is None


def test_answers_of_the_owner_count() -> None:
    answers = Answers({opt_out.make_key("status", "Paused"): LEFT}, frozenset({"order_status"}))
    assert opt_out.read({"status": "PAUSED", "order_status": "paid"}, answers) is LEFT
    assert opt_out.list_unclear({"status": "x", "order_status": "y"}, answers) == [
        ("status", "x")
    ]
