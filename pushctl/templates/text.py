"""One text of a template: rendered in a single pass, for one receiver or for a group."""

import re
import secrets
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import orjson

from pushctl.errors import InputError, Problem, TemplateError
from pushctl.model import Action, Json, Message
from pushctl.rules.messages import payload, values
from pushctl.rules.messages.payload import Frame
from pushctl.templates.parse import Parsed, TextParts
from pushctl.templates.sandbox import Refused, Renderer

_SLOTS = ("title", "body", "url", "icon", "image", "badge", "tag")
_ACTION_SLOTS = ("title", "url", "icon")
_LINKS = frozenset({"url", "icon", "image", "badge"})
_SHARED = frozenset({"site", "campaign"})

# Stands in a skeleton where a rendered value goes; new in each process, so that no
# text can hold it.
_GAP = f"gap-{secrets.token_hex(8)}-"
_GAP_URL = "https://gap.invalid/"
_GAPS = re.compile(rf'"(?:{re.escape(_GAP_URL)})?{_GAP}(\d+)"'.encode())


class _Skeleton(NamedTuple):
    """The JSON of a text on one site: constants, with gaps for rendered values."""

    head: bytes  # with %b for each gap
    gaps: tuple[int, ...]  # which rendered value goes where
    tail: bytes


class Text:
    """A file's title, body, links and labels; ``Template.choose`` returns one."""

    def __init__(self, parsed: Parsed, text: TextParts) -> None:
        self.template = parsed.name
        self.file = text.file
        self.place = f"templates/{parsed.name}/{text.file}"
        self.language = text.language
        self.segment = text.segment
        self.variant = text.variant or "a"
        self.dir = text.dir
        self._require_interaction = parsed.require_interaction
        self._silent = parsed.silent
        by_slot = {part.slot: part for part in text.parts}
        self._actions = [it.split(":")[1] for it in by_slot if it.endswith(":title")]
        slots = [*_SLOTS]
        for name in self._actions:
            slots += [f"action:{name}:{key}" for key in _ACTION_SLOTS]
        self._kinds = [slot.rpartition(":")[2] for slot in slots]
        parts = [by_slot.get(slot) for slot in slots]
        self._constants = [part.constant if part else None for part in parts]
        self._dynamic = [at for at, part in enumerate(parts) if part and part.source]
        sources = [part.source for part in parts if part and part.source]
        self._renderer = Renderer(sources) if sources else None
        paths = {path for source in sources for path in source.variables}
        roots = {path.partition(".")[0] for path in paths}
        # The template's own [values], as far as this text reads them.
        self.own = {key: it for key, it in parsed.values.items() if key in roots}
        # What this text reads: {"subscriber.city", "attributes.points"}.
        self.variables = frozenset(it for it in paths if it.partition(".")[0] in values.KNOWN)
        # Whether two receivers on one site may get different messages.
        self.personal = any(it.partition(".")[0] not in _SHARED for it in self.variables)
        self._skeletons: dict[Hashable, _Skeleton] = {}

    def render(self, context: Mapping[str, Json]) -> Message:
        """
        Return the message for the values of ``rules.values.context``.

        Raises TemplateError, on one line, when a value is missing or makes no URL: this
        receiver can't get this text.
        """
        return self._build_message(self._render_values(context), context["site"])

    def render_frame(self, context: Mapping[str, Json]) -> Frame:
        """
        Return ``payload.frame(self.render(context))``, at a third of its cost.

        Raises TemplateError as ``render`` does, InputError as ``payload.frame`` does.
        """
        written, site = self._render_values(context), context["site"]
        if None in written:  # an optional link came out empty
            return payload.frame(self._build_message(written, site))
        key = (site["origin"], site.get("icon"), site.get("badge"))
        skeleton = self._skeletons.get(key)
        if skeleton is None:
            skeleton = self._skeletons[key] = self._build_skeleton(site)
        try:
            encoded = [orjson.dumps(value) for value in written]
        except TypeError as error:
            raise InputError(f"the message can't be written as JSON: {error}") from error
        head = skeleton.head % tuple([encoded[at] for at in skeleton.gaps])
        return payload.check_size(Frame(head, skeleton.tail))

    def _render_values(self, context: Mapping[str, Json]) -> list[str | None]:
        """Return the rendered values, in the order of ``_dynamic``."""
        if self._renderer is None:
            return []
        origin = context["site"]["origin"]
        try:
            rendered = self._renderer.render({**self.own, **context} if self.own else context)
            return [
                _tidy(self._kinds[at], text, origin)
                for at, text in zip(self._dynamic, rendered, strict=True)
            ]
        except (Refused, ValueError) as error:
            raise TemplateError(f"{self.place}: {error}") from error

    def _build_message(
        self, written: Sequence[str | None], site: Mapping[str, Json]
    ) -> Message:
        try:
            texts = [
                None if text is None else _tidy(kind, text, site["origin"])
                for kind, text in zip(self._kinds, self._constants, strict=True)
            ]
        except ValueError as error:
            raise TemplateError(f"{self.place}: {error}") from error
        for at, value in zip(self._dynamic, written, strict=True):
            texts[at] = value
        title, body, url, icon, image, badge, tag, *rest = texts
        return Message(
            title=title or "",
            body=body or "",
            url=url or f"{site['origin']}/",
            language=self.language,
            dir=self.dir,
            icon=icon or site.get("icon"),
            image=image,
            badge=badge or site.get("badge"),
            actions=tuple(
                Action(name, rest[at] or name, rest[at + 1], rest[at + 2])
                for name, at in zip(self._actions, range(0, len(rest), 3), strict=True)
            ),
            tag=tag,
            require_interaction=self._require_interaction,
            silent=self._silent,
        )

    def _build_skeleton(self, site: Mapping[str, Json]) -> _Skeleton:
        marks = [
            f"{_GAP_URL if self._kinds[at] in _LINKS else ''}{_GAP}{order}"
            for order, at in enumerate(self._dynamic)
        ]
        made = payload.frame(self._build_message(marks, site))
        # Literal text and gaps in turn; gaps are filled by "%".
        pieces = _GAPS.split(made.head)
        literal = [piece.replace(b"%", b"%%") for piece in pieces[::2]]
        return _Skeleton(b"%b".join(literal), tuple(map(int, pieces[1::2])), made.tail)


def find_size_problem(text: Text) -> Problem | None:
    """Return a problem when *text* can't fit a push message whatever its values are."""
    try:
        payload.frame(text.render(build_sample(text)))
    except TemplateError as error:
        if text.personal:
            return None  # a sample value of the wrong type proves nothing
        return Problem(text.place, str(error).partition(": ")[2], "See docs/templates.md.")
    except InputError as error:
        return Problem(text.place, str(error), "Shorten the text, or URLs in message.toml.")
    return None


def build_sample(text: Text, write: Callable[[str], str] = lambda name: "x") -> dict[str, Json]:
    """Return a context with ``write(name)`` for every variable that *text* reads."""
    context: dict[str, Json] = {"site": values.site("shop", "https://shop.example")}
    for path in sorted(text.variables):
        root, *rest = path.split(".")
        if root == "cart":
            context["cart"] = _build_cart(write)
        elif root == "site" or root in text.own:
            continue
        elif not rest:
            context.setdefault(root, write(root))
        else:
            _put(context, [root, *rest], write)
    return context


def _put(table: dict[str, Json], path: list[str], write: Callable[[str], str]) -> None:
    *above, name = path
    for key in above:
        if not isinstance(table.get(key), dict):
            table[key] = {}
        table = table[key]
    table.setdefault(name, "/" if name.endswith(("url", "link")) else write(name))


def _build_cart(write: Callable[[str], str]) -> dict[str, Json]:
    # The keys of rules/shops/cart.read.
    name = write("product")
    item = {"id": "1", "name": name, "url": "/", "price": 49, "quantity": 1, "line": "1"}
    return {
        "items": [item], "names": [name], "count": 1, "several": False, "total": 49,
        "currency": "EUR", "url": "/cart",
    }  # fmt: skip


def _tidy(kind: str, text: str, origin: str) -> str | None:
    """
    Return one string as a message holds it; None for an optional one that is empty.

    Raises ValueError for an empty title or label and for what is no http(s) URL.
    """
    if kind == "body":
        text = text.strip()
        return "\n".join(map(str.strip, text.split("\n"))) if "\n" in text else text
    if kind in _LINKS:
        return _make_absolute(text.strip(), origin) if text and not text.isspace() else None
    text = " ".join(text.split())
    if not text and kind == "title":
        raise ValueError("the title, or an action's, is empty")
    return text or None


def _make_absolute(link: str, origin: str) -> str:
    """Return *link* as an absolute http(s) URL; ValueError when it is none."""
    if link[0] == "/" and link[1:2] not in ("/", "\\"):
        link = origin + link
    if not link.isascii() or " " in link:
        parts = urlsplit(link)
        host = parts.netloc.encode("idna").decode("ascii") if parts.netloc else ""
        rest = quote(link.partition(parts.netloc)[2], safe="%/:?#[]@!$&'()*+,;=~")
        link = f"{parts.scheme}://{host}{rest}"
    if not payload.is_link(link):
        raise ValueError(
            f"{link[:200]!r} is no http or https URL, nor a path that starts with /"
        )
    return link
