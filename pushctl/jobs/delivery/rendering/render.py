"""
Claimed rows -> letters: each text is rendered once for all who get the same.

Rows with equal values of the text's variables share a rendering; only their tokens differ.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple, Protocol, cast

from pushctl import log
from pushctl.config import Site
from pushctl.errors import InputError, PushctlError
from pushctl.jobs.delivery.rendering.shared_texts import Renderings
from pushctl.jobs.delivery.types import LaneKey, RenderedRow, Sendable, UnrenderedRow
from pushctl.jobs.subscribers.segments import Segments
from pushctl.model import Campaign, Cause, Json, Letter, Millis, Worker
from pushctl.rules import tokens
from pushctl.rules.delivery import retry
from pushctl.rules.delivery.endpoints import cut_origin
from pushctl.rules.messages import packs
from pushctl.rules.messages.payload import Frame
from pushctl.rules.shops.promo_codes import hide
from pushctl.store.faults import concerns_one
from pushctl.store.ledger_rows import ClaimedRow
from pushctl.templates import Template

# Named tuples of plain ones, without a call of Python's own for each.
_letter = cast("Callable[[tuple[Any, ...]], Letter]", partial(tuple.__new__, Letter))
_row = cast("Callable[[tuple[Any, ...]], RenderedRow]", partial(tuple.__new__, RenderedRow))


def _pick(*fields: str) -> Callable[[ClaimedRow], tuple[Any, ...]]:
    """Return a function that takes these fields out of a row, all in one call of C."""
    return itemgetter(*map(ClaimedRow._fields.index, fields))


_pick_kind = _pick("key_id", "worker", "site", "language", "variant")
_pick_own = _pick("endpoint", "tries", "expires_at", "subscription", "failures")

WAITS = "waits for the next visit: the browser runs another service's worker"


class Project(Protocol):
    """What messages need of pushctl.toml and keys/; a Config has it."""

    @property
    def sites(self) -> Mapping[str, Site]: ...

    def secret(self) -> bytes: ...


# Loads the further variables of claimed rows, by delivery: {"cart": {...}}.
Extras = Callable[[Sequence[ClaimedRow]], Mapping[int, Mapping[str, Json]]]


class Composer:
    """
    Finds the text of each row and renders it.

    *keys* are the ids of the VAPID keys (None: any will do), *shared* the campaign's own
    values.
    """

    def __init__(
        self,
        template: Template,
        config: Project,
        keys: frozenset[str] | None,
        shared: Mapping[str, Json],
        *,
        segments: Segments | None = None,
        extras: Extras | None = None,
        options: Mapping[str, Json] | None = None,
    ) -> None:
        self._template = template
        self._keys = keys
        self._shared = shared
        # In place of each person's language, and of the site's where there is no text in it.
        self._language = (options or {}).get("language")
        self._default_language = (options or {}).get("default_language")
        self._variant = (options or {}).get("variant")  # of a test; else the row's
        self._given: Mapping[int, Mapping[str, Json]] = {}  # extras of this batch
        self._sites = config.sites
        self._segments = segments
        self._extras = extras
        self._groups: dict[tuple[Hashable, ...], Renderings] = {}
        self._mistakes: set[type[Exception]] = set()

    def compose(
        self, rows: Sequence[ClaimedRow]
    ) -> Iterator[tuple[ClaimedRow, Frame, str] | UnrenderedRow]:
        """Yield each of *rows* with its message and language, or why it has none."""
        segments = self._segments([row.subscription for row in rows]) if self._segments else {}
        extras = self._given = self._extras(rows) if self._extras else {}
        for row in rows:
            if (refused := self._refuse(row)) is not None:
                yield refused
                continue
            try:
                group = self._group(row, segments.get(row.subscription, ()))
                frame = group.frame(row, extras.get(row.id))
            except Exception as error:
                if not concerns_one(error):
                    raise
                code = {**self._shared, **(extras.get(row.id) or {})}.get("promo")
                reason = hide(self._explain(error), code if isinstance(code, str) else "")
                yield UnrenderedRow(row.id, "rejected", reason, Cause.NO_MESSAGE)
                continue
            yield row, frame, group.text.language

    def _refuse(self, row: ClaimedRow) -> UnrenderedRow | None:
        """Return why *row* gets no message, whatever its text; None: it may get one."""
        if self._keys is not None and row.key_id not in self._keys:
            reason = f"made with the key {row.key_id}, which is not in keys/"
            return UnrenderedRow(row.id, "skipped", reason, Cause.KEY_MISSING)
        if row.worker == Worker.UNKNOWN:
            return UnrenderedRow(row.id, "skipped", WAITS, Cause.OTHER_WORKER)
        return None

    def _explain(self, error: Exception) -> str:
        """Return why a row has no message; log the first mistake of ours of each kind."""
        if isinstance(error, PushctlError):
            return str(error)[:200]
        if type(error) not in self._mistakes:
            self._mistakes.add(type(error))
            log.note_error("send", "message left out", error)
        what = f"a fault of pushctl, not of the template: {type(error).__name__}: {error}"
        remedy = "`pushctl campaigns retry` reaches all but triggers' steps"
        return f"{what[:130]}. Update it; {remedy}"

    def _group(self, row: ClaimedRow, segments: tuple[str, ...]) -> "Renderings":
        key = (row.site, row.language, row.variant, segments)
        if group := self._groups.get(key):
            return group
        site = self._sites.get(row.site)
        if site is None:
            raise InputError(
                f"the site {row.site!r} is not in pushctl.toml. Name it so again; then "
                "`pushctl campaigns retry` reaches all but triggers' steps"
            )
        default = self._language or self._default_language or site.language
        language = self._language or row.language
        text = self._template.choose(language, segments, default, row.variant or self._variant)
        # Many languages lead to the same text: they share its renderings.
        shared = (id(text), row.site)
        if shared not in self._groups:
            name = self._shared.get("campaign", {}).get("name", "")
            known = packs.collect_values(site, name)
            self._groups[shared] = Renderings(text, known, self._shared)
        group = self._groups[key] = self._groups[shared]
        return group


class _Kind(NamedTuple):
    """What rows of the same key, worker, site, language and variant have in common."""

    language: str
    foreign: bool
    lanes: dict[str, LaneKey]  # by origin, each one object: it is compared by what it is


class Renderer(Composer):
    """Renders the letters of one campaign; *keys* are the ids of the VAPID keys."""

    def __init__(
        self,
        campaign: Campaign,
        template: Template,
        config: Project,
        keys: frozenset[str],
        *,
        segments: Segments | None = None,
        extras: Extras | None = None,
    ) -> None:
        settings, options = template.settings, campaign.options
        shared = collect_shared_values(campaign.name, options)
        super().__init__(
            template, config, keys, shared, segments=segments, extras=extras, options=options
        )
        self._secret = config.secret()
        self._tokens = tokens.MessageTokens(self._secret)
        self._ttl = int(options.get("ttl", settings.ttl))
        self._urgency = str(options.get("urgency", settings.urgency))
        self._topic = None
        if named := options.get("topic"):
            self._topic = tokens.named_topic(self._secret, named)
        elif settings.replace_waiting and "grouped" not in options:
            # Messages that share a campaign are about different things.
            self._topic = tokens.topic(self._secret, campaign.id)
        self._lives: dict[Millis | None, int] = {}  # end of life -> TTL, in this batch
        self._kinds: dict[tuple[Any, ...], _Kind] = {}  # of rows that may get a message

    def render(
        self, rows: Sequence[ClaimedRow], now: Millis
    ) -> tuple[list[RenderedRow], list[UnrenderedRow]]:
        """Return *rows* with their letters, and those that get none, with the reason."""
        rendered: list[RenderedRow] = []
        unrendered: list[UnrenderedRow] = []
        self._lives.clear()
        for found in self.compose(rows):
            if isinstance(found, UnrenderedRow):
                unrendered.append(found)
            else:
                rendered.append(self._rendered(*found, now))
        return rendered, unrendered

    @property
    def needs_database(self) -> bool:
        """Whether rows alone are not enough to write their letters."""
        return self._extras is not None or self._segments is not None

    @property
    def reads_persons(self) -> bool:
        """Whether more of a person is read than language and attributes."""
        used = frozenset[str]().union(*(text.variables for text in self._template.all_texts))
        return self.needs_database or any(
            it.partition(".")[0] == "subscriber" and it != "subscriber.language" for it in used
        )

    def prepare(
        self, rows: Sequence[ClaimedRow], now: Millis
    ) -> tuple[list[RenderedRow], list[UnrenderedRow]]:
        """As ``render``, but leave the letters to whoever sends them (``write``)."""
        prepared: list[RenderedRow] = []
        unrendered: list[UnrenderedRow] = []
        for row in rows:
            kind = self._kinds.get(_pick_kind(row))
            if kind is None and (refused := self._refuse(row)) is not None:
                unrendered.append(refused)
                continue
            kind = kind or self._find_kind(row)
            if kind is None:
                made, without = self.render([row], now)  # which says why it has none
                prepared += made
                unrendered += without
                continue
            language, foreign, lanes = kind
            endpoint, tries, expires_at, subscription, failures = _pick_own(row)
            origin = cut_origin(endpoint)
            lane = lanes.get(origin) or lanes.setdefault(origin, (origin, row.key_id))
            told = row, lane, tries, expires_at, subscription, language, failures, foreign
            prepared.append(_row(told))
        return prepared, unrendered

    def _find_kind(self, row: ClaimedRow) -> _Kind | None:
        """Return the kind of *row*, and remember it; None where it has no text."""
        try:
            language = self._group(row, ()).text.language
        except Exception as error:
            if not concerns_one(error):
                raise
            return None
        kind = self._kinds[_pick_kind(row)] = _Kind(language, row.worker is not None, {})
        return kind

    def write(self, rows: Sequence[ClaimedRow], now: Millis) -> tuple[list[Letter], list[int]]:
        """Return the letters of *rows*, and the numbers of those for which there is none."""
        letters: list[Letter] = []
        without: list[int] = []
        self._lives.clear()
        for found in self.compose(rows):
            if isinstance(found, UnrenderedRow):
                without.append(found.id)
            else:
                letters.append(self._write(found[0], found[1], now))
        return letters, without

    def _rendered(
        self, row: ClaimedRow, frame: Frame, language: str, now: Millis
    ) -> RenderedRow:
        return _make_rendered(row, self._write(row, frame, now), language)

    def _write(self, row: ClaimedRow, frame: Frame, now: Millis) -> Letter:
        return _letter(
            (
                row.id,
                row.endpoint,
                row.p256dh,
                row.auth,
                row.key_id,
                frame.with_token(self._tokens.make(row.id), now),
                self._seconds(row.expires_at, now),
                self._urgency,
                self._find_topic(row) if self._given else self._topic,
            )
        )

    def _find_topic(self, row: ClaimedRow) -> str | None:
        """Return the topic of the message's own, else the campaign's."""
        named = self._given[row.id].get("topic") if row.id in self._given else None
        return tokens.named_topic(self._secret, named) if named else self._topic

    def _seconds(self, expires_at: Millis | None, now: Millis) -> int:
        ttl = self._lives.get(expires_at)
        if ttl is None:
            ttl = retry.seconds_left(expires_at, now, self._ttl)
            self._lives[expires_at] = ttl
        return ttl


def _make_rendered(row: ClaimedRow, letter: Sendable, language: str) -> RenderedRow:
    return _row(
        (
            letter,
            (cut_origin(row.endpoint), row.key_id),
            row.tries,
            row.expires_at,
            row.subscription,
            language,
            row.failures,
            row.worker is not None,
        )
    )


def collect_shared_values(name: str, options: Mapping[str, Json]) -> dict[str, Json]:
    """Return the values that are a campaign's own, for all its receivers."""
    return {"campaign": {"name": name}, **options.get("extra", {})}
