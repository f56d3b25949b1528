"""What figures of people count: subscribers, invitations, codes, triggers, control groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pushctl.model import Millis
from pushctl.store.rows_behind import Rows, Scope, match, quote, within

_DAY = 86_400_000
_HOUR = 3_600_000
_PAID = "state IN ('paid', 'refunded') AND NOT test"
_STAGES = ("seen", "accepted", "allowed", "denied", "dismissed", "failed")
_LOSSES = ("unsubscribed", "gone", "quarantined")
_FOREVER = 1 << 62
# Orders first; a page's word alone counts where its person has no order within an hour.
_BOUGHT = f"""WITH placed AS MATERIALIZED (
       SELECT person(subscriber_id) AS person, at, {_PAID} AS paid
         FROM orders WHERE person(subscriber_id) IS NOT NULL),
     bought AS MATERIALIZED (
       SELECT person, at FROM placed WHERE paid
        UNION ALL
       SELECT DISTINCT person(e.subscriber_id), e.at FROM events AS e
        WHERE e.name = 'purchase' AND NOT EXISTS (
              SELECT 1 FROM placed AS p WHERE p.person = person(e.subscriber_id)
                 AND p.at BETWEEN e.at - {_HOUR} AND e.at + {_HOUR}))"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Period:
    """A row of the table of growth; *until* None: it has no end."""

    start: str
    since: Millis
    until: Millis | None


@dataclass(frozen=True, slots=True)
class Watched:
    """A trigger with a goal: the event, how long it counts; *share*: of its control group."""

    event: str
    window: Millis
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """The control group over all marketing; *begin* None: nobody was held out yet."""

    name: str
    share: float
    begin: Millis | None = None


def count_growth(scope: Scope, periods: Sequence[Period]) -> dict[str, Rows]:
    """Return what the table of growth counts, of each of *periods*."""
    given = _list_periods(periods)
    tables = "periods AS q JOIN lives AS d"
    return _count_lives(
        Rows(tables, (match("d.site", scope.site),), {"start": "q.start"}, given=given),
        "q.since",
        "q.until",
    )


def _list_periods(periods: Sequence[Period]) -> str:
    """Return *periods* as a table of that name."""
    values = ", ".join(
        f"({quote(one.start)}, {one.since}, {_FOREVER if one.until is None else one.until})"
        for one in periods
    )
    return f"WITH periods (start, since, until) AS (VALUES {values})"


def count_split(scope: Scope, by: str) -> dict[str, Rows]:
    """Return what the table of growth counts by *by*: a column of people, or month."""
    each = f"p.{by}"
    if by == "month":
        clock = f"local(p.subscribed_at, {quote(scope.zone)}, 'UTC') / 1000, 'unixepoch'"
        each = f"strftime('%Y-%m', {clock})"
    lives = Rows(
        "lives AS d JOIN people AS p ON p.id = d.subscriber_id",
        (match("d.site", scope.site),),
        {"value": each},
    )
    until = _FOREVER if scope.until is None else scope.until
    found = _count_lives(lives, str(scope.since or 0), str(until))
    reached = f"d.began_at <= {scope.now} AND coalesce(d.ended_at > {scope.now}, true)"
    if scope.since is None:  # nobody was there before everything
        found = {name: rows for name, rows in found.items() if name not in _AT_START}
    return {**found, "reached": lives.narrow(reached)}


_AT_START = ("active", "churned")


def _count_lives(lives: Rows, since: str, until: str) -> dict[str, Rows]:
    begun = lives.narrow(f"d.began_at >= {since}", f"d.began_at < {until}")
    over = lives.narrow(f"d.ended_at >= {since}", f"d.ended_at < {until}")
    active = (f"d.began_at < {since}", f"coalesce(d.ended_at >= {since}, true)")
    shown = "d.subscriber_id IN (SELECT id FROM people WHERE verified_at IS NOT NULL)"
    return {
        "active": lives.narrow(*active),
        "new": begun.narrow("d.first"),
        "shown": begun.narrow("d.first", shown),
        "back": begun.narrow("NOT d.first"),
        **{kind: over.narrow(match("d.ended_by", kind)) for kind in _LOSSES},
        "churned": over.narrow(*active),
    }


def count_cohorts(scope: Scope, by: str) -> dict[str, Rows]:
    """Return who a cohort is watched of; its shares are estimates."""
    lives = count_split(scope, by)["reached"]
    until = min(scope.now, scope.now if scope.until is None else scope.until)
    since = scope.since or 0
    joined = Rows(
        lives.tables,
        (match("d.site", scope.site), "d.first", f"d.began_at < {until}",
         f"coalesce(d.ended_at >= {since}, true)"),
        {"cohort": lives.groups["value"]},
    )  # fmt: skip
    return {"joined": joined}


def count_active(scope: Scope) -> Rows:
    """Return the active subscriptions of each site."""
    where = ("d.state = 'active'", match("d.site", scope.site))
    return Rows("people AS d", where, {"site": "d.site"})


def count_prompts(
    scope: Scope, by: str, *, since: Millis | None, visits: bool
) -> dict[str, Rows]:
    """Return the days' counts of each stage of the invitation; *visits*: and of visits."""
    until = scope.until if visits else None
    where = (*within("d.day", since, until), match("d.site", scope.site))
    rows = Rows("prompts AS d", where, {by: f"d.{by}"}, amount="d.count")
    found = {stage: rows.narrow(match("d.stage", stage)) for stage in _STAGES}
    if not visits:
        return found
    # The first day with visits may have a part of them.
    first = "SELECT min(v.day) FROM prompts AS v WHERE v.site = d.site AND v.stage = 'visit'"
    known = f"d.day > ({first})"
    return {
        **found,
        "visit": rows.narrow("d.stage = 'visit'", known),
        "visit_seen": found["seen"].narrow(known),
        "visit_allowed": found["allowed"].narrow(known),
    }


def count_sizes(periods: Sequence[Period]) -> dict[str, Rows]:
    """Return the last size that was noted of each segment in each of *periods*."""
    given = _list_periods(periods)
    later = (
        "NOT EXISTS (SELECT 1 FROM segment_sizes AS n WHERE n.segment = d.segment "
        "AND n.at > d.at AND n.at < q.until)"
    )
    rows = Rows(
        "periods AS q JOIN segment_sizes AS d ON d.at >= q.since AND d.at < q.until",
        (later,),
        {"segment": "d.segment", "start": "q.start"},
        given=given,
    )
    return {
        "subscribers": rows.narrow(amount="d.subscribers"),
        "everybody": rows.narrow(amount="d.everybody"),
    }


def count_codes(scope: Scope) -> dict[str, Rows]:
    """Return the codes of each pool, and the orders that have used one."""
    pool = {"pool": "d.pool"}
    codes = Rows("codes AS d", ("d.state <> 'shared'",), pool)
    timed = (match("d.site", scope.site), *within("d.given_at", scope.since, scope.until))
    bound = codes.narrow("d.given_at IS NOT NULL", *timed)
    asked = " AND ".join(each for each in timed if each)
    shared = " AND ".join(
        each
        for each in ("u.shared", match("o.site", scope.site),
                     *within("o.at", scope.since, scope.until))
        if each
    )  # fmt: skip
    own = "NOT u.shared"
    if asked:
        own += f" AND u.code_id IN (SELECT d.code_id FROM codes AS d WHERE {asked})"  # noqa: S608
    orders = Rows(
        "redemptions AS u JOIN orders AS o ON o.id = u.order_id",
        ("o.state IN ('paid', 'refunded')", "NOT o.test"),
        {"pool": "u.pool"},
        "o.*",
        key="o.id",
    )
    used = (
        "NOT EXISTS (SELECT 1 FROM redemptions AS u2 WHERE u2.order_id = u.order_id "  # noqa: S608
        f"AND u2.pool = u.pool AND {own.replace('u.', 'u2.')})"
    )
    given = bound.narrow("d.accepted")
    return {
        "codes": codes,
        "free": codes.narrow("d.state = 'free'"),
        "bound": bound,
        "given": given,
        "redeemed": given.narrow("d.redeemed"),
        "orders": orders.narrow(f"(({own}) OR ({shared}))"),
        "shared": orders.narrow(f"({shared})", used),
    }


def count_entries(
    scope: Scope, watched: Mapping[str, Watched], holdout: Group | None
) -> dict[str, Rows]:
    """
    Return who entered each trigger, and reached the goal of those in *watched*.

    A person counts by their first entry: of the period, in comparisons since there is a
    control group. Who is in the control group over all marketing is not compared.
    """
    groups = {"trigger": "d.trigger"}
    entries = _number_entries(scope, "")
    entered = Rows(entries, ("d.place = 1", "NOT d.held"), groups)
    tested = {name: one for name, one in watched.items() if one.share}
    first = (
        "d.entered_at >= (SELECT min(h.entered_at) FROM enrolments AS h "  # noqa: S608
        f"WHERE h.trigger = d.trigger AND h.state = 'holdout'{_limit(scope, 'h')})"
    )
    known = f"d.trigger IN ({', '.join(map(quote, tested)) or 'NULL'})"
    both = Rows(_number_entries(scope, first), ("d.place = 1", known), groups)
    if holdout is not None:
        word = "(SELECT p.public_id FROM people AS p WHERE p.id = d.person)"
        both = both.narrow(f"lot({quote(holdout.name)}, {word}) >= {holdout.share!r}")
    control, compared = both.narrow("d.held"), both.narrow("NOT d.held")
    found = {"entered": entered, "control": control, "compared": compared}
    for name, rows in (("goal", entered), ("control_goal", control)):
        found[name] = _reach_goal(scope, rows, watched)
    return found


def _limit(scope: Scope, name: str) -> str:
    until = scope.now + 1 if scope.until is None else min(scope.until, scope.now + 1)
    times = within(f"{name}.entered_at", scope.since or 0, until)
    each = (*times, match(f"{name}.site", scope.site))
    return "".join(f" AND {one}" for one in each if one)


def _number_entries(scope: Scope, only: str) -> str:
    """Return the entries of a period, numbered by person and trigger, the oldest first."""
    more = f" AND {only}" if only else ""
    return (
        "(SELECT d.*, person(d.subscriber_id) AS person, d.state = 'holdout' AS held,\n"  # noqa: S608
        "               row_number() OVER (PARTITION BY d.trigger, person(d.subscriber_id)\n"
        "                   ORDER BY d.entered_at, d.state = 'holdout') AS place\n"
        "          FROM enrolments AS d\n"
        f"         WHERE person(d.subscriber_id) IS NOT NULL{_limit(scope, 'd')}{more}) AS d"
    )


def _reach_goal(scope: Scope, rows: Rows, watched: Mapping[str, Watched]) -> Rows:
    """Return those of *rows* whose person reached the goal in time."""
    ways = []
    events = sorted({one.event for one in watched.values()} - {"purchase"})
    until = scope.now + 1
    for name, one in watched.items():
        source = "bought AS b WHERE true"
        if one.event != "purchase":
            source = f"done AS b WHERE b.name = {quote(one.event)}"
        ways.append(
            f"(d.trigger = {quote(name)} AND EXISTS (SELECT 1 FROM {source} "  # noqa: S608
            "AND b.person = d.person "
            f"AND b.at BETWEEN d.entered_at AND min(d.entered_at + {one.window}, {until - 1})))"
        )
    given = _BOUGHT
    if events:
        names = ", ".join(map(quote, events))
        given += (
            ",\n     done AS MATERIALIZED (\n       SELECT person(subscriber_id) AS person, "  # noqa: S608
            f"at, name FROM events WHERE name IN ({names}))"
        )
    return rows.narrow(f"({' OR '.join(ways) or 'false'})", given=given)


def count_holdout(scope: Scope, group: Group) -> dict[str, Rows]:
    """Return both groups of the control group over all marketing, and what they bought."""
    if group.begin is None:
        return {}
    until = scope.now + 1 if scope.until is None else min(scope.until, scope.now + 1)
    since = max(group.begin, scope.since or 0)
    people = (
        "(SELECT person(p.id) AS person, min(p.subscribed_at) AS joined,\n"  # noqa: S608
        f"               max(iif(p.state = 'active', {_FOREVER}, p.state_at)) AS left_at,\n"
        "               max(iif(p.id = person(p.id), p.public_id, NULL)) AS public_id,\n"
        "               max(iif(p.id = person(p.id), p.site, NULL)) AS site\n"
        "          FROM people AS p GROUP BY 1) AS d"
    )
    drawn = f"lot({quote(group.name)}, d.public_id) < {group.share!r}"
    groups = {"group": f"iif({drawn}, 'control group', 'messages')"}
    where = (f"d.left_at >= {group.begin}", f"d.joined < {until}", match("d.site", scope.site))
    members = Rows(people, where, groups)
    inside = f"b.at >= max({since}, d.joined) AND b.at < {until}"
    buyers = f"EXISTS (SELECT 1 FROM bought AS b WHERE b.person = d.person AND {inside})"  # noqa: S608
    orders = Rows(
        f"orders AS b JOIN {people} ON d.person = person(b.subscriber_id)",
        (*where, "b.state IN ('paid', 'refunded')", "NOT b.test", inside),
        groups,
        "b.*",
    )
    return {
        "people": members,
        "buyers": members.narrow(buyers, given=_BOUGHT),
        "left": members.narrow(f"d.left_at < {until}"),
        "orders": orders,
    }
