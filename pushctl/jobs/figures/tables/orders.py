"""Orders as their commands show them; amounts are texts of exact decimals."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import orjson

from pushctl.config import Config
from pushctl.errors import NotFoundError
from pushctl.model import Json, Millis
from pushctl.rules import money, timing
from pushctl.rules.figures.revenue.attribution import Basis
from pushctl.rules.money import Money
from pushctl.rules.shops import promo_codes
from pushctl.rules.shops.order import State
from pushctl.rules.units import DAY, HOUR, MINUTE, SECOND
from pushctl.rules.wording import counted
from pushctl.store import Store

if TYPE_CHECKING:
    from pushctl.jobs.figures.attribution.credits import Credit

Shown = dict[str, Json]


def load(
    config: Config, store: Store, *, site: str | None, since: Millis, last: int | None,
    unmatched: bool = False,
) -> list[Shown]:  # fmt: skip
    """
    Return orders, newest first; raises NotFoundError for an unknown *site*.

    Besides their columns they have ``amount`` ("19.99"), ``refunded`` of it (None: nothing,
    or not known), ``items``, the number of lines, None where the source told of none, and
    ``found_by``, what named the subscriber. Of promo codes only the beginning is there.
    ``campaign`` is what has brought it about, ``credit`` whether "direct" or "influenced",
    ``because`` says by what.
    """
    _check_site(config, site)
    found = store.orders.list(site=site, since=since, last=last, unmatched=unmatched)
    return _add_credits(store, config, found)


def find(config: Config, store: Store, number: str, site: str | None) -> list[Shown]:
    """Return the orders of a number, one for each site and source; raises NotFoundError."""
    _check_site(config, site)
    found = _add_credits(store, config, store.orders.find(number, site))
    if not found:
        raise NotFoundError(f"no order has the number {number!r}. See: pushctl orders list")
    return found


def describe_sums(orders: Iterable[Mapping[str, Json]]) -> str:
    """
    Return what *orders* are worth, for each state and currency: exact sums.

    What was given back in parts is a sum of its own; test orders are only counted.
    """
    tests = 0
    kept, parts = [], []
    for order in orders:
        tests += bool(order["test"])
        kept += [] if order["test"] else [order]
    orders = kept
    for state in State:
        mine = [one for one in orders if one["state"] == state]
        sums = money.sum_up(one for order in mine if (one := _read_money(order)))
        unknown = sum(order["minor"] is None for order in mine)
        texts = [str(one) for one in sums]
        texts += [f"{counted(unknown, 'order')} of unknown amount"] if unknown else []
        parts += [f"{state.value.capitalize()}: {', '.join(texts)}."] if texts else []
        if state is State.PAID:
            back = money.sum_up(one for order in mine if (one := _read_refund(order)))
            parts += [f"Of that given back: {', '.join(map(str, back))}."] if back else []
    parts += [f"Besides {counted(tests, 'test order')}."] if tests else []
    return " ".join(parts)


def _add_credits(
    store: Store, config: Config, orders: Sequence[Mapping[str, Json]]
) -> list[Shown]:
    """Return *orders* as they are shown, with the campaigns that have brought them about."""
    if not orders:
        return []
    from pushctl.jobs.figures.attribution.credits import load_credits

    credits = {one.order: one for one in load_credits(store, config)}
    names = store.attributions.name_campaigns({one.campaign for one in credits.values()})
    described = []
    for row in orders:
        credit = credits.get(row["id"])
        about: Shown = {"campaign": None, "credit": None, "because": None}
        if credit is not None:
            about = {
                "campaign": names[credit.campaign],
                "credit": credit.kind.value,
                "because": _say_because(credit),
            }
        described.append({**_describe(row), **about})
    return described


def _say_because(credit: "Credit") -> str:
    length = credit.at - credit.touched_at
    # "102d3h", not "102d3h42m10s".
    unit = HOUR if length >= DAY else MINUTE if length >= HOUR else SECOND
    return _SAYS[Basis(credit.basis)].format(timing.say(length // unit * unit))


_SAYS = {
    Basis.CLICK: "clicked {} before",
    Basis.CODE: "used the code of a message {} before",
    Basis.SHOWN: "shown {} before, not clicked",
}


def _check_site(config: Config, site: str | None) -> None:
    if site is not None and site not in config.sites:
        raise NotFoundError(
            f"no site is called {site!r}. In pushctl.toml: {', '.join(config.sites)}."
        )


def _read_money(values: Mapping[str, Json]) -> Money | None:
    if values.get("minor") is None:
        return None
    return Money(values["minor"], values["exponent"], values["currency"])


def _read_refund(values: Mapping[str, Json]) -> Money | None:
    if not values.get("refunded_minor") or values.get("minor") is None:
        return None
    return Money(values["refunded_minor"], values["exponent"], values["currency"])


def _describe(row: Mapping[str, Json]) -> Shown:
    lines: Sequence[Shown] = orjson.loads(row["lines"])
    described = [_write_amount(line, "price") for line in lines]
    refund = _read_refund(row)
    return {
        **_write_amount(row, "amount"),
        "refunded": refund.text if refund else None,
        "test": bool(row["test"]),
        "codes": [promo_codes.mask(one) for one in orjson.loads(row["codes"])],
        "lines": described,
        "items": len(lines) or None,
        "found_by": row["matched"],
    }


def _write_amount(values: Mapping[str, Json], name: str) -> Shown:
    amount = _read_money(values)
    return {**values, name: amount.text if amount else None}
