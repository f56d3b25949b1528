"""
A report of some days: asks the figures, and says them in the reader's words.

Figures are those of ``pushctl stats``, by the same code. No group of fewer than
SMALLEST_GROUP_PEOPLE people is shown by itself: they are merged into one.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from datetime import time as Time

from pushctl.config import Config, Site
from pushctl.jobs.figures import filters
from pushctl.jobs.figures.attribution.credits import load_credits
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.tables import breakdowns, subscribers
from pushctl.jobs.reports import sections
from pushctl.model import Millis
from pushctl.rules import timing, units
from pushctl.rules.calendars import Entry
from pushctl.rules.figures.figure import Row, read_count
from pushctl.rules.figures.revenue.attribution import Kind
from pushctl.rules.messages import languages
from pushctl.rules.messages.page import ACCENT
from pushctl.rules.money import Money
from pushctl.rules.reports.content import Card, Report, Section
from pushctl.rules.reports.words import Words
from pushctl.store import Store

SMALLEST_GROUP_PEOPLE = 5
_DAY = timedelta(days=1)
_HOURS_WEEKS = 26


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days by the site's clock, *first* to *last*."""

    first: date
    last: date

    @property
    def days(self) -> list[date]:
        count = (self.last - self.first).days + 1
        return [self.first + place * _DAY for place in range(count)]

    def move_back(self) -> "Period":
        """Return the period of the same length before this one."""
        length = self.last - self.first + _DAY
        return Period(self.first - length, self.last - length)


def find_last_week(today: date) -> Period:
    """Return Monday to Sunday of the week before *today*'s."""
    return Period(*filters.find_last_week(today))


def compose(
    store: Store,
    config: Config,
    now: Millis,
    period: Period,
    plan: Sequence[Entry],
    *,
    site: str | None = None,
    language: str | None = None,
    live: Sequence[Section] = (),
) -> Report:
    """
    Return the report of *period*, of *site* or of all; *plan* is what comes after it.

    *language*: else the site's. *live* sections stand first. Raises NotFoundError for an
    unknown site.
    """
    own = _find_site(config, site)
    words = find_words(config, site, language)
    asked = _ask(store, config, now, period, site)
    made = _Composer(store, config, words, asked, period)
    zone = filters.find_zone(config, site)
    notes = [
        words.say("footer_people"),
        words.say("footer_small", least=str(SMALLEST_GROUP_PEOPLE), other=words.say("other")),
    ]
    return Report(
        title=made.name_period(),
        subtitle=site or _name_sites(config, words),
        made=words.say("made", when=f"{timing.local(now, zone):%Y-%m-%d %H:%M %Z}"),
        language=words.language,
        mirrored=languages.direction(words.language) == "rtl",
        color=(own.brand.color if own and own.brand.color else ACCENT),
        cards=made.tell_cards(),
        sections=[*live, *made.tell_all(), sections.tell_plan(words, plan)],
        notes=notes,
    )


def find_words(config: Config, site: str | None, language: str | None) -> Words:
    """Return the words in *language*, else in the site's, else in English."""
    own = _find_site(config, site)
    return Words(language or (own.language if own else "en"))


def _find_site(config: Config, name: str | None) -> Site | None:
    return config.sites.get(name) if name else config.first_site


def _name_sites(config: Config, words: Words) -> str:
    names = list(config.sites)
    return names[0] if len(names) == 1 else words.say("all_sites")


def _ask(store: Store, config: Config, now: Millis, period: Period, site: str | None) -> Filter:
    zone = filters.find_zone(config, site)
    return Filter(
        site=site,
        since=timing.instant(period.first, Time(0), zone),
        until=timing.instant(period.last + _DAY, Time(0), zone),
        zone=zone,
        site_id=filters.find_site(store, site),
        now=now,
    )


class _Composer:
    """Asks each figure once, and says it in *words*."""

    def __init__(
        self, store: Store, config: Config, words: Words, asked: Filter, period: Period
    ) -> None:
        self._store, self._config, self._words = store, config, words
        self._asked, self._period = asked, period
        self._campaigns = breakdowns.compare_campaigns(store, config, asked)
        earlier = _ask(store, config, asked.now, period.move_back(), asked.site)
        self._earlier = breakdowns.compare_campaigns(store, config, earlier).total
        self._growth = self._load_growth()
        self._paid = self._load_days()

    def name_period(self) -> str:
        first, last = map(self._words.day, (self._period.first, self._period.last))
        key = "title_week" if len(self._period.days) == 7 else "title_days"
        return self._words.say(key, first=first, last=last)

    def tell_cards(self) -> list[Card]:
        words, total, before = self._words, self._campaigns.total, self._earlier

        def compare(show: Callable[[Row], str]) -> str:
            return words.say("before", value=show(before)) if before else ""

        def money(row: Row) -> str:
            # That of the most orders; the card has no room for all.
            return words.money(sections.read_money(row, "revenue")[:1])

        found = total or {}
        count = len(self._campaigns.rows)
        window = sections.say_window(self._config)
        return [
            Card(
                words.say("accepted"),
                words.count(read_count(found, "accepted")),
                words.say("campaigns_count", count=words.count(count)),
                compare(lambda row: words.count(read_count(row, "accepted"))),
            ),
            Card(
                words.say("clicked"),
                words.count(read_count(found, "clicked")),
                sections.say_rate(words, found, "ctr") + f" {words.say('of_accepted')}",
                compare(lambda row: words.count(read_count(row, "clicked"))),
            ),
            Card(
                words.say("orders"),
                words.count(read_count(found, "orders")),
                words.say("orders_about", window=window),
                compare(lambda row: words.count(read_count(row, "orders"))),
                [float(len(self._paid[day, Kind.DIRECT])) for day in self._period.days],
            ),
            Card(
                words.say("revenue"),
                money(found) if total else words.count(None),
                self._say_worth(found),
                compare(money),
            ),
            self._tell_people(),
        ]

    def _say_worth(self, total: Row) -> str:
        words, parts = self._words, []
        if others := sections.read_money(total, "revenue")[1:]:
            parts.append(words.say("and_others", value=words.money(others)))
        if worth := sections.read_money(total, "per_thousand"):
            parts.append(words.say("per_thousand", value=words.money(worth[:1])))
        if refunded := sections.read_money(total, "refunded"):
            parts.append(words.say("refunded", value=words.money(refunded)))
        return words.join(parts)

    def _tell_people(self) -> Card:
        words = self._words
        days = [self._growth[day] for day in self._period.days if day in self._growth]
        now = read_count(days[-1], "active") + read_count(days[-1], "net") if days else None
        new = sum(read_count(day, "new") + read_count(day, "back") for day in days)
        lost = sum(read_count(day, "lost") for day in days)
        about = words.say("growth_about", new=words.count(new), lost=words.count(lost))
        trend = [float(read_count(day, "active")) for day in days]
        return Card(words.say("active"), words.count(now), about, "", trend)

    def tell_all(self) -> list[Section]:
        """Return the sections in the order of the page."""
        return [
            self.tell_campaigns(),
            self.tell_revenue(),
            self.tell_baskets(),
            self.tell_growth(),
            self.tell_hours(),
            self.tell_best(),
            self.tell_places(),
            self.tell_forecasts(),
        ]

    def tell_campaigns(self) -> Section:
        rows = merge_small(self._campaigns.rows, "name", self._words.say("other"))
        return sections.tell_campaigns(self._words, rows)

    def tell_best(self) -> Section:
        rows = [row for row in self._campaigns.rows if is_large(row)]
        return sections.tell_best(self._words, rows)

    def tell_places(self) -> Section:
        answer = breakdowns.compare_groups(self._store, self._config, self._asked, "country")
        rows = merge_small(answer.rows, "value", self._words.say("other"))
        return sections.tell_places(self._words, rows)

    def tell_revenue(self) -> Section:
        return sections.tell_revenue(self._words, self._period.days, self._paid)

    def tell_baskets(self) -> Section:
        from pushctl.jobs.figures.tables import basket

        found = basket.load(self._store, self._config, self._asked)
        return sections.tell_baskets(self._words, found.rows)

    def tell_growth(self) -> Section:
        return sections.tell_growth(self._words, self._period.days, self._growth)

    def tell_hours(self) -> Section:
        from pushctl.jobs.figures.send_times import best_time

        # A week has too few messages for a week of hours: half a year, up to its end.
        asked = self._asked
        until = asked.until or asked.now
        wide = Filter(
            site=asked.site,
            since=until - _HOURS_WEEKS * units.WEEK,
            until=until,
            zone=asked.zone,
            site_id=asked.site_id,
            now=asked.now,
        )
        found = best_time.find_best_time(self._store, self._config, wide)
        return sections.tell_hours(self._words, found.cells)

    def tell_forecasts(self) -> Section:
        from pushctl.jobs.figures.forecasts import accuracy

        kept = {one.name for one in self._store.forecasts.list_kept()}
        listed = []
        for row in self._campaigns.rows:
            name = str(row["name"])
            if name in kept:
                told = accuracy.load_one(self._store, self._config, name, self._asked.now)
                listed += [(name, one) for one in told if one["figure"] == "clicks"]
        return sections.tell_forecasts(self._words, listed)

    def _load_growth(self) -> dict[date, Row]:
        today = timing.local(self._asked.now, self._asked.zone).date()
        last = max((today - self._period.first).days + 1, 1)
        rows = subscribers.load_growth(
            self._store,
            self._asked.now,
            self._asked.zone,
            every="day",
            last=last,
            site=self._asked.site,
        )
        return {date.fromisoformat(str(row["start"])): row for row in rows}

    def _load_days(self) -> dict[tuple[date, Kind], list[Money]]:
        """Return what was paid on each day, for direct and for influenced orders."""
        found: dict[tuple[date, Kind], list[Money]] = defaultdict(list)
        credits = load_credits(
            self._store, self._config, since=self._asked.since, until=self._asked.until
        )
        wanted = self._find_credited()
        for one in credits:
            if one.campaign not in wanted or one.minor is None or one.exponent is None:
                continue
            day = timing.local(one.at, self._asked.zone).date()
            left = Money(one.minor - one.refunded_minor, one.exponent, one.currency)
            found[day, one.kind].append(left)
        return found

    def _find_credited(self) -> set[int]:
        """Return the campaigns whose orders count: of push, no tests."""
        return {one.id for one in self._store.campaigns.list_described(None, None)}


def is_large(row: Row) -> bool:
    """Return whether *row* is of enough people to be shown by itself."""
    return read_count(row, "ctr_n") >= SMALLEST_GROUP_PEOPLE


def merge_small(rows: Sequence[Row], key: str, other: str) -> list[Row]:
    """
    Return *rows* with those of too few people merged into one, named *other*.

    Sums alone are merged: a rate of theirs would say what single people did.
    """
    large = [row for row in rows if is_large(row)]
    small = [row for row in rows if not is_large(row)]
    if not small:
        return large
    sums = {
        name: sum(read_count(row, name) for row in small)
        for name in ("planned", "accepted", "shown")
    }
    return [*large, {key: other, "merged": len(small), **sums}]
