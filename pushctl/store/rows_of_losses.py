"""What figures of leaving count: who unsubscribed after which message, or is near to it."""

from pushctl.rules.figures.tables.leaving import FREQUENCIES, HOURS
from pushctl.store.rows_behind import Rows, Scope, match, within
from pushctl.store.rows_of_messages import group

_QUARTER = 900_000
_DAY_QUARTERS = 96
_MONTH_QUARTERS = 30 * _DAY_QUARTERS
_LONGEST = 60 * _DAY_QUARTERS * _QUARTER
_TAKEN = "NOT d.test AND d.channel IS NULL AND d.status = 'accepted' AND d.sent_at IS NOT NULL"


def count_leaving(scope: Scope, by: str, window_days: int) -> dict[str, Rows]:
    """Return whose last message was of which kind, when they left within its window."""
    return {
        "unsubscribed": _find_last(
            scope,
            by,
            "unsubscribed",
            "m.person = person(l.subscriber_id) AND m.quarter > l.ended_at "
            f"/ {_QUARTER} - {window_days * _DAY_QUARTERS}",
        ),
        "gone": _find_last(scope, by, "gone", "m.subscriber_id = l.subscriber_id"),
    }


def _find_last(scope: Scope, by: str, loss: str, whose: str) -> Rows:
    """Return the lives that a *loss* ended, each with the last message before it."""
    until = scope.now if scope.until is None else min(scope.until, scope.now)
    time = within(
        f"l.ended_at / {_QUARTER}",
        None if scope.since is None else scope.since // _QUARTER,
        -(-until // _QUARTER),
    )
    kept = " AND ".join(
        each for each in (match("l.ended_by", loss), match("l.site", scope.site), *time) if each
    )
    given = f"""WITH sent AS MATERIALIZED (
       SELECT d.id, d.campaign_id, d.subscriber_id, person(d.subscriber_id) AS person,
              d.sent_at / {_QUARTER} AS quarter
         FROM deliveries AS d WHERE {_TAKEN} AND person(d.subscriber_id) IS NOT NULL),
     lost AS MATERIALIZED (
       SELECT l.*, (SELECT m.id FROM sent AS m
                     WHERE {whose} AND m.quarter <= l.ended_at / {_QUARTER}
                     ORDER BY m.quarter DESC, m.campaign_id DESC, m.id DESC LIMIT 1)
                   AS delivery_id
         FROM lives AS l WHERE {kept})"""  # noqa: S608
    tables = "lost AS l JOIN deliveries AS d ON d.id = l.delivery_id"
    return Rows(tables, (), {"value": _group(scope, by)}, "l.*", given=given)


def _group(scope: Scope, by: str) -> str:
    """Return the expression of *by*: three kinds of leaving's own, else as other tables."""
    if by == "message":
        return "'any message'"
    if by == "hour":
        hour = f"CAST({group(scope, 'hour')} AS INTEGER)"
        ends = [*HOURS[1:], 24]
        each = " ".join(
            f"WHEN {hour} < {end} THEN '{start:02}-{end:02}'"
            for start, end in zip(HOURS, ends, strict=True)
        )
        return f"CASE {each} END"
    if by == "frequency":
        quarter = f"d.sent_at / {_QUARTER}"
        recent = (
            "(SELECT count(*) FROM sent AS f WHERE f.person = person(d.subscriber_id) "  # noqa: S608
            f"AND f.quarter > {quarter} - {7 * _DAY_QUARTERS} AND (f.quarter, f.campaign_id, "
            f"f.id) <= ({quarter}, d.campaign_id, d.id))"
        )
        each = " ".join(f"WHEN {recent} <= {most} THEN '{word}'" for most, word in FREQUENCIES)
        return f"CASE {each} END"
    return group(scope, by)


def count_penalties(scope: Scope, *, many: int, unshown: int) -> dict[str, Rows]:
    """Return the browsers with a message in 30 days, and those near to ending it themselves."""
    now = scope.now // _QUARTER
    where = (
        _TAKEN,
        "NOT d.unreported",
        f"d.sent_at / {_QUARTER} >= {now - _MONTH_QUARTERS}",
        match("d.site", scope.site),
        "d.browser IN ('Chrome', 'Safari')",
        "d.subscriber_id IN (SELECT id FROM people WHERE state = 'active')",
        "d.campaign_id IN (SELECT id FROM campaigns WHERE trigger IS NOT NULL "  # noqa: S608
        f"OR coalesce(started_at, created_at) > {scope.now - _LONGEST})",
    )
    messages = Rows("deliveries AS d", where, {"browser": "d.browser"})
    browsers = messages.narrow(key="d.subscriber_id")
    kept = "deliveries AS d WHERE " + " AND ".join(each for each in where if each)
    closed = "SELECT delivery_id FROM interactions WHERE kind = 'closed'"
    chrome = (
        f"SELECT d.subscriber_id FROM {kept} GROUP BY 1 HAVING count(*) >= {many} "  # noqa: S608
        f"AND NOT max(d.clicked OR d.id IN ({closed}))"
    )
    numbered = (
        "SELECT d.subscriber_id, d.shown, row_number() OVER (PARTITION BY d.subscriber_id "  # noqa: S608
        f"ORDER BY d.sent_at / {_QUARTER} DESC, d.id DESC) AS place FROM {kept} "
        f"AND d.sent_at / {_QUARTER} <= {now - _DAY_QUARTERS}"
    )
    safari = (
        f"SELECT subscriber_id FROM ({numbered}) GROUP BY 1 HAVING count(*) >= {unshown} "  # noqa: S608
        f"AND NOT max(iif(place <= {unshown}, shown, 0))"
    )
    near = (
        f"((d.browser = 'Chrome' AND d.subscriber_id IN ({chrome}))\n"
        f"    OR (d.browser = 'Safari' AND d.subscriber_id IN ({safari})))"
    )
    return {"messages": messages, "browsers": browsers, "ignored": browsers.narrow(near)}
