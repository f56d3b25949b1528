"""What orders are worth that there would not have been without messages."""

import numpy as np

from pushctl.jobs.figures.effects.assigned_people import Flags, Numbers
from pushctl.jobs.figures.effects.purchases import Purchases
from pushctl.rules.figures.experiments import holdout as rule
from pushctl.rules.figures.figure import Value
from pushctl.rules.figures.revenue import per_person
from pushctl.rules.figures.tables.holdout import write_bounds
from pushctl.rules.money import Money


def compare_revenue(bought: Purchases, who: Numbers, held: Flags) -> dict[str, Value]:
    """
    Return the columns of ``more_revenue``: an amount for each currency, bounds of the first.

    *held* has everybody of both groups, *who* the place there of each purchase's buyer. A
    currency with too few buyers in the smaller group is left out (``revenue.compare_revenue``).
    """
    people = int((~held).sum()), int(held.sum())
    known = np.bincount(bought.kind[bought.kind >= 0], minlength=len(bought.kinds))
    amounts: list[Money] = []
    bounds: dict[str, Value] = {}
    for code in np.argsort(-known, kind="stable").tolist():
        exponent, currency = bought.kinds[code]
        own = bought.kind == code
        worth = np.bincount(who[own], bought.minor[own], len(held)) / 10**exponent
        others, control = (worth[part & (worth > 0)].tolist() for part in (~held, held))
        more = per_person.compare_revenue(control, people[1], others, people[0])
        if more is None or more.value is None:
            continue
        total = rule.extend(more, people[0] * 10**exponent)
        amounts.append(Money(round(total.value or 0), exponent, currency))
        bounds = bounds or write_bounds("more_revenue", total, len(held))
    return {"more_revenue": tuple(amounts) or None, **bounds}
