"""The parts of a report: figures as charts and tables, in the reader's words."""

from collections.abc import Mapping, Sequence
from datetime import date

from pushctl.config import Config
from pushctl.jobs.campaigns.progress import Progress
from pushctl.rules.calendars import Entry
from pushctl.rules.figures.figure import Row, read_count
from pushctl.rules.figures.forecasts.published_cases import CASES
from pushctl.rules.figures.revenue.attribution import Kind
from pushctl.rules.figures.statistics.intervals import Interval
from pushctl.rules.messages import languages
from pushctl.rules.money import Money
from pushctl.rules.reports import svg
from pushctl.rules.reports.content import Section, Table
from pushctl.rules.reports.words import UNKNOWN, Words

_SHOWN_CAMPAIGNS = 12  # in the chart; the table has all
_TABLE_CAMPAIGNS = 40
_SHOWN_PLACES = 15
_BEST = 5
HOUR_MESSAGES = 200  # below them a cell of the week says nothing
_STAGES = ("abandoned", "reminded", "returned", "bought")


def frame(words: Words, title: str, about: str = "", *, headed: bool = False) -> svg.Frame:
    return svg.Frame(title, about, languages.direction(words.language) == "rtl", headed)


def read_rate(row: Row, name: str) -> Interval:
    """Return a rate of *row* with its bounds; its value is None where it is unknown."""
    value, low, high = (row.get(key) for key in (name, f"{name}_low", f"{name}_high"))
    if not isinstance(value, int | float):
        return Interval(None, 0.0, 1.0)
    bounds = [float(it) if isinstance(it, int | float) else value for it in (low, high)]
    return Interval(float(value), *bounds)


def say_rate(words: Words, row: Row, name: str) -> str:
    return words.interval(read_rate(row, name))


def read_money(row: Row, name: str) -> list[Money]:
    found = row.get(name)
    if isinstance(found, Money):
        return [found]
    return [one for one in found if isinstance(one, Money)] if isinstance(found, tuple) else []


def say_window(config: Config) -> str:
    """Return the window of purchases as pushctl.toml has it: "24h"."""
    from pushctl.jobs.figures.attribution.credits import list_goals

    return list_goals(config)["purchase"].window


def tell_campaigns(words: Words, rows: Sequence[Row]) -> Section:
    """Return what went out: a row each of ``stats campaigns``, most people first."""
    title = words.say("sent_title")
    if not rows:
        return Section("sent", title, empty=words.say("sent_empty"))
    listed = sorted(rows, key=lambda row: -read_count(row, "accepted"))
    drawn = [
        svg.Range(
            str(row["name"]),
            (rate := read_rate(row, "ctr")).value,
            rate.low,
            rate.high,
            words.say(
                "of",
                part=words.count(read_count(row, "clicked")),
                whole=words.count(read_count(row, "reported")),
            ),
        )
        for row in listed[:_SHOWN_CAMPAIGNS]
        if "merged" not in row
    ]
    known = [one for one in drawn if one.value is not None]
    best = max(known, key=lambda one: one.value or 0, default=None)
    about = _say_highest(words, best.label, best.value) if best else ""
    case = CASES["promotion"].rates[-1]
    chart = svg.draw_ranges(frame(words, title, about), drawn, words.share, mark=case)
    keys = ("campaign", "accepted", "ctr", "orders", "revenue")
    table = Table(
        [words.say(key) for key in keys],
        [_list_cells(words, row, "name") for row in listed[:_TABLE_CAMPAIGNS]],
        frozenset(range(1, len(keys))),
    )
    notes = [words.say("case_mark", rate=words.share(case))]
    if len(listed) > _TABLE_CAMPAIGNS:
        notes.append(words.say("more", count=words.count(len(listed) - _TABLE_CAMPAIGNS)))
    charts = [chart] if drawn else []
    return Section("sent", title, words.say("sent_intro"), charts, [table], notes)


def _list_cells(words: Words, row: Row, key: str) -> list[str]:
    """Return a row's name, accepted, CTR, orders and revenue."""
    name = row.get(key)
    merged = "merged" in row
    return [
        UNKNOWN if name is None else str(name),
        words.count(read_count(row, "accepted")),
        UNKNOWN if merged else say_rate(words, row, "ctr"),
        UNKNOWN if merged else words.count(read_count(row, "orders")),
        words.money(read_money(row, "revenue")),
    ]


def _say_highest(words: Words, label: str, value: float | None) -> str:
    return words.say("chart_best", label=label, value=words.share(value))


def tell_places(words: Words, rows: Sequence[Row]) -> Section:
    """Return where people are: the same by country, those of too few people merged."""
    title = words.say("places_title")
    if not rows:
        return Section("places", title, empty=words.say("sent_empty"))
    keys = ("country", "accepted", "ctr", "orders", "revenue")
    table = Table(
        [words.say(key) for key in keys],
        [_list_cells(words, row, "value") for row in rows[:_SHOWN_PLACES]],
        frozenset(range(1, len(keys))),
    )
    return Section("places", title, tables=[table])


def tell_best(words: Words, rows: Sequence[Row]) -> Section:
    """Return the best and the worst campaigns, by the lower end of the interval."""
    title = words.say("best_title")
    known = [row for row in rows if read_rate(row, "ctr").value is not None]
    if len(known) < 2:
        return Section("best", title, empty=words.say("best_empty"))
    ranked = sorted(known, key=lambda row: -read_rate(row, "ctr").low)
    count = min(_BEST, len(ranked) // 2)
    keys = ("campaign", "accepted", "ctr", "orders", "revenue")
    tables = [
        Table(
            [words.say(key) for key in keys],
            [_list_cells(words, row, "name") for row in some],
            frozenset(range(1, len(keys))),
            words.say(caption),
        )
        for caption, some in (("best", ranked[:count]), ("worst", ranked[::-1][:count]))
    ]
    return Section("best", title, words.say("best_intro"), tables=tables)


def tell_revenue(
    words: Words, days: Sequence[date], paid: Mapping[tuple[date, Kind], Sequence[Money]]
) -> Section:
    """Return revenue by day in the currency of most orders; others are named."""
    title = words.say("revenue_title")
    counts: dict[tuple[str | None, int], int] = {}
    for amounts in paid.values():
        for one in amounts:
            key = one.currency, one.exponent
            counts[key] = counts.get(key, 0) + 1
    if not counts:
        return Section("revenue", title, empty=words.say("revenue_empty"))
    currency, exponent = max(counts, key=lambda key: counts[key])

    def show(value: float) -> str:
        return words.money([Money(round(value * 10**exponent), exponent, currency)])

    def add(day: date, kind: Kind) -> float:
        own = [it.minor for it in paid.get((day, kind), ()) if it.currency == currency]
        return float(sum(own)) / float(10**exponent)

    points = [(words.short_day(day), add(day, Kind.DIRECT)) for day in days]
    second = [add(day, Kind.INFLUENCED) for day in days]
    best = max(points, key=lambda point: point[1])
    about = words.say("chart_best", label=best[0], value=show(best[1]))
    named = frame(words, words.say("revenue_chart"), about)
    chart = svg.draw_columns(named, points, show, second=second)
    others = {other: count for (other, _), count in counts.items() if other != currency}
    notes = []
    if others:
        named_others = words.join(sorted(str(one) for one in others))
        count = words.count(sum(others.values()))
        notes = [words.say("currencies", other=named_others, count=count)]
    return Section("revenue", title, words.say("revenue_intro"), [chart], notes=notes)


def tell_baskets(words: Words, rows: Sequence[Row]) -> Section:
    """Return the basket's funnel of ``stats basket``."""
    title = words.say("basket_title")
    found = {(str(row["stage"]), str(row["of"])): row for row in rows}
    first = found.get(("abandoned", "finished"))
    if first is None or not read_count(first, "baskets"):
        return Section("basket", title, empty=words.say("basket_empty"))
    stages: list[tuple[str, float | None, str]] = [
        (words.say("abandoned"), float(read_count(first, "baskets")), "")
    ]
    for stage in ("reminded", "returned", "bought"):
        row = found.get((stage, "abandoned"))
        if row is not None:
            count = float(read_count(row, "baskets"))
            stages.append((words.say(stage), count, say_rate(words, row, "share")))
    chart = svg.draw_funnel(frame(words, title), stages, words.count)
    rate = read_rate(first, "share")
    notes = [
        words.say(
            "basket_rate",
            rate=words.share(rate.value),
            low=words.share(rate.low),
            high=words.share(rate.high),
        )
    ]
    return Section("basket", title, words.say("basket_intro"), [chart], notes=notes)


def tell_growth(words: Words, days: Sequence[date], growth: Mapping[date, Row]) -> Section:
    """Return active subscribers, and new less lost ones, by day."""
    title = words.say("growth_title")
    if not any(read_count(row, "active") or read_count(row, "new") for row in growth.values()):
        return Section("growth", title, empty=words.say("growth_empty"))

    def read(day: date, name: str) -> float | None:
        return float(read_count(growth[day], name)) if day in growth else None

    active = [(words.short_day(day), read(day, "active")) for day in days]
    net = [(words.short_day(day), read(day, "net")) for day in days]
    charts = [
        svg.draw_line(
            frame(words, words.say("growth_chart"), headed=True), active, words.count
        ),
        svg.draw_columns(frame(words, words.say("net_chart"), headed=True), net, words.count),
    ]
    return Section("growth", title, charts=charts)


def tell_hours(words: Words, cells: Sequence[Sequence[float | None]]) -> Section:
    """Return the heat map of *cells*: rates by weekday, and hour."""
    title = words.say("hours_title")
    if not any(value is not None for row in cells for value in row):
        return Section("hours", title, empty=words.say("hours_empty"))
    hours = [f"{hour:02}" for hour in range(24)]
    chart = svg.draw_heat(frame(words, title), words.days, hours, cells, words.share)
    note = words.say("hours_note", least=words.count(HOUR_MESSAGES))
    return Section("hours", title, words.say("hours_intro"), [chart], notes=[note])


def tell_forecasts(words: Words, told: Sequence[tuple[str, Row]]) -> Section:
    """Return clicks as forecast and as they came, of campaigns with a kept forecast."""
    title = words.say("forecast_title")
    if not told:
        return Section("forecast", title, empty=words.say("forecast_empty"))
    rows = []
    for name, row in told:
        low, middle, high = (_count(words, row, key) for key in ("p10", "p50", "p90"))
        rows.append([name, f"{middle} ({low}–{high})", _count(words, row, "came")])
    keys = ("campaign", "forecast_range", "came")
    table = Table([words.say(key) for key in keys], rows, frozenset({1, 2}))
    return Section("forecast", title, words.say("forecast_intro"), tables=[table])


def _count(words: Words, row: Row, name: str) -> str:
    value = row.get(name)
    return words.count(round(value)) if isinstance(value, int | float) else UNKNOWN


def tell_plan(words: Words, plan: Sequence[Entry]) -> Section:
    """Return what goes out next."""
    title = words.say("plan_title")
    going = [one for one in plan if one.kind in ("message", "holiday")]
    if not going:
        return Section("plan", title, empty=words.say("plan_empty"))
    keys = ("day", "time", "what", "people")
    table = Table(
        [words.say(key) for key in keys],
        [
            [
                words.short_day(one.day),
                one.time or UNKNOWN,
                one.what,
                words.count(one.people) if one.people else UNKNOWN,
            ]
            for one in going
        ],
        frozenset({3}),
    )
    return Section("plan", title, tables=[table])


def tell_progress(words: Words, found: Progress, said: str, number: int) -> Section:
    """Return a campaign that is being sent; *said* is how long yet, *number* its place."""
    stages: list[tuple[str, float | None, str]] = [
        (words.say("done"), float(found.done), words.share(found.done / found.planned)),
        (words.say("accepted"), float(found.accepted), ""),
        (words.say("failed"), float(found.failed), ""),
    ]
    chart = svg.draw_funnel(
        frame(words, found.campaign.name, said),
        [(words.say("planned"), float(found.planned), ""), *stages],
        words.count,
    )
    keys = ("service", "per_second", "refused_count", "note")
    table = Table(
        [words.say(key) for key in keys],
        [
            [
                one.host,
                words.count(round(one.per_second, 1)),
                words.count(one.refused),
                one.note,
            ]
            for one in found.services
        ],
        frozenset({1, 2}),
    )
    return Section(
        f"under-way-{number}",
        words.say("under_way", campaign=found.campaign.name),
        said,
        [chart],
        [table] if found.services else [],
    )
