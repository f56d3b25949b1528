"""
What becomes of baskets: abandoned, reminded, returned, bought.

A basket lasts from the first time that something is put into it until it is bought or emptied.
It is abandoned once nobody has touched it for half an hour, or once its person was reminded of
it, if that is sooner. From then on there is a day to come back and to buy; what is bought later
is another basket.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from pushctl.model import Millis
from pushctl.rules.units import DAY, MINUTE

IDLE: Millis = 30 * MINUTE  # as an order that is not paid within it has failed
WINDOW: Millis = DAY  # to come back and to buy; case B counts its returns so


class Kind(IntEnum):
    """What happened to a basket's person; of two at one moment the higher one comes last."""

    TOUCHED = 0  # the basket was changed, or payment was reached
    REMINDED = 1
    VISITED = 2  # a click on a reminder, or any event of a page
    EMPTIED = 3
    BOUGHT = 4


@dataclass(slots=True)
class Basket:
    """
    One basket of a person.

    *abandoned_at* is None while it is not abandoned. *ended_at* is when it was bought or
    emptied, or its day to come back was over; None while it is open.
    """

    began_at: Millis
    touched_at: Millis
    abandoned_at: Millis | None = None
    reminded: bool = False
    returned: bool = False
    bought: bool = False
    ended_at: Millis | None = None

    def take(self, at: Millis, kind: Kind) -> None:
        """Note what happened *at* a moment before its end."""
        if kind is Kind.REMINDED:
            self.reminded = True
            if self.abandoned_at is None:
                self.abandoned_at = at
            return
        if self.abandoned_at is not None and at > self.abandoned_at:
            self.returned = True
        if kind is Kind.TOUCHED:
            self.touched_at = at
        if kind in (Kind.EMPTIED, Kind.BOUGHT):
            self.bought, self.ended_at = kind is Kind.BOUGHT, at
            # Nobody buys without being there, not even in the moment of the reminder.
            self.returned |= self.bought and self.abandoned_at is not None

    def wait(self, now: Millis, window: Millis) -> None:
        """Let the time until *now* pass, in which nothing happened."""
        if self.abandoned_at is None and now - self.touched_at > IDLE:
            self.abandoned_at = self.touched_at + IDLE
        if self.abandoned_at is not None and now > self.abandoned_at + window:
            self.ended_at = self.abandoned_at + window


def follow(
    moments: Iterable[tuple[Millis, Kind]], now: Millis, window: Millis = WINDOW
) -> list[Basket]:
    """
    Return the baskets of one person, by what happened to them until *now*.

    *moments* are in order. What was bought without a basket is none.
    """
    found: list[Basket] = []
    current: Basket | None = None
    for at, kind in moments:
        if current is not None:
            current.wait(at, window)
            if current.ended_at is not None:
                current = None
        if current is None and kind is Kind.TOUCHED:
            current = Basket(at, at)
            found.append(current)
        elif current is not None:
            current.take(at, kind)
            if current.ended_at is not None:
                current = None
    if current is not None:
        current.wait(now, window)
    return found


@dataclass(slots=True)
class Funnel:
    """
    Counts of baskets: *bought* are those that were never abandoned, *recovered* the others.

    Each is of persons where it counts: see ``count``.
    """

    bought: int = 0
    abandoned: int = 0
    reminded: int = 0
    returned: int = 0
    recovered: int = 0
    emptied: int = 0  # before they were abandoned: neither bought nor left behind
    open: int = 0
    fresh: int = 0  # abandoned, and their day to come back is not over

    @property
    def finished(self) -> int:
        return self.abandoned + self.bought


def count(baskets: Sequence[Basket]) -> Funnel:
    """Count *baskets* by what became of them."""
    funnel = Funnel()
    for one in baskets:
        if one.abandoned_at is not None:
            funnel.abandoned += 1
            funnel.reminded += one.reminded
            funnel.returned += one.returned
            funnel.recovered += one.bought
            funnel.fresh += one.ended_at is None
        elif one.bought:
            funnel.bought += 1
        elif one.ended_at is not None:
            funnel.emptied += 1
        else:
            funnel.open += 1
    return funnel
