"""Orders and revenue of earlier broadcasts, as a forecast needs them."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pushctl.config import Config
from pushctl.jobs.figures.attribution.credits import Credit, load_credits
from pushctl.model import Millis
from pushctl.rules import units
from pushctl.rules.figures.forecasts.forecast import FEWEST_CAMPAIGNS, Past
from pushctl.rules.figures.revenue.attribution import Kind
from pushctl.rules.wording import counted
from pushctl.store import Store

FEWEST_ORDERS = 20  # below them a forecast of orders would be made up
ROUGH_ORDERS = 60
_ALL_IN: Millis = 2 * units.DAY  # a day until the click, another until the order


@dataclass(frozen=True, slots=True)
class Orders:
    """
    What campaigns brought: *orders* of each, and *revenue* in units of an *average* order.

    *average* is in minor units of *currency*, that of most orders; None where no order has
    an amount, and *worthless* says so. *fault*: why there is no forecast of orders.
    """

    orders: Sequence[Past] = ()
    revenue: Sequence[Past] = ()
    total: int = 0
    average: float = 0.0
    currency: str | None = None
    exponent: int = 0
    left_out: int = 0  # orders in other currencies, or of unknown amount
    fault: str = ""
    worthless: str = ""

    def describe(self, source: str) -> str:
        rough = ", so it is rough" if self.total < ROUGH_ORDERS else ""
        return f"{counted(self.total, 'order')} of {source}{rough}"

    def describe_revenue(self, source: str) -> str:
        """Return what revenue is from: the orders in its currency alone."""
        if not self.left_out:
            return self.describe(source)
        mine = self.total - self.left_out
        rough = ", so it is rough" if mine < ROUGH_ORDERS else ""
        return (
            f"{counted(mine, 'order')} in {self.currency} of {source}{rough}; "
            f"{self.left_out:,} in other currencies, or without an amount, are not in it"
        )


def load_pasts(
    store: Store,
    config: Config,
    messages: Mapping[int, tuple[str, Millis, int]],
    now: Millis,
    currency: str | None = None,
) -> Orders:
    """
    Return what campaigns brought by direct attribution.

    *messages* are topic, time and number of messages by campaign. Those before the first
    order are left out: nobody knows what they brought. *currency*: that of revenue, where
    there is enough of it.
    """
    first = store.forecasts.find_first_order()
    if first is None:
        return Orders(fault="no order is known")
    chosen = {
        campaign: one
        for campaign, one in messages.items()
        if first <= one[1] <= now - _ALL_IN and one[2]
    }
    if len(chosen) < FEWEST_CAMPAIGNS:
        return Orders(fault="fewer than 3 campaigns since the first order")
    credits_ = [
        one
        for one in load_credits(store, config, campaigns=list(chosen))
        if one.kind == Kind.DIRECT
    ]
    if len(credits_) < FEWEST_ORDERS:
        fault = f"{counted(len(credits_), 'order')} of earlier campaigns, fewer than 20"
        return Orders(fault=fault)
    by_campaign: defaultdict[int, list[Credit]] = defaultdict(list)
    for one in credits_:
        by_campaign[one.campaign].append(one)
    orders = [
        Past(topic, at, len(by_campaign[campaign]), people)
        for campaign, (topic, at, people) in chosen.items()
    ]
    return _add_revenue(orders, by_campaign, chosen, credits_, currency)


def _add_revenue(
    orders: Sequence[Past],
    by_campaign: Mapping[int, Sequence[Credit]],
    chosen: Mapping[int, tuple[str, Millis, int]],
    credits_: Sequence[Credit],
    wanted: str | None,
) -> Orders:
    units_ = Counter((one.currency, one.exponent) for one in credits_ if one.minor is not None)
    if not units_:
        return Orders(orders, total=len(credits_), worthless="no order has an amount")
    enough = [unit for unit, count in units_.items() if count >= FEWEST_ORDERS]
    own = [unit for unit in enough if unit[0] == wanted]
    (currency, exponent), _ = units_.most_common(1)[0] if not own else (own[0], 0)

    def list_values(some: Sequence[Credit]) -> list[int]:
        return [
            one.minor - (one.refunded_minor or 0)
            for one in some
            if one.minor is not None and (one.currency, one.exponent) == (currency, exponent)
        ]

    values = list_values(credits_)
    average = sum(values) / len(values)
    if len(values) < FEWEST_ORDERS or average <= 0:
        return Orders(
            orders, total=len(credits_), worthless=f"fewer than 20 orders in {currency}"
        )
    # The chance of a sum exceeds that of a count by the scatter of the values.
    noise = sum(each * each for each in values) / len(values) / average**2
    revenue = [
        Past(
            topic, at, max(sum(list_values(by_campaign[campaign])) / average, 0), people, noise
        )
        for campaign, (topic, at, people) in chosen.items()
        # What brought other money alone went to a site that has no such orders.
        if list_values(by_campaign[campaign]) or not by_campaign[campaign]
    ]
    left_out = len(credits_) - len(values)
    return Orders(orders, revenue, len(credits_), average, currency, exponent or 0, left_out)
