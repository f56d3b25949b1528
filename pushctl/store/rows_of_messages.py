"""What figures of messages count: deliveries, clicks, orders, and people by their messages."""

from collections.abc import Mapping

from pushctl.store.rows_behind import Rows, Scope, match, quote, within

_QUARTER = 900_000
_DAY = 86_400_000
_PUSH = ("NOT d.test", "d.channel IS NULL")
_MARKS = {
    "planned": "",
    "accepted": "d.status = 'accepted'",
    "gone": "d.status = 'gone'",
    "unreported": "d.unreported",
    "reported": "d.status = 'accepted' AND NOT d.unreported",
    "bought": "d.bought",
    "shown": "d.shown",
    "clicked": "d.clicked",
}
_LEFT = "d.status IN ('accepted', 'gone', 'rejected', 'in_doubt')"
_REPORTS = "interactions AS i JOIN deliveries AS d ON d.id = i.delivery_id"
_CREDITS = (
    "credits AS k JOIN deliveries AS d ON d.id = k.delivery_id "
    "JOIN orders AS o ON o.id = k.source_id AND k.goal = 'purchase'"
)
_DIRECT, _INFLUENCED = "k.kind = 'direct'", "k.kind = 'influenced'"
_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_AGES = ((1, "1st day"), (7, "2-7 days"), (30, "8-30 days"), (90, "31-90 days"),
         (365, "91-365 days"))  # fmt: skip
_REACH_AGES = ((1, "below 1 d"), (7, "1-7 d"), (30, "7-30 d"), (90, "30-90 d"),
               (180, "90-180 d"), (365, "180-365 d"))  # fmt: skip
_SENT = f"d.sent_at / {_QUARTER} * {_QUARTER}"  # figures know quarters of an hour


def count_messages(scope: Scope, groups: Mapping[str, str], *only: str) -> dict[str, Rows]:
    """Return what tables of messages count; *only*: conditions beside those of *scope*."""
    where = (*(only or _PUSH), *_ask(scope))
    marked = {
        name: Rows("deliveries AS d", where, groups).narrow(mark)
        for name, mark in _MARKS.items()
    }
    clicks = Rows(_REPORTS, (*where, "i.kind = 'clicked'"), groups, "i.*")
    orders = Rows(_CREDITS, where, groups, "o.*")
    campaigns = Rows(
        "campaigns AS c JOIN deliveries AS d ON d.campaign_id = c.id",
        where, groups, "c.*", key="c.id",
    )  # fmt: skip
    return {
        **marked,
        "clicks": clicks,
        "orders": orders.narrow(_DIRECT),
        "influenced": orders.narrow(_INFLUENCED),
        "campaigns": campaigns,
    }


def count_latest(last: int | None, since: int | None) -> dict[str, Rows]:
    """Return what the table of campaigns counts: of the *last*, or those begun *since*."""
    begun = "" if since is None else f" AND coalesce(started_at, created_at) >= {since}"
    some = f"SELECT id FROM campaigns WHERE NOT test AND channel IS NULL{begun}"  # noqa: S608
    if last is not None:
        some += f" ORDER BY id DESC LIMIT {last}"
    only = f"d.campaign_id IN ({some})"
    return count_messages(Scope(), {"name": "d.campaign"}, only)


def count_details(scope: Scope, campaign: str, by: str) -> dict[str, Rows]:
    """Return what the rows by *by* of one campaign count; a button has clicks alone."""
    only = match("d.campaign", campaign)
    if by == "button":
        groups = {"value": "coalesce(i.action, 'the message')"}
        clicks = count_messages(scope, groups, only)["clicks"].narrow("d.clicked")
        return {"clicked": clicks.narrow(key="d.id"), "clicks": clicks}
    found = count_messages(scope, {"value": group(scope, by)}, only)
    return {"planned": found["planned"]} if by == "reason" else found


def count_reach(scope: Scope) -> dict[str, Rows]:
    """Return what the table of messages by the age of a subscription counts."""
    known = f"({_SENT} - d.subscribed_at)"
    age = _write_ages(known, _REACH_AGES, "above 365 d", "d.subscriber_id IS NULL")
    where = (*_PUSH, _LEFT, "d.sent_at IS NOT NULL", match("d.site", scope.site),
             *_ask_time(scope))  # fmt: skip
    sent = Rows("deliveries AS d", where, {"age": age})
    reported = sent.narrow(_MARKS["reported"])
    return {
        "sent": sent,
        "accepted": sent.narrow(_MARKS["accepted"]),
        "gone": sent.narrow(_MARKS["gone"]),
        "reported": reported,
        "shown": reported.narrow("d.shown"),
        "clicked": sent.narrow(_MARKS["accepted"], "d.clicked"),
    }


def count_steps(scope: Scope, groups: Mapping[str, str]) -> dict[str, Rows]:
    """Return what tables of triggers count of their messages, and the orders of those."""
    steps = ("d.trigger IS NOT NULL", "d.channel IS NULL")
    messages = Rows("deliveries AS d", (*steps, *_ask(scope)), groups)
    found = {name: messages.narrow(mark) for name, mark in _MARKS.items() if name != "planned"}
    buyer = "EXISTS (SELECT 1 FROM people AS p WHERE p.id = k.person AND p.site = {})"
    orders = Rows(_CREDITS, (*steps, *within("o.at", scope.since, scope.until)), groups, "o.*")
    whose = "" if scope.site is None else buyer.format(quote(scope.site))
    return {**found, "sent": messages.narrow(_LEFT), "orders": orders.narrow(_DIRECT, whose)}


def count_arms(scope: Scope) -> dict[str, Rows]:
    """Return what the table of tests counts: people, by test and arm."""
    begun = within("t.created_at", scope.since, scope.until)
    if scope.last is not None:
        times = " AND ".join(each for each in within("created_at", scope.since, scope.until)
                             if each)  # fmt: skip
        newest = f"ORDER BY id DESC LIMIT {scope.last}"
        some = f"SELECT id FROM tests{times and ' WHERE '}{times} {newest}"  # noqa: S608
        begun = (f"t.id IN ({some})", "")
    tables = (
        "tests AS t JOIN campaigns AS c ON c.id = t.campaign_id\n"
        "       OR (c.trigger = t.trigger AND c.step = t.step)\n"
        "  JOIN deliveries AS d ON d.campaign_id = c.id AND d.id > t.after_delivery"
    )
    groups = {"test": "t.name", "arm": "d.variant"}
    where = (*begun, "d.variant_probability < 1")
    # Who was erased is somebody else each time.
    people = Rows(tables, where, groups, key="coalesce(person(d.subscriber_id), -d.id)")
    accepted = people.narrow("d.status = 'accepted'", "NOT d.bridge")
    credits = (
        f"{tables}\n  JOIN credits AS k ON k.delivery_id = d.id AND k.goal = 'purchase'\n"
        "  JOIN orders AS o ON o.id = k.source_id"
    )
    return {
        "assigned": people,
        "accepted": accepted,
        "shown": accepted.narrow("d.shown"),
        "clicked": accepted.narrow("d.clicked"),
        "orders": Rows(credits, (*where, _DIRECT), groups, "o.*"),
    }


def group(scope: Scope, by: str) -> str:
    """Return the expression of *by*, one of ``groups.KINDS`` but what is an attribute."""
    plain = {
        "campaign": "d.campaign",
        "topic": "d.topic",
        "site": "d.site",
        "country": "d.country",
        "browser": "d.browser",
        "os": "d.os",
        "language": "d.language",
        "variant": "d.variant",
        "reason": "d.status || coalesce(': ' || d.reason, '')",
    }
    if by in plain:
        return plain[by]
    if by == "age":
        known = f"max({_SENT} - d.subscribed_at, 0)"
        unknown = "d.sent_at IS NULL OR coalesce(d.subscribed_at, 0) = 0"
        return _write_ages(known, _AGES, "over a year", unknown)
    return _group_clock(scope, by)


def _ask(scope: Scope) -> tuple[str, ...]:
    """Return the conditions of a filter on messages."""
    latest = ""
    if scope.last is not None:
        about = "" if scope.topic is None else f" AND {match('topic', scope.topic)}"
        some = f"SELECT id FROM campaigns WHERE NOT test AND channel IS NULL{about}"  # noqa: S608
        latest = f"d.campaign_id IN ({some} ORDER BY id DESC LIMIT {scope.last})"
    return (
        match("d.site", scope.site),
        match("d.topic", scope.topic),
        *_ask_time(scope),
        latest,
    )


def _ask_time(scope: Scope) -> tuple[str, ...]:
    """Return the conditions of a filter's time: a quarter that it has in part counts whole."""
    since = None if scope.since is None else scope.since // _QUARTER * _QUARTER
    until = None if scope.until is None else -(-scope.until // _QUARTER) * _QUARTER
    if until is not None:
        since = since or 0
    return within("d.sent_at", since, until)


def _group_clock(scope: Scope, by: str) -> str:
    """Return hours and weekdays on the receiver's clock, days and longer on the site's."""
    there = _find_zone(scope)
    if by in ("hour", "weekday", "cell"):
        clock = f"iif(d.subscriber_id IS NULL, NULL, local(d.sent_at, d.timezone, {there}))"
    else:
        clock = f"local(d.sent_at, {there}, 'UTC')"
    at = f"{clock} / 1000, 'unixepoch'"
    hour, number = f"strftime('%H', {at})", f"strftime('%w', {at})"
    words = " ".join(f"WHEN '{place}' THEN '{day}'" for place, day in enumerate(_WEEKDAYS))
    weekday = f"CASE {number} {words} END"
    return {
        "hour": hour,
        "weekday": weekday,
        "cell": f"{weekday} || ' ' || {hour}",
        "day": f"date({at})",
        "week": f"date({at}, '-' || (({number} + 6) % 7) || ' days')",
        "month": f"strftime('%Y-%m-01', {at})",
    }[by]


def _find_zone(scope: Scope) -> str:
    """Return the expression of a message's site's time zone."""
    different = {*scope.zones.values(), scope.zone}
    if len(different) == 1:
        return quote(scope.zone)
    each = " ".join(
        f"WHEN {quote(name)} THEN {quote(zone)}" for name, zone in scope.zones.items()
    )
    of_site = f"CASE d.site {each} ELSE 'UTC' END"
    return f"iif(d.site IS NULL, {quote(scope.zone)}, {of_site})"


def _write_ages(
    known: str, edges: tuple[tuple[int, str], ...], oldest: str, unknown: str
) -> str:
    each = " ".join(f"WHEN {known} < {days * _DAY} THEN '{word}'" for days, word in edges)
    return f"CASE WHEN {unknown} THEN NULL {each} ELSE '{oldest}' END"
