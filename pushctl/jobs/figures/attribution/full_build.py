"""
Finds the messages of all orders at once, on columns of numbers (numpy).

It is the rule of ``rules/figures/revenue/attribution.py`` for millions of reports: they are
read once, in the order of their rows, and sorted together with the orders. Whoever is behind an
order is then behind the last touch before it.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pushctl.model import Millis
from pushctl.rules.figures.revenue.attribution import Basis, Choice, Kind, Touch
from pushctl.store import Store
from pushctl.store.attributions import Code, Kept, Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pushctl.jobs.figures.columns.people import People
    from pushctl.jobs.figures.columns.row_places import Folding

    Numbers = NDArray[np.int64]

_BITS = 17  # of the numbers of reports that are read at once

Advance = Callable[[int], object]


def do_nothing(count: int) -> None:
    """Tell nobody how far it is."""


class _Touches(NamedTuple):
    """Columns of equal length, in no order."""

    person: "Numbers"
    at: "Numbers"
    delivery: "Numbers"


class _Wanted(NamedTuple):
    """The sources whose person is known: columns, and of each person the times that matter."""

    source: "Numbers"  # the place in the list of all
    person: "Numbers"
    at: "Numbers"
    first: "Numbers"  # by person; of others, and of 0, later than last
    last: "Numbers"


def compute_all(
    store: Store,
    sources: Sequence[Source],
    codes: Iterable[Code],
    window: Millis,
    advance: Advance = do_nothing,
) -> list[Kept]:
    """
    Return the messages of *sources*, all of a goal; *codes* are those that orders redeemed.

    *advance* is told how many reports more were read.
    """
    if not sources:
        return []
    from pushctl.jobs.figures.columns.people import load_people

    people = load_people(store, ("person",))
    redeemed: dict[int, list[Code]] = defaultdict(list)
    for code in codes:
        redeemed[code.order].append(code)
    wanted = _find_persons(sources, redeemed, people, window)
    clicks, shown = _read_touches(store, people, wanted, advance)
    clicked, seen = (_find_last(touches, wanted, window) for touches in (clicks, shown))
    chosen = []
    whose = people.folding.unfold(wanted.person)
    places = (
        column.tolist() for column in (wanted.source, wanted.person, whose, clicked, seen)
    )
    for place, person, number, click, show in zip(*places, strict=True):
        one = sources[place]
        choice = None
        if click >= 0:
            choice = _choose(clicks, click, Kind.DIRECT, Basis.CLICK)
        elif one.id in redeemed:
            choice = _choose_code(one, redeemed[one.id], person, people)
        if choice is None and show >= 0:
            choice = _choose(shown, show, Kind.INFLUENCED, Basis.SHOWN)
        if choice is not None:
            chosen.append((one.id, number, choice))
    return name_campaigns(store, chosen)


def find_owner(order: Source, codes: Iterable[Code]) -> int | None:
    """Return whose an order without a buyer is: who had the code that it redeems last."""
    earlier = [one for one in codes if one.at <= order.at]
    last = max(earlier, key=lambda one: (one.at, one.delivery), default=None)
    return last and last.subscription


def name_campaigns(store: Store, chosen: Sequence[tuple[int, int, Choice]]) -> list[Kept]:
    """Return what is kept of *chosen*: source, person, and the message."""
    campaigns = store.attributions.find_campaigns({one.delivery for _, _, one in chosen})
    return [
        Kept(source, one.delivery, campaigns[one.delivery], person, one.kind.value,
             one.basis.value, one.touched_at)
        for source, person, one in chosen
    ]  # fmt: skip


def _find_persons(
    sources: Sequence[Source], redeemed: Mapping[int, Collection[Code]], people: "People",
    window: Millis,
) -> _Wanted:  # fmt: skip
    import numpy as np

    owners = np.array(
        [one.subscription or find_owner(one, redeemed.get(one.id, ())) or 0 for one in sources],
        np.int64,
    )
    owners = people.person[people.folding.fold(owners)].astype(np.int64)
    place = np.flatnonzero(owners)
    person = owners[place]
    at = np.array([one.at for one in sources], np.int64)[place]
    first = np.full(people.folding.size, np.iinfo(np.int64).max)
    last = np.full(people.folding.size, np.iinfo(np.int64).min)
    np.minimum.at(first, person, at - window)
    np.maximum.at(last, person, at)
    return _Wanted(place, person, at, first, last)


def _read_touches(
    store: Store, people: "People", wanted: _Wanted, advance: Advance
) -> tuple[_Touches, _Touches]:
    """Return the clicks, and what else tells that a message was seen, of who is wanted."""
    import numpy as np

    from pushctl.jobs.figures.columns.row_places import load_folding

    messages = load_folding(store, "deliveries")
    receivers = _read_receivers(store, messages, people)
    none = np.empty((3, 0), np.int64)
    clicks, shown = [none], [none]
    for start, end in _list_pages(store):
        message, at = map(_parse, store.attributions.read_reports(start, end))
        person = receivers[messages.fold(message >> 1)]
        near = (at >= wanted.first[person]) & (at <= wanted.last[person])
        found = np.stack([person, at, message])[:, near]
        is_click = found[2] & 1 == 1
        found[2] >>= 1
        clicks.append(found[:, is_click])
        shown.append(found[:, ~is_click])
        advance(end + 1 - start)
    return _Touches(*np.hstack(clicks)), _Touches(*np.hstack(shown))


def count_reports(store: Store) -> int:
    """Return how many numbers of reports ``compute_all`` tells that it has read."""
    return sum(end + 1 - start for start, end in _list_pages(store))


def _list_pages(store: Store) -> list[tuple[int, int]]:
    """Return the first and the last number of reports of each page that has some."""
    last, *_ = store.attributions.find_last()
    return [
        (max(page << _BITS, 1), min((page + 1 << _BITS) - 1, last))
        for page in store.kept_pages.list_pages("interactions", _BITS)
    ]


def _read_receivers(store: Store, folding: "Folding", people: "People") -> "NDArray[np.int32]":
    """Return the person of each message by its place; 0: nobody's, or a test."""
    import numpy as np

    receivers = np.zeros(folding.size, np.int32)
    for messages, subscriptions in store.attributions.read_receivers():
        whose = people.folding.fold(_parse(subscriptions))
        receivers[folding.fold(_parse(messages))] = people.person[whose]
    receivers[0] = 0
    return receivers


def _parse(numbers: str) -> "Numbers":
    import numpy as np

    return np.fromstring(numbers, np.int64, sep=",")


def _find_last(touches: _Touches, wanted: _Wanted, window: Millis) -> "Numbers":
    """
    Return for each source the place of the last touch of its person in the window, else -1.

    Of two at one time it is the message with the higher number.
    """
    import numpy as np

    count = len(touches.person)
    person = np.concatenate([touches.person, wanted.person])
    at = np.concatenate([touches.at, wanted.at])
    # A source stands behind the touches of its own moment.
    rank = np.full(len(at), np.iinfo(np.int64).max)
    rank[:count] = touches.delivery
    order = np.lexsort((rank, at, person))
    is_touch = order < count
    last = np.maximum.accumulate(np.where(is_touch, np.arange(len(order)), -1))[~is_touch]
    source = order[~is_touch]
    touch = order[last]  # -1 is some source: not of this person, or not earlier
    near = (last >= 0) & (person[touch] == person[source]) & (at[touch] >= at[source] - window)
    found = np.full(len(wanted.person), -1, np.int64)
    found[source[near] - count] = touch[near]
    return found


def _choose(touches: _Touches, place: int, kind: Kind, basis: Basis) -> Choice:
    return Choice(int(touches.delivery[place]), kind, basis, int(touches.at[place]))


def _choose_code(
    order: Source, codes: Iterable[Code], person: int, people: "People"
) -> Choice | None:
    """Return the message of *person* whose code the order redeems; of several the last."""
    import numpy as np

    earlier = [code for code in codes if code.at <= order.at]
    owners = people.folding.fold(np.array([code.subscription for code in earlier], np.int64))
    own = [
        Touch(code.at, code.delivery)
        for code, owner in zip(earlier, people.person[owners].tolist(), strict=True)
        if owner == person
    ]
    if not own:
        return None
    last = max(own)
    return Choice(last.delivery, Kind.DIRECT, Basis.CODE, last.at)
