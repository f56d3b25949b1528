"""
The rows behind a figure of any table: which they are, as a statement on the views.

``store/rows_of_*.py`` say what each figure counts. This module finds the table's rows, and
says of a figure that counts none where its rows are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pushctl.config import Config
from pushctl.errors import NotFoundError, UsageError
from pushctl.jobs.figures.filters import Filter
from pushctl.model import Json
from pushctl.rules.figures.figure import Figure, Rate, Table, Unit
from pushctl.store import Store
from pushctl.store import rows_of_losses as losses
from pushctl.store import rows_of_messages as messages
from pushctl.store import rows_of_people as people
from pushctl.store.rows_behind import Rows, Scope

UNKNOWN = "-"
# What no view shows: attributes, and what pushctl.toml or a text makes of people.
_UNSEEN = ("device", "landing", "segment", "form", "length")


@dataclass(frozen=True, slots=True)
class World:
    """A table that somebody asks about: its filter, its --by, and what else it was given."""

    store: Store
    config: Config
    asked: Filter
    by: str | None = None
    more: Mapping[str, Json] = field(default_factory=dict)

    @property
    def scope(self) -> Scope:
        asked, zones = self.asked, self.config.sites
        return Scope(
            asked.site, asked.since, asked.until, asked.topic, asked.last, str(asked.zone),
            {name: site.timezone for name, site in zones.items()}, asked.now,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Behind:
    """The rows of *figure*: of all rows of the table, or of one; *values* are the latter's."""

    figure: str
    rows: Rows
    is_one: bool

    def count(self) -> str:
        """Return the statement that gives the figure, of each row of the table."""
        return self.rows.count(self.figure, by_group=not self.is_one)

    def show(self) -> str:
        """Return the statement that gives the rows themselves."""
        return self.rows.show()


def find(world: World, table: Table, figure: str, of: str | None = None) -> Behind:
    """
    Return the rows of *figure* of *table*; *of* names one row of it, "-" the unknown one.

    Where a table has two dimensions *of* has both, as "campaign=a". Raises NotFoundError for
    a figure that the table lacks, UsageError for one that counts no rows.
    """
    by, values = _read_row(table, of, world.by)
    if by in _UNSEEN or world.by in _UNSEEN:
        raise UsageError(
            f"No view shows by {by if by in _UNSEEN else world.by}: it is made of attributes "
            "or texts, which are in none. Ask for the rows by another kind, such as --by site "
            "or --by browser."
        )
    known = _FINDERS[table.command](world, by)
    if figure not in known:
        raise _explain(table, figure, list(known))
    rows = known[figure]
    if values is not None:
        rows = rows.choose(dict(zip(rows.groups, values, strict=True)))
    return Behind(figure, rows, values is not None)


def _read_row(
    table: Table, of: str | None, by: str | None
) -> tuple[str | None, list[str | None] | None]:
    """Return what the row is of (language, button), and the values of its dimensions."""
    if of is None:
        return None, None
    dimensions, parts = _list_dimensions(table), [of]
    if dimensions[0] == "by" and by is not None:
        parts = [by, of]
    elif len(dimensions) > 1:
        first, equals, second = of.rpartition("=")
        if not equals:
            raise UsageError(f"--of {of!r} names no row. Write it as {_show_form(table)}.")
        parts = [first, second]
    values = [None if part == UNKNOWN else part for part in parts]
    if dimensions[0] == "by":
        return parts[0], values[1:]
    return None, values


def _list_dimensions(table: Table) -> list[str]:
    """Return the names of what tells the rows of *table* apart."""
    if table.command in ("stats campaigns --by", "stats times"):
        return ["value"]
    return [
        each.name for each in table.dimensions
        if each.unit is Unit.TEXT and each.name != "topic"
    ]  # fmt: skip


def _show_form(table: Table) -> str:
    return "=".join(name.upper() for name in _list_dimensions(table))


def _explain(table: Table, figure: str, known: list[str]) -> UsageError | NotFoundError:
    """Return what to raise for a *figure* that counts no rows: where its rows are."""
    declared = {each.name: each for each in table.figures}
    remedy = f"Figures that count rows: {', '.join(known)}."
    found = declared.get(figure)
    if found is None:
        return NotFoundError(f"no figure of this table is called {figure!r}. {remedy}")
    if isinstance(found, Rate):
        parts = [part.name for part in (found.numerator, found.denominator)]
        named = [f"--rows {name}" for name in parts if name in known]
        if named:
            return UsageError(
                f"{figure} is a rate, {_say_rate(found)}: it has no rows of its own. "
                f"Ask for {' or '.join(named)}."
            )
    if found.unit is Unit.MONEY:
        orders = "influenced" if figure.startswith("influenced") else "orders"
        if orders in known:
            return UsageError(
                f"{figure} is an amount of money, made of orders. Ask for --rows {orders}."
            )
    return UsageError(f"{figure} counts no rows ({found.meaning or found.title}). {remedy}")


def _say_rate(rate: Rate) -> str:
    return f"{_say_part(rate.numerator)} / {_say_part(rate.denominator)}"


def _say_part(figure: Figure) -> str:
    return figure.heading if figure.heading.startswith("(") else figure.name


def _count_campaigns(world: World, _: str | None) -> dict[str, Rows]:
    found = _count_messages(world, "name", "campaign")
    del found["campaigns"]
    return found


def _count_groups(world: World, _: str | None) -> dict[str, Rows]:
    return _count_messages(world, "value", world.by or "hour")


def _count_sites(world: World, _: str | None) -> dict[str, Rows]:
    active = people.count_active(world.scope)
    return {**_count_messages(world, "site", "site"), "subscribers": active}


def _count_messages(world: World, name: str, by: str) -> dict[str, Rows]:
    scope = world.scope
    return messages.count_messages(scope, {name: messages.group(scope, by)})


def _count_latest(world: World, _: str | None) -> dict[str, Rows]:
    found = messages.count_latest(world.asked.last, world.asked.since)
    return {name: rows for name, rows in found.items() if name in _OF_STATS}


_OF_STATS = (
    "planned", "accepted", "gone", "unreported", "reported", "bought", "shown", "clicked",
    "clicks",
)  # fmt: skip


def _count_details(world: World, by: str | None) -> dict[str, Rows]:
    name = str(world.more["campaign"])
    found = messages.count_details(world.scope, name, by or "campaign")
    found.pop("campaigns", None)
    return found


def _count_steps(world: World, _: str | None) -> dict[str, Rows]:
    groups = {"trigger": "d.trigger"}
    if world.by == "step":
        groups["step"] = "substr(d.campaign, length(d.trigger) + 2)"
        return messages.count_steps(world.scope, groups)
    found = messages.count_steps(world.scope, groups)
    found.pop("reported")
    return {**found, **people.count_entries(world.scope, *_load_watched(world))}


def _load_watched(world: World) -> tuple[dict[str, people.Watched], people.Group | None]:
    from pushctl.jobs.figures.tables.triggers import find_window

    watched = {
        name: people.Watched(one.goal.event, find_window(one), one.holdout or None)
        for name, one in world.config.triggers.items()
        if one.goal is not None
    }
    holdout = world.config.contact_policy.holdout
    return watched, None if holdout is None else people.Group(holdout.name, holdout.share)


def _count_holdout(world: World, _: str | None) -> dict[str, Rows]:
    from pushctl.jobs.figures.tables.holdout import find_begin

    holdout = world.config.contact_policy.holdout
    begin = None if holdout is None else find_begin(world.store, holdout)
    if holdout is None or begin is None:
        raise UsageError("Nobody is held out yet, so there are no rows; see docs/figures.md.")
    return people.count_holdout(
        world.scope, people.Group(holdout.name, holdout.share, begin.at)
    )


def _count_growth(world: World, _: str | None) -> dict[str, Rows]:
    return people.count_growth(world.scope, _list_periods(world))


def _count_sizes(world: World, _: str | None) -> dict[str, Rows]:
    return people.count_sizes(_list_periods(world))


def _list_periods(world: World) -> list[people.Period]:
    from pushctl.jobs.figures.tables.subscribers import list_starts

    count, every = world.more["count"], str(world.more["every"])
    assert isinstance(count, int)
    starts = list_starts(world.asked.now, world.asked.zone, every, count)
    ends = [None, *(at for at, _ in starts[:-1])]
    return [people.Period(name, at, end) for (at, name), end in zip(starts, ends, strict=True)]


def _count_split(world: World, _: str | None) -> dict[str, Rows]:
    _check_city(world)
    return people.count_split(world.scope, world.by or "country")


def _count_cohorts(world: World, _: str | None) -> dict[str, Rows]:
    _check_city(world)
    return people.count_cohorts(world.scope, world.by or "month")


def _check_city(world: World) -> None:
    if world.by == "city":
        raise UsageError(
            "A city names a person, so no rows are shown by it. Ask for them by country, or "
            'yourself, which is logged: pushctl sql --people "SELECT city, * FROM people"'
        )


def _count_reach(world: World, _: str | None) -> dict[str, Rows]:
    return messages.count_reach(world.scope)


def _count_arms(world: World, _: str | None) -> dict[str, Rows]:
    return messages.count_arms(world.scope)


def _count_codes(world: World, _: str | None) -> dict[str, Rows]:
    return people.count_codes(world.scope)


def _count_prompts(world: World, _: str | None) -> dict[str, Rows]:
    from pushctl.rules.units import DAY

    since = world.asked.since
    begun = None if since is None else since // DAY * DAY
    visits = bool(world.more.get("visits"))
    return people.count_prompts(world.scope, world.by or "variant", since=begun, visits=visits)


def _count_leaving(world: World, by: str | None) -> dict[str, Rows]:
    from pushctl.rules.figures.tables.leaving import WINDOW_DAYS

    kind = by or world.by
    if kind is None:
        raise UsageError(
            "Say of which kind the rows are: --by message, frequency, hour, language, "
            "browser, country, os, site, campaign, topic or variant."
        )
    return losses.count_leaving(world.scope, kind, WINDOW_DAYS)


def _count_penalties(world: World, _: str | None) -> dict[str, Rows]:
    from pushctl.rules.figures.tables.leaving import MANY, UNSHOWN

    return losses.count_penalties(world.scope, many=MANY, unshown=UNSHOWN)


def _count_baskets(world: World, _: str | None) -> dict[str, Rows]:
    raise UsageError(
        "A basket is no row: it is followed through what its person did, and what lies in it "
        "stands in the properties of events, which no view has. See what people did: "
        'pushctl sql "SELECT * FROM events ORDER BY subscriber_id, at"'
    )


def _count_plan(_: World, __: str | None) -> dict[str, Rows]:
    raise UsageError(
        "A plan is an estimate of times to come: it has no rows. Those of the group that is "
        "held out now: pushctl stats holdout --rows people"
    )


# By the command of the table.
_FINDERS: dict[str, Callable[[World, str | None], dict[str, Rows]]] = {
    "stats": _count_latest,
    "stats campaigns": _count_campaigns,
    "stats campaigns --by": _count_groups,
    "stats times": _count_groups,
    "stats sites": _count_sites,
    "stats campaign": _count_details,
    "stats ab": _count_arms,
    "stats promo": _count_codes,
    "stats triggers": _count_steps,
    "stats triggers --by step": _count_steps,
    "stats holdout": _count_holdout,
    "stats holdout --plan": _count_plan,
    "stats basket": _count_baskets,
    "stats subscribers": _count_growth,
    "stats subscribers --by": _count_split,
    "stats subscribers --show reach": _count_reach,
    "stats subscribers --show cohorts": _count_cohorts,
    "stats segments": _count_sizes,
    "stats prompts": _count_prompts,
    "stats optin": _count_prompts,
    "stats leaving": _count_leaving,
    "stats leaving --penalties": _count_penalties,
}
