"""Orders as their commands show them; amounts are texts of exact decimals."""

from collections.abc import Iterable, Mapping, Sequence

import orjson

from pushctl.config import Config
from pushctl.errors import NotFoundError
from pushctl.model import Json, Millis
from pushctl.rules import money
from pushctl.rules.money import Money
from pushctl.rules.shops.order import State
from pushctl.rules.wording import counted
from pushctl.store import Store

Shown = dict[str, Json]


def load(
    config: Config, store: Store, *, site: str | None, since: Millis, last: int | None,
    unmatched: bool = False,
) -> list[Shown]:  # fmt: skip
    """
    Return orders, newest first; raises NotFoundError for an unknown *site*.

    Besides their columns they have ``amount`` ("19.99") and ``items``, the number of lines,
    None where the source told of none.
    """
    _check_site(config, site)
    found = store.orders.list(site=site, since=since, last=last, unmatched=unmatched)
    return [_describe(one) for one in found]


def find(config: Config, store: Store, number: str, site: str | None) -> list[Shown]:
    """Return the orders of a number, one for each site and source; raises NotFoundError."""
    _check_site(config, site)
    found = [_describe(one) for one in store.orders.find(number, site)]
    if not found:
        raise NotFoundError(f"no order has the number {number!r}. See: pushctl orders list")
    return found


def describe_sums(orders: Iterable[Mapping[str, Json]]) -> str:
    """Return what *orders* are worth, for each state and currency: exact sums."""
    orders = list(orders)
    parts = []
    for state in State:
        mine = [one for one in orders if one["state"] == state]
        sums = money.sum_up(one for order in mine if (one := _read_money(order)))
        unknown = sum(order["minor"] is None for order in mine)
        texts = [str(one) for one in sums]
        texts += [f"{counted(unknown, 'order')} of unknown amount"] if unknown else []
        parts += [f"{state.value.capitalize()}: {', '.join(texts)}."] if texts else []
    return " ".join(parts)


def _check_site(config: Config, site: str | None) -> None:
    if site is not None and site not in config.sites:
        raise NotFoundError(
            f"no site is called {site!r}. In pushctl.toml: {', '.join(config.sites)}."
        )


def _read_money(values: Mapping[str, Json]) -> Money | None:
    if values.get("minor") is None:
        return None
    return Money(values["minor"], values["exponent"], values["currency"])


def _describe(row: Mapping[str, Json]) -> Shown:
    lines: Sequence[Shown] = orjson.loads(row["lines"])
    described = [_write_amount(line, "price") for line in lines]
    return {**_write_amount(row, "amount"), "lines": described, "items": len(lines) or None}


def _write_amount(values: Mapping[str, Json], name: str) -> Shown:
    amount = _read_money(values)
    return {**values, name: amount.text if amount else None}
