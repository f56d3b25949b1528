"""Forecasts for people: lines under a plan, and the rows of `pushctl forecast`."""

from collections.abc import Sequence

from pushctl.jobs.figures.forecasts.forecast import Forecast, Told
from pushctl.rules.figures.figure import Row
from pushctl.rules.figures.forecasts.forecast import Range, round_sensibly
from pushctl.rules.wording import number

_SAID = {
    "reach": "shown to {} ({})",
    "clicks": "clicked by {} ({})",
    "orders": "{} orders ({})",
    "revenue": "revenue {} ({})",
}


def list_forecast(told: Forecast | None) -> list[str]:
    """Return a line for each known figure: P50, then P10 to P90, and what it is from."""
    found: list[str] = []
    for each in told.figures if told is not None else ():
        if each.range is None:
            continue
        low, middle, high = (number(_convert(each, x) or 0) for x in each.range.levels)
        middle += f" {each.currency}" if each.currency else ""
        often = "" if found else " in 8 of 10 cases"
        text = _SAID[each.name].format(middle, f"{low} to {high}{often}")
        if each.name != "revenue":  # it is from the same as the orders
            text += f"; from {each.source}"
        found.append(f"forecast: {text}")
    return found


def list_rows(told: Forecast) -> list[Row]:
    """Return a row for each figure; amounts in the currency's own unit."""
    return [
        {
            "figure": each.name,
            **scale(each, each.range),
            "last_three": _convert(each, each.last_three),
            "currency": each.currency,
            "source": each.source,
        }
        for each in told.figures
    ]


def scale(told: Told, found: Range | None) -> dict[str, float | int | None]:
    """Return p10, p50 and p90 of *found* by name, None where it is unknown."""
    values: Sequence[float | None] = found.levels if found is not None else (None,) * 3
    names = ("p10", "p50", "p90")
    return {name: _convert(told, value) for name, value in zip(names, values, strict=True)}


def _convert(told: Told, value: float | None) -> float | int | None:
    """Return *value* as people read it: three digits, whole counts, no minor units."""
    if value is None:
        return None
    rounded = round_sensibly(value / 10**told.exponent)
    if told.currency is None or rounded == int(rounded):
        return round(rounded)
    return rounded
