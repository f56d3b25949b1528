"""
Claimed rows -> letters: each text is rendered once for all who get the same.

Rows with equal values of the text's variables share a rendering; only their tokens differ.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from operator import attrgetter

import orjson

from pushctl import log
from pushctl.config import Config
from pushctl.errors import InputError, PushctlError
from pushctl.jobs.delivery.types import RenderedRow, UnrenderedRow
from pushctl.jobs.subscribers.segments import Segments
from pushctl.model import Campaign, Cause, Json, Letter, Millis
from pushctl.rules import tokens
from pushctl.rules.delivery import retry
from pushctl.rules.messages import payload, values
from pushctl.rules.messages.payload import Frame
from pushctl.store.deliveries import ClaimedRow
from pushctl.store.faults import concerns_one
from pushctl.templates import Template, Text

MAX_FRAMES = 5_000  # kept for one text: where all differ they would fill the memory

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
        config: Config,
        keys: frozenset[str] | None,
        shared: Mapping[str, Json],
        *,
        segments: Segments | None = None,
        extras: Extras | None = None,
    ) -> None:
        self._template = template
        self._keys = keys
        self._shared = shared
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
        extras = self._extras(rows) if self._extras else {}
        for row in rows:
            if self._keys is not None and row.key_id not in self._keys:
                reason = f"made with the key {row.key_id}, which is not in keys/"
                yield UnrenderedRow(row.id, "skipped", reason, Cause.KEY_MISSING)
                continue
            try:
                group = self._group(row, segments.get(row.subscription, ()))
                frame = group.frame(row, extras.get(row.id))
            except Exception as error:
                if not concerns_one(error):
                    raise
                reason = self._explain(error)
                yield UnrenderedRow(row.id, "rejected", reason, Cause.NO_MESSAGE)
                continue
            yield row, frame, group.text.language

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
        text = self._template.choose(row.language, segments, site.language, row.variant)
        # Many languages lead to the same text: they share its renderings.
        shared = (id(text), row.site)
        if shared not in self._groups:
            images = {"icon": site.brand.icon, "badge": site.brand.badge}
            known = values.site(site.name, site.origin, site.brand.name, **images)
            self._groups[shared] = _Group(text, known, self._shared)
        group = self._groups[key] = self._groups[shared]
        return group


class Renderer(Composer):
    """Renders the letters of one campaign; *keys* are the ids of the VAPID keys."""

    def __init__(
        self,
        campaign: Campaign,
        template: Template,
        config: Config,
        keys: frozenset[str],
        *,
        segments: Segments | None = None,
        extras: Extras | None = None,
    ) -> None:
        settings, options = template.settings, campaign.options
        shared = collect_shared_values(campaign.name, options)
        super().__init__(template, config, keys, shared, segments=segments, extras=extras)
        self._secret = config.secret()
        self._ttl = int(options.get("ttl", settings.ttl))
        self._urgency = str(options.get("urgency", settings.urgency))
        self._topic = tokens.topic(self._secret, campaign.id) if settings.topic else None
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

    def _rendered(
        self, row: ClaimedRow, frame: Frame, language: str, now: Millis
    ) -> RenderedRow:
        letter = Letter(
            row.id,
            row.endpoint,
            row.p256dh,
            row.auth,
            row.key_id,
            frame.with_token(tokens.message_token(self._secret, row.id)),
            self._seconds(row.expires_at, now),
            self._urgency,
            self._topic,
        )
        lane = (cut_origin(row.endpoint), row.key_id)
        return RenderedRow(
            letter, lane, row.tries, row.expires_at, row.subscription, language, row.failures
        )

    def _seconds(self, expires_at: Millis | None, now: Millis) -> int:
        ttl = self._lives.get(expires_at)
        if ttl is None:
            ttl = retry.seconds_left(expires_at, now, self._ttl)
            self._lives[expires_at] = ttl
        return ttl


def collect_shared_values(name: str, options: Mapping[str, Json]) -> dict[str, Json]:
    """Return the values that are a campaign's own, for all its receivers."""
    return {"campaign": {"name": name}, **options.get("extra", {})}


def cut_origin(endpoint: str) -> str:
    """Return the origin of a stored endpoint, without checking it anew."""
    # push/ refuses one without a path, with the reason.
    path = endpoint.find("/", 8)
    return endpoint[:path] if path > 0 else endpoint


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
            return self._render(row, {**self._shared, **extra})
        if self._asked > MAX_FRAMES and self._known * 20 < self._asked:
            return self._render(row, self._shared)  # hardly any two are equal
        key = self._key(row)
        frame = self._frames.get(key)
        self._asked += 1
        if frame is not None:
            self._known += 1
            return frame
        if len(self._frames) >= MAX_FRAMES:
            self._frames.clear()
        frame = self._frames[key] = self._render(row, self._shared)
        return frame

    def _key(self, row: ClaimedRow) -> Hashable:
        if not self._personal:
            return row.small_payload
        key: list[Hashable] = [row.small_payload, self._plain(row)]
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
        if row.small_payload:
            return payload.frame(payload.fit(self.text.render(context)))
        return self.text.render_frame(context)


_FIELDS = {"id": "public_id"}  # templates' names -> rows' names
