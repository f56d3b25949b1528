"""Forecasts that were kept, against what came."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pushctl.config import Config
from pushctl.errors import NotFoundError
from pushctl.jobs.figures.attribution.credits import load_credits
from pushctl.jobs.figures.columns import campaign_counts
from pushctl.jobs.figures.forecasts.forecast import Told
from pushctl.jobs.figures.forecasts.table import scale
from pushctl.model import Millis
from pushctl.rules import units
from pushctl.rules.figures.figure import Row
from pushctl.rules.figures.forecasts import accuracy
from pushctl.rules.figures.forecasts.forecast import Range
from pushctl.rules.figures.revenue.attribution import Kind
from pushctl.rules.figures.statistics.intervals import measure_share
from pushctl.store import Store
from pushctl.store.forecasts import KeptForecast

# Until then clicks come in, and orders after them.
_ALL_IN: Millis = 2 * units.DAY


@dataclass(frozen=True, slots=True)
class _Scored:
    """One figure of one campaign; *came* is in the unit of *told*, minor units of money."""

    told: Told
    came: float

    @property
    def range(self) -> Range:
        if self.told.range is None:
            raise ValueError("nothing was forecast")
        return self.told.range


def load_scores(store: Store, config: Config, now: Millis) -> list[Row]:
    """
    Return a row for each figure, and for each currency of revenue: how good forecasts were.

    Losses are in the figure's own unit. ``p50_loss`` and ``last_three_loss`` are of the
    forecasts for which both are known.
    """
    kept = [one for one in store.forecasts.list_kept() if _is_over(one, now)]
    scored: defaultdict[tuple[str, str | None], list[_Scored]] = defaultdict(list)
    for one in _score(store, config, kept):
        scored[one.told.name, one.told.currency].append(one)
    return [
        {"figure": name, "currency": currency, **_sum_up(found)}
        for (name, currency), found in sorted(scored.items(), key=lambda pair: _place(pair[0]))
    ]


_ORDER = ("reach", "clicks", "orders", "revenue")


def _place(key: tuple[str, str | None]) -> tuple[int, str]:
    return _ORDER.index(key[0]), key[1] or ""


def count_waiting(store: Store, now: Millis) -> int:
    """Return how many kept forecasts can't be scored yet."""
    return sum(not _is_over(one, now) for one in store.forecasts.list_kept())


def load_one(store: Store, config: Config, name: str, now: Millis) -> list[Row]:
    """
    Return what was forecast of the campaign *name*, and what has come so far.

    Raises NotFoundError where nothing was forecast of it.
    """
    campaign = store.campaigns.get(name)
    kept = store.forecasts.list_kept(campaign.id)
    if not kept:
        raise NotFoundError(
            f"no forecast was kept when {name!r} was sent. What it brought: "
            f'pushctl stats campaign "{name}"'
        )
    came = _load_outcomes(store, config, kept)
    return [_describe(told, came, kept[0]) for told in _list_told(kept[0])]


def _describe(told: Told, came: Mapping["_Key", float], kept: KeptForecast) -> Row:
    value = came.get(_make_key(kept.campaign, told))
    within = None
    if told.range is not None and value is not None:
        within = accuracy.covers(told.range, value)
    return {
        "figure": told.name,
        **scale(told, told.range),
        "came": None if value is None else _convert(told, value),
        "within": within,
        "currency": told.currency,
        "source": told.source,
    }


def _is_over(one: KeptForecast, now: Millis) -> bool:
    return one.ended_at is not None and one.ended_at + _ALL_IN <= now


_Key = tuple[int, str, str | None]  # campaign, figure, currency


def _make_key(campaign: int, told: Told) -> _Key:
    return campaign, told.name, told.currency


def _list_told(kept: KeptForecast) -> Iterator[Told]:
    for values in kept.figures:
        levels: list[float] = [values[name] for name in ("p10", "p50", "p90")]
        yield Told(
            values["name"],
            None if None in levels else Range(*levels),
            values["source"],
            values["last_three"],
            values["currency"],
            values["exponent"],
        )


def _score(store: Store, config: Config, kept: Sequence[KeptForecast]) -> Iterator[_Scored]:
    came = _load_outcomes(store, config, kept) if kept else {}
    for one in kept:
        for told in _list_told(one):
            value = came.get(_make_key(one.campaign, told))
            if told.range is not None and value is not None:
                yield _Scored(told, value)


def _load_outcomes(
    store: Store, config: Config, kept: Sequence[KeptForecast]
) -> dict[_Key, float]:
    """Return what came; orders and revenue of those alone of which they were forecast."""
    ids = [one.campaign for one in kept]
    found: dict[_Key, float] = {}
    for campaign, counts in campaign_counts.load_counts(store, ids).items():
        found[campaign, "reach", None] = float(counts["shown"])
        found[campaign, "clicks", None] = float(counts["clicked"])
    selling = [one for one in kept for told in _list_told(one) if told.name == "orders"]
    sums = _sum_orders(store, config, [one.campaign for one in selling if _sells(one)])
    for one in selling:
        for told in _list_told(one):
            if told.range is not None and told.name in ("orders", "revenue"):
                key = _make_key(one.campaign, told)
                found[key] = sums.get(key, 0.0)
    return found


def _sells(kept: KeptForecast) -> bool:
    return any(told.name == "orders" and told.range is not None for told in _list_told(kept))


def _sum_orders(store: Store, config: Config, campaigns: Sequence[int]) -> dict[_Key, float]:
    found: defaultdict[_Key, float] = defaultdict(float)
    if not campaigns:
        return found
    for one in load_credits(store, config, campaigns=campaigns):
        if one.kind != Kind.DIRECT:
            continue
        found[one.campaign, "orders", None] += 1
        if one.minor is not None:
            key = one.campaign, "revenue", one.currency
            found[key] += one.minor - (one.refunded_minor or 0)
    return found


def _sum_up(found: Sequence[_Scored]) -> dict[str, float | int | None]:
    inside = sum(accuracy.covers(one.range, one.came) for one in found)
    share = measure_share(inside, len(found))
    losses = {
        f"loss_{name}": _average(
            _measure(one, level, told) for one in found for told in [getattr(one.range, name)]
        )
        for name, level in (("p10", 0.1), ("p50", 0.5), ("p90", 0.9))
    }
    both = [(one, last) for one in found if (last := one.told.last_three) is not None]
    own = _average(_measure(one, 0.5, one.range.p50) for one, _ in both)
    rival = _average(_measure(one, 0.5, last) for one, last in both)
    return {
        "forecasts": len(found),
        "within": inside,
        "coverage": share.value,
        "coverage_low": share.low,
        "coverage_high": share.high,
        "coverage_n": len(found),
        **losses,
        "crps": _average(
            accuracy.measure_crps(one.range, one.came) / 10**one.told.exponent for one in found
        ),
        "compared": len(both),
        "p50_loss": own,
        "last_three_loss": rival,
        "against": own / rival if own is not None and rival else None,
    }


def _measure(one: _Scored, level: float, told: float) -> float:
    loss = accuracy.measure_pinball(level, told, one.came)
    return loss / float(10**one.told.exponent)


def _average(values: Iterable[float]) -> float | None:
    listed = [*values]
    return sum(listed) / len(listed) if listed else None


def _convert(told: Told, value: float) -> float:
    return value / 10**told.exponent if told.exponent else int(value)
