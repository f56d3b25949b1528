"""By what messages are grouped, in words; ``group_codes.py`` finds the group of each."""

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

OF_CAMPAIGN = ("campaign", "topic")
OF_PERSON = ("site", "country", "browser", "os", "device")
OF_MESSAGE = ("language", "variant", "reason")
OF_CLOCK = ("hour", "weekday", "cell")  # the receiver's
OF_CALENDAR = ("day", "week", "month")  # the site's
KINDS = (*OF_CAMPAIGN, *OF_PERSON, *OF_MESSAGE, *OF_CLOCK, *OF_CALENDAR, "age")
# Those that people compare campaigns by; a cell has too few messages, a reason is a text.
COMPARED = tuple(kind for kind in KINDS if kind not in ("cell", "reason"))
# Their words have an order of their own; others stand by their size.
ORDERED = (*OF_CLOCK, *OF_CALENDAR, "age")


def list_message_columns(by: str) -> tuple[str, ...]:
    """Return which columns of messages it takes."""
    if by in OF_PERSON:
        return ("subscription",)
    if by in OF_MESSAGE:
        return (by,)
    return () if by in OF_CAMPAIGN else ("subscription", "sent")


def list_people_columns(by: str) -> tuple[str, ...]:
    """Return which columns of people it takes, besides those of their clock."""
    if by == "age":
        return ("subscribed_at",)
    return (by,) if by in OF_PERSON else ()
