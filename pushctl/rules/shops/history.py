"""
All that was told of one order, and what it comes to: state, time, total, refunds.

Shops tell late, twice and out of order. So nothing here depends on the sequence: each part
is the first or last time, the greatest sum, or the newest word by the shop's own time.
"""

from decimal import ROUND_HALF_UP
from typing import Any, NamedTuple

import orjson

from pushctl.model import Json, Millis
from pushctl.rules import money
from pushctl.rules.money import Money
from pushctl.rules.shops.order import State
from pushctl.rules.shops.told import ToldOrder
from pushctl.rules.units import MINUTE

# So long a payment may be on its way before it counts as failed.
PAYMENT_TAKES: Millis = 30 * MINUTE


class History(NamedTuple):
    placed: Millis | None = None  # first time that it was pending
    paid: Millis | None = None  # first time
    paid_last: Millis | None = None
    cancelled: Millis | None = None  # last time
    refunded_at: Millis | None = None  # first time that it was refunded, perhaps in part
    whole: bool = False  # it was called refunded, and no amount was named
    total: Money | None = None
    total_at: Millis | None = None
    refunded: Money | None = None  # the greatest sum of refunds that was told
    refunds: tuple[Money, ...] = ()  # sums of refunds told one by one, by currency
    lines_at: Millis | None = None

    def add(self, told: ToldOrder) -> "History":
        """Return the history with one update more; one delivery is to be added once."""
        at = told.at
        known = self
        match told.state:
            case State.PENDING:
                known = known._replace(placed=_first(self.placed, at))
            case State.CANCELLED:
                known = known._replace(cancelled=_last(self.cancelled, at))
            case State.PAID:
                known = known._replace(
                    paid=_first(self.paid, at), paid_last=_last(self.paid_last, at)
                )
            case State.REFUNDED:
                whole = told.refunded is None and told.refund is None
                known = known._replace(
                    refunded_at=_first(self.refunded_at, at), whole=self.whole or whole
                )
        return known._add_amounts(told)

    def _add_amounts(self, told: ToldOrder) -> "History":
        known = self
        if told.total is not None and _rank(told.at, told.total) > _rank(
            self.total_at, self.total
        ):
            known = known._replace(total=told.total, total_at=told.at)
        if told.refunded is not None:
            greatest = max(told.refunded, self.refunded or told.refunded, key=_weigh)
            known = known._replace(refunded=greatest)
        if told.refund is not None:
            known = known._replace(refunds=tuple(money.sum_up([*self.refunds, told.refund])))
        if told.lines:
            known = known._replace(lines_at=_last(self.lines_at, told.at))
        return known

    @property
    def state(self) -> State:
        bought = self._last_bought
        if bought is None:
            return State.PENDING if self.cancelled is None else State.CANCELLED
        if self._is_refunded:
            return State.REFUNDED
        # An order may be paid after its cancellation, and cancelled after its payment.
        return State.PAID if (self.cancelled or 0) <= bought else State.CANCELLED

    @property
    def is_bought(self) -> bool:
        """Whether it was ever paid: a reminder of it would be wrong."""
        return self._last_bought is not None

    @property
    def at(self) -> Millis:
        """The time of the payment, else of the state."""
        if self.state is State.CANCELLED:
            return max(self.cancelled or 0, self.placed or 0)
        times = (self.paid, self.refunded_at, self.placed)
        return next((one for one in times if one is not None), 0)

    @property
    def refunded_minor(self) -> int | None:
        """All refunds in units of the total, at most the total; None where unknown."""
        if self.total is None:
            return None
        if self.state is State.REFUNDED:
            return self.total.minor
        given = self._given_back
        return 0 if given is None else min(_count_minor(given, self.total), self.total.minor)

    @property
    def _last_bought(self) -> Millis | None:
        times = [one for one in (self.paid_last, self.refunded_at) if one is not None]
        return max(times, default=None)

    @property
    def _is_refunded(self) -> bool:
        if self.whole:
            return True
        given, total = self._given_back, self.total
        if total is None or given is None:
            return self.refunded_at is not None
        return 0 < given.exact >= total.exact

    @property
    def _given_back(self) -> Money | None:
        """The refunds in the total's currency; None where there is none."""
        told = [*self.refunds, *([self.refunded] if self.refunded else [])]
        mine = (one for one in told if self.total and one.currency == self.total.currency)
        return max(mine, key=_weigh, default=None)


def write(history: History) -> str:
    """Return *history* as JSON, without what is unknown."""
    values = {key: one for key, one in history._asdict().items() if one}
    return orjson.dumps(values, default=list).decode()


def read(text: str) -> History:
    values: dict[str, Any] = orjson.loads(text)
    for key in ("total", "refunded"):
        if key in values:
            values[key] = Money(*values[key])
    values["refunds"] = tuple(Money(*one) for one in values.get("refunds", ()))
    return History(**values)


def _first(known: Millis | None, at: Millis) -> Millis:
    return at if known is None else min(known, at)


def _last(known: Millis | None, at: Millis) -> Millis:
    return at if known is None else max(known, at)


def _weigh(amount: Money) -> tuple[str, Json]:
    return amount.currency or "", amount.exact


def _rank(at: Millis | None, amount: Money | None) -> tuple[Json, ...]:
    """Return by what one total goes before another: the newer, of two the greater."""
    return (-1,) if at is None or amount is None else (at, *_weigh(amount), amount.exponent)


def _count_minor(amount: Money, unit: Money) -> int:
    return int(amount.exact.scaleb(unit.exponent).to_integral_value(ROUND_HALF_UP))
