"""Holds kept figures to a slow recount of the rows, by code that shares nothing with them."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pushctl.config import Config
from pushctl.jobs.figures.columns import campaign_counts
from pushctl.jobs.figures.columns.campaign_counts import Progress, no_progress
from pushctl.jobs.figures.columns.status_counts import NAMES, Counts
from pushctl.model import DeliveryStatus, Json
from pushctl.store import Store

if TYPE_CHECKING:
    from pushctl.jobs.figures.recount import beside

# Columns that are compared value by value, as ``store.recounts.count_rows`` has them.
_COLUMNS = ("status", "language", "variant", "reason", "sent", "chance")
_FLAGS = ("shown", "clicked", "clicks", "bought", "unreported")

_MANY = 200_000  # messages: what fewer cost is no more than the start of a process

Value = str | int | None


class Difference(NamedTuple):
    campaign: str  # or what is kept else: a source of pages, an answer
    figure: str  # "clicked", "language en"
    kept: Json
    counted: Json

    def __str__(self) -> str:
        kept, counted = _say(self.kept), _say(self.counted)
        return f"{self.campaign}: {self.figure}: {kept} kept, {counted} counted"


def _say(value: Json) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "nothing" if value is None else str(value)


# The campaigns whose columns differ, with how, and the pages that do.
_Wrong = tuple[list[tuple[int, list[Difference]]], list[Difference]]


def check(
    store: Store, config: Config, progress: Progress = no_progress
) -> tuple[int, list[Difference]]:
    """
    Return how many campaigns were compared, and every difference.

    What is not kept is built first. The columns of campaigns that differ are deleted: they are
    built anew when they are next asked for. So are pages of rows, if one of them differs, and
    answers, which are counted from raw rows once more. Of answers nothing is said where
    something else is wrong.
    """
    store.shrink_caches()  # each row is read once
    counts = campaign_counts.load_counts(store, progress=progress)
    numbers = list(counts)
    work = partial(_check_rows, numbers)
    if sum(one["planned"] for one in counts.values()) < _MANY:
        told = _check_answers(store, config, progress)
        with progress(len(numbers)) as advance:
            wrong, stale = work(store, advance)
    else:
        told, (wrong, stale) = _check_side_by_side(store, config, progress, work, len(numbers))
    if wrong:
        store.kept_columns.drop([number for number, _ in wrong])
    if stale:
        store.kept_pages.drop()
    elif told and not wrong:
        store.kept_pages.drop("answers")
    return len(numbers), [*(each for _, own in wrong for each in own), *stale] or told


def _check_side_by_side(
    store: Store, config: Config, progress: Progress, work: "beside.Work[_Wrong]", steps: int
) -> tuple[list[Difference], _Wrong]:
    """
    Do *work*, most of which is SQL's, while answers are counted, most of which is Python's.

    Each is held to rows of one moment. What changes meanwhile is kept no more: neither of
    them says anything of it.
    """
    from pushctl.jobs.figures.recount import beside

    with beside.start(store.path, work, steps) as other:
        told = _check_answers(store, config, progress)
        return told, other.wait(progress)


def _check_rows(
    numbers: Sequence[int], store: Store, advance: Callable[[int], object]
) -> _Wrong:
    """Hold the columns of campaigns and all pages to their rows; only read."""
    from pushctl.jobs.figures.columns import pages

    store.shrink_caches()
    names = {number: name for number, name, *_ in store.reports.list_campaigns(numbers)}
    wrong = []
    for number in numbers:
        if own := [Difference(names[number], *each) for each in _compare(store, number)]:
            wrong.append((number, own))
        advance(1)
    return wrong, [Difference(*each) for each in pages.check(store)]


def _check_answers(store: Store, config: Config, progress: Progress) -> list[Difference]:
    """Count every kept answer that holds now once more."""
    from pushctl.jobs.figures.recount import compare

    return [Difference(*each) for each in compare.check(store, config, progress)]


def _compare(store: Store, campaign: int) -> Iterator[tuple[str, int, int]]:
    """Yield (figure, kept, counted) where they differ; nothing where nothing is kept."""
    from pushctl.jobs.figures.columns import message_cache

    with store.snapshot():
        columns, counts = message_cache.read(store, campaign)
        if counts is None or set(columns) != set(message_cache.COLUMNS):
            return  # changed since it was built
        reports = store.recounts.count_reports(campaign)
        rows, receivers = _count_rows(store, campaign), store.recounts.sum_receivers(campaign)
    by_value = {each: columns[each].count_values() for each in _COLUMNS}
    by_value["sent"][None] = by_value["sent"].pop(-1, 0)
    codes = by_value["status"].items()
    by_value["status"] = Counter(
        {str(message_cache.STATUSES[int(it or 0)]): n for it, n in codes}
    )
    for name in _COLUMNS:
        yield from _compare_values(name, by_value[name], rows[name])
    for what, kept, counted in zip(
        _RECEIVERS, message_cache.sum_receivers(columns), receivers, strict=True
    ):
        if kept != counted:
            yield what, kept, counted
    yield from _compare_counts(counts, rows["status"], reports)
    flags = {**message_cache.count_flags(columns), "untimely": 0}
    for name in (*_FLAGS, "untimely"):
        if flags[name] != reports[name]:
            yield _SAID.get(name, f"column of {name}"), flags[name], reports[name]


_SAID = {"untimely": "messages with another time than their reports"}


_RECEIVERS = ("messages of somebody who is not erased", "the sum of who got which message")


def _count_rows(store: Store, campaign: int) -> dict[str, Counter[Value]]:
    """Return how many messages of *campaign* have each value of each column."""
    found: dict[str, Counter[Value]] = {name: Counter() for name in _COLUMNS}
    for *values, size in store.recounts.count_rows(campaign):
        for name, value in zip(_COLUMNS, values, strict=True):
            found[name][repr(value) if isinstance(value, float) else value] += int(size or 0)
    return found


def _compare_values(
    name: str, kept: Counter[Value], counted: Counter[Value]
) -> Iterator[tuple[str, int, int]]:
    differing = [key for key in kept | counted if kept[key] != counted[key]]
    for key in sorted(differing, key=str):
        what = "none" if key is None else key
        yield f"{name} {what}", kept[key], counted[key]


def _compare_counts(
    counts: Counts, statuses: Counter[Value], reports: Counts
) -> Iterator[tuple[str, int, int]]:
    by_status = Counter({str(key): size for key, size in statuses.items()})
    waiting = by_status[DeliveryStatus.PLANNED] + by_status[DeliveryStatus.SENDING]
    recounted = {
        **{str(each): by_status[each] for each in DeliveryStatus},
        **{each: reports[each] for each in _FLAGS},
        "planned": by_status.total(),
        "waiting": waiting,
        "reported": by_status[DeliveryStatus.ACCEPTED] - reports["unreported"],
    }
    for name in NAMES:
        if counts[name] != recounted[name]:
            yield name, counts[name], recounted[name]


def list_lines(found: Sequence[Difference], most: int = 50) -> list[str]:
    """Return a line for each difference, and how many more there are."""
    lines = [str(each) for each in found[:most]]
    more = len(found) - most
    return [*lines, f"and {more:,} more"] if more > 0 else lines
