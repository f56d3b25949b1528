"""
What a broadcast will bring, before it is sent: from campaigns about the same, else from all
broadcasts, else from the published cases.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pushctl.config import Config
from pushctl.errors import NotFoundError
from pushctl.jobs.figures.columns import campaign_counts
from pushctl.jobs.figures.columns.status_counts import COUNTS
from pushctl.jobs.figures.forecasts import past_orders
from pushctl.model import Json, Millis
from pushctl.rules import units
from pushctl.rules.figures.experiments.power import choose_base
from pushctl.rules.figures.figure import Row, read_count
from pushctl.rules.figures.forecasts import forecast as rules
from pushctl.rules.figures.forecasts.forecast import Past, Range
from pushctl.rules.wording import counted
from pushctl.store import Store
from pushctl.store.forecasts import PastCampaign

FEWEST_PEOPLE = 50  # a forecast for fewer says nothing
_CAMPAIGNS = 200  # of the past; older ones say little about the next
_RECENT = 12  # by which the reach is judged: who is there changes faster than what they like
_SAMPLED = 4  # from which the browsers' and ages' shares are
_FEWEST_MESSAGES = 20  # of a campaign that tells something
_FEWEST_CLICKERS = 20  # in all of them
_ALL_IN: Millis = units.DAY  # until then nearly all clicks have come
# What is counted while somebody waits for `send`.
_QUICK_MESSAGES = 50_000
_QUICK_ORDERS = 2_000
_SURE = 50  # messages by which a cell's share is drawn to that of all


@dataclass(frozen=True, slots=True)
class Told:
    """
    One figure of a forecast; *range* is None where *source* says that nothing is known.

    *last_three*: what the mean of the last three campaigns of the topic would tell. Money is
    in minor units.
    """

    name: str
    range: Range | None
    source: str
    last_three: float | None = None
    currency: str | None = None
    exponent: int = 0


@dataclass(frozen=True, slots=True)
class Forecast:
    """What *people* will do; *built_from*: id, messages, shown, clicked of each campaign."""

    people: int
    topic: str
    figures: tuple[Told, ...]
    built_from: tuple[tuple[int, int, int, int], ...]

    @property
    def about(self) -> str:
        return _say_topic(self.topic)


@dataclass(frozen=True, slots=True)
class _Known:
    """A campaign of the past with its counts."""

    campaign: PastCampaign
    topic: str
    counts: Row

    def count(self, *names: str) -> int:
        return sum(read_count(self.counts, name) for name in names)

    @property
    def tried(self) -> int:
        """Messages of which a report could have come, had their subscription been alive."""
        unreported = self.count("accepted") - self.count("reported")
        return self.count("accepted", "gone", "expired", "in_doubt") - unreported


_TEMPLATE = "template "


def name_topic(topic: str | None, template: str) -> str:
    """Return what a campaign is compared by: its topic, else its template."""
    return topic or (f"{_TEMPLATE}{template}" if template else "")


def _say_topic(key: str) -> str:
    if key.startswith(_TEMPLATE):
        return f"with {key}"
    return f"about {key}" if key else "about anything"


def forecast(
    store: Store,
    config: Config,
    people: int,
    topic: str | None,
    template: str,
    now: Millis,
    receivers: Sequence[int] = (),
    site: str | None = None,
    *,
    quick: bool = False,
) -> Forecast:
    """
    Return what a broadcast to *people* will bring: reach, clicks, orders, revenue.

    *receivers* are their subscriptions, where they are known, else *site* is theirs. *quick*:
    somebody waits, so what takes long to count is left out. Raises NotFoundError for an
    unknown site.
    """
    known, site = _choose_site(store, _load_known(store, now, quick), receivers, site)
    key = name_topic(topic, template)
    # Those who are sent to are not all taken by the push services.
    tried, accepted = (
        sum(one.tried for one in known[:_RECENT]),
        sum(one.count("reported") for one in known[:_RECENT]),
    )
    taken = people * accepted / tried if tried else float(people)
    pasts = [_make_past(one) for one in known]
    figures = (
        _tell_reach(store, people, known[:_RECENT], receivers, now),
        _tell_clicks(pasts, key, topic, taken, now),
        *_tell_orders(store, config, known, key, taken, now, site, quick),
    )
    built_from = (
        (one.campaign.id, one.count("reported"), one.count("shown"), one.count("clicked"))
        for one in known
    )
    return Forecast(people, key, figures, tuple(built_from))


def _load_known(store: Store, now: Millis, quick: bool) -> list[_Known]:
    """Return the broadcasts that tell something, newest first; *quick*: see ``_choose_few``."""
    past = store.forecasts.list_past(now - _ALL_IN, _CAMPAIGNS)
    if quick:
        past = _choose_few(store, past)
    counts = campaign_counts.load_counts(store, [one.id for one in past]) if past else {}
    found = (
        _Known(one, name_topic(one.topic, one.template), counts[one.id])
        for one in past
        if one.id in counts
    )
    return [one for one in found if one.count("reported") >= _FEWEST_MESSAGES]


def _choose_few(store: Store, past: Sequence[PastCampaign]) -> list[PastCampaign]:
    """
    Return those of *past* whose counts are kept, and the newest that are counted in a moment.

    Three at least.
    """
    read = store.kept_columns.read([one.id for one in past], [COUNTS])
    kept = {one.campaign for one in read}
    chosen, left = set(kept), _QUICK_MESSAGES
    for one in past:
        if one.id in kept:
            continue
        if left <= 0 and len(chosen) >= rules.FEWEST_CAMPAIGNS:
            break
        chosen.add(one.id)
        left -= store.forecasts.count_messages(one.id)
    return [one for one in past if one.id in chosen]


def _choose_site(
    store: Store, known: list[_Known], receivers: Sequence[int], name: str | None
) -> tuple[list[_Known], str | None]:
    """
    Return the campaigns of the site of *receivers*, or of the site *name*, and its name.

    All campaigns where the receivers are of several sites, or the site has had too few.
    """
    ids = store.sites.load_ids()
    if name is not None:
        if name not in ids:
            raise NotFoundError(f"no site is called {name!r}. There are: {', '.join(ids)}.")
        site: int | None = ids[name]
    else:
        site = store.forecasts.find_site(receivers) if receivers and len(ids) > 1 else None
    if site is None:
        return known, next(iter(ids), None) if len(ids) == 1 else None
    places = store.forecasts.map_sites([one.campaign.id for one in known])
    own = [one for one in known if places[one.campaign.id] == site]
    names = {number: each for each, number in ids.items()}
    return own if len(own) >= rules.FEWEST_CAMPAIGNS else known, names[site]


def _make_past(one: _Known) -> Past:
    return Past(one.topic, one.campaign.at, one.count("clicked"), one.count("reported"))


def _tell_reach(
    store: Store, people: int, known: Sequence[_Known], receivers: Sequence[int], now: Millis
) -> Told:
    pasts = [
        Past(one.topic, one.campaign.at, one.count("shown"), one.tried)
        for one in known
        if one.tried
    ]
    found = None
    if len(pasts) >= rules.FEWEST_CAMPAIGNS:
        shift = _compare_people(store, [one.campaign.id for one in known], receivers, now)
        found = rules.predict_share(pasts, people, shift)
    if found is None:
        return Told("reach", None, "fewer than 3 campaigns have gone out")
    last = rules.average_last(
        [Past("", one.at, one.events, one.people) for one in pasts], "", people
    )
    return Told("reach", found, f"{counted(len(pasts), 'campaign')}, by browser and age", last)


def _compare_people(
    store: Store, campaigns: Sequence[int], receivers: Sequence[int], now: Millis
) -> float:
    """Return how much likelier *receivers* see a message than those of *campaigns*."""
    if not receivers:
        return 0.0
    cells = {
        cell: (messages, shown)
        for cell, messages, shown in store.forecasts.count_reached(campaigns[:_SAMPLED])
    }
    return rules.compare_cells(cells, store.forecasts.count_cells(receivers, now), _SURE)


def _tell_clicks(
    pasts: Sequence[Past], key: str, topic: str | None, people: float, now: Millis
) -> Told:
    last = rules.average_last(pasts, key, people)
    level = rules.find_level(pasts, key, now)
    if level is None or sum(past.events for past in pasts) < _FEWEST_CLICKERS:
        base = choose_base({}, topic or "")
        range_ = rules.predict_by_cases(base.rate, max(round(people), 1))
        return Told("clicks", range_, base.source, last)
    return Told("clicks", level.predict(people), _describe(level, key), last)


def _describe(level: rules.Level, key: str) -> str:
    if not level.own:
        return counted(level.others, "campaign") + (" about other things" if key else "")
    own = f"{counted(level.own, 'campaign')} {_say_topic(key)}"
    return f"{own}, {counted(level.others, 'other')}" if level.others else own


def _tell_orders(
    store: Store,
    config: Config,
    known: Sequence[_Known],
    key: str,
    people: float,
    now: Millis,
    site: str | None,
    quick: bool,
) -> tuple[Told, Told]:
    messages = {
        one.campaign.id: (one.topic, one.campaign.at, one.count("reported")) for one in known
    }
    if quick and store.forecasts.has_many_orders(_QUICK_ORDERS):
        why = "many orders are to be counted: pushctl forecast"
        return Told("orders", None, why), Told("revenue", None, why)
    settings = config.sites.get(site) if site is not None else None
    currency = settings.currency if settings is not None else None
    found = past_orders.load_pasts(store, config, messages, now, currency)
    level = None if found.fault else rules.find_level(found.orders, key, now)
    if level is None:
        why = found.fault or "fewer than 3 campaigns since the first order"
        return Told("orders", None, why), Told("revenue", None, why)
    made_of = _describe(level, key)
    orders = Told(
        "orders",
        level.predict(people),
        found.describe(made_of),
        rules.average_last(found.orders, key, people),
    )
    worth = rules.find_level(found.revenue, key, now)
    if worth is None or found.currency is None:
        return orders, Told("revenue", None, found.worthless)
    last = rules.average_last(found.revenue, key, people)
    return orders, Told(
        "revenue",
        worth.predict(people).scale(found.average),
        found.describe_revenue(made_of),
        None if last is None else last * found.average,
        found.currency,
        found.exponent,
    )


def keep(store: Store, campaign: int, told: Forecast, now: Millis) -> None:
    """Keep what is forecast of *campaign*, to be scored afterwards."""
    figures: list[dict[str, Json]] = []
    for each in told.figures:
        values = asdict(each)
        range_ = values.pop("range") or dict.fromkeys(("p10", "p50", "p90"))
        figures.append({**values, **range_})
    store.forecasts.add(
        campaign,
        at=now,
        people=told.people,
        topic=told.topic,
        figures=figures,
        built_from=told.built_from,
    )
