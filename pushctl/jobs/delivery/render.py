"""
Claimed rows -> letters: each text is rendered once for all who get the same.

Rows with equal values of the text's variables share a rendering; only their tokens differ.
"""

import secrets
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Protocol

import orjson

from pushctl import log
from pushctl.config import Site
from pushctl.errors import InputError, PushctlError
from pushctl.jobs.delivery.types import RenderedRow, Sendable, UnrenderedRow
from pushctl.jobs.subscribers.segments import Segments
from pushctl.model import Campaign, Cause, Json, Letter, Millis, Worker
from pushctl.rules import tokens
from pushctl.rules.delivery import retry
from pushctl.rules.delivery.endpoints import cut_origin
from pushctl.rules.messages import packs, payload, values
from pushctl.rules.messages.payload import Frame
from pushctl.rules.shops.promo_codes import hide
from pushctl.rules.vendors import onesignal_worker
from pushctl.store.faults import concerns_one
from pushctl.store.ledger_rows import ClaimedRow
from pushctl.templates import Template, Text

WAITS = "waits for the next visit: the browser runs another service's worker"
# Stands for the promo code where the rest is the same for many; new in each process.
_STAND_IN = f"c{secrets.token_hex(15)}"
MAX_FRAMES = 5_000  # kept for one text: where all differ they would fill the memory


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
        self._groups: dict[tuple[Hashable, ...], _Group] = {}
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

    def _group(self, row: ClaimedRow, segments: tuple[str, ...]) -> "_Group":
        key = (row.site, row.language, row.variant, segments)
        if group := self._groups.get(key):
            return group
        site = self._sites.get(row.site)
        if site is None:
            raise InputError(f"site {row.site!r} is not in pushctl.toml any more")
        default = self._language or self._default_language or site.language
        language = self._language or row.language
        text = self._template.choose(language, segments, default, row.variant or self._variant)
        # Many languages lead to the same text: they share its renderings.
        shared = (id(text), row.site)
        if shared not in self._groups:
            name = self._shared.get("campaign", {}).get("name", "")
            known = packs.collect_values(site, name)
            self._groups[shared] = _Group(text, known, self._shared)
        group = self._groups[key] = self._groups[shared]
        return group


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
        self._ttl = int(options.get("ttl", settings.ttl))
        self._urgency = str(options.get("urgency", settings.urgency))
        self._topic = None
        if named := options.get("topic"):
            self._topic = tokens.named_topic(self._secret, named)
        elif settings.replace_waiting and "grouped" not in options:
            # Messages that share a campaign are about different things.
            self._topic = tokens.topic(self._secret, campaign.id)
        self._lives: dict[Millis | None, int] = {}  # end of life -> TTL, in this batch

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
            if (refused := self._refuse(row)) is not None:
                unrendered.append(refused)
                continue
            try:
                language = self._group(row, ()).text.language
            except Exception as error:
                if not concerns_one(error):
                    raise
                made, without = self.render([row], now)  # which says why it has none
                prepared += made
                unrendered += without
            else:
                prepared.append(_make_rendered(row, row, language))
        return prepared, unrendered

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
        return Letter(
            row.id,
            row.endpoint,
            row.p256dh,
            row.auth,
            row.key_id,
            frame.with_token(tokens.message_token(self._secret, row.id), now),
            self._seconds(row.expires_at, now),
            self._urgency,
            self._find_topic(row),
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
    return RenderedRow(
        letter,
        (cut_origin(row.endpoint), row.key_id),
        row.tries,
        row.expires_at,
        row.subscription,
        language,
        row.failures,
        row.worker is not None,
    )


def collect_shared_values(name: str, options: Mapping[str, Json]) -> dict[str, Json]:
    """Return the values that are a campaign's own, for all its receivers."""
    return {"campaign": {"name": name}, **options.get("extra", {})}


class _Group:
    """One text on one site, with its last renderings."""

    def __init__(
        self, text: Text, site: Mapping[str, Json], shared: Mapping[str, Json]
    ) -> None:
        self.text = text
        self._site = site
        self._shared = shared
        self._used = text.variables
        self._frames: dict[Hashable, Frame] = {}
        self._asked = self._known = 0  # how often a rendering was looked for, and found
        fields = [
            _FIELDS.get(name, name)
            for it in sorted(self._used)
            if (name := it.removeprefix("subscriber.")) != it
        ]
        self._plain: Callable[[ClaimedRow], Hashable] = lambda row: None
        if "subscriber" in self._used:
            self._plain = attrgetter("public_id")
        elif fields:
            self._plain = attrgetter(*fields)
        self._personal = text.personal
        self._attributes = sorted(it for it in self._used if it.startswith("attributes"))

    def frame(self, row: ClaimedRow, extra: Mapping[str, Json] | None) -> Frame:
        """Return the message for *row*, rendered before where possible."""
        if extra is not None:
            code = extra.get("promo")
            if code is None or len(extra) > 1 or not self._takes_code(row, code):
                return self._render(row, {**self._shared, **extra})
            return self._put_in(row, code)
        return self._find_frame(row, self._shared)

    def _put_in(self, row: ClaimedRow, code: str) -> Frame:
        """Return the message with *code* where another's stood, in its thanks too."""
        try:
            made = self._find_frame(row, {**self._shared, "promo": _STAND_IN})
        except InputError:  # it is longer than most codes
            return self._render(row, {**self._shared, "promo": code})
        head, tail = (it.replace(_STAND_IN.encode(), code.encode()) for it in made[:2])
        return payload.check_size(made._replace(head=head, tail=tail))

    def _takes_code(self, row: ClaimedRow, code: Json) -> bool:
        """Return whether a code can be put into a message that was rendered for another."""
        plain = isinstance(code, str) and code.isascii() and code.isalnum()
        return plain and self.text.shows_code and not row.small_payload and row.worker is None

    def _find_frame(self, row: ClaimedRow, shared: Mapping[str, Json]) -> Frame:
        if self._asked > MAX_FRAMES and self._known * 20 < self._asked:
            return self._render(row, shared)  # hardly any two are equal
        key = self._key(row)
        frame = self._frames.get(key)
        self._asked += 1
        if frame is not None:
            self._known += 1
            return frame
        if len(self._frames) >= MAX_FRAMES:
            self._frames.clear()
        frame = self._frames[key] = self._render(row, shared)
        return frame

    def _key(self, row: ClaimedRow) -> Hashable:
        if not self._personal:
            return row.small_payload, row.worker
        key: list[Hashable] = [row.small_payload, row.worker, self._plain(row)]
        if self._attributes:
            known = orjson.loads(row.attributes)
            for path in self._attributes:
                value: Json = known
                for name in path.split(".")[1:]:
                    value = value.get(name) if isinstance(value, dict) else None
                # 1, 1.0 and True are equal in Python and written differently.
                key.append(repr(value))
        return tuple(key)

    def _render(self, row: ClaimedRow, extra: Mapping[str, Json]) -> Frame:
        context = values.context(row, self._site, self._used, extra)
        if row.worker == Worker.ONESIGNAL:
            return onesignal_worker.frame(self.text.render(context), small=row.small_payload)
        if row.small_payload:
            return payload.frame(payload.fit(self.text.render(context)))
        return self.text.render_frame(context)


_FIELDS = {"id": "public_id"}  # templates' names -> rows' names
