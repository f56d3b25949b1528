"""One text of a template: rendered in a single pass, for one receiver or for a group."""

import re
import secrets
from collections.abc import Callable, Hashable, Mapping, Sequence

import orjson

from pushctl.errors import InputError, Problem, TemplateError
from pushctl.model import Action, Json, Message
from pushctl.rules.messages import payload, values
from pushctl.rules.messages.json_templates import JsonTemplate
from pushctl.rules.messages.payload import Frame
from pushctl.templates import recommendations
from pushctl.templates.display_values import find_shown, is_bare
from pushctl.templates.filters import link
from pushctl.templates.links import Added, Links, make_absolute
from pushctl.templates.parts import Parsed, TextParts
from pushctl.templates.sandbox import Field, Refused, Renderer

_SLOTS = ("title", "body", "url", "icon", "image", "badge", "tag")
_IMAGE = _SLOTS.index("image")
_ACTION_SLOTS = ("title", "url", "icon")
_BOUGHT_SLOTS = ("bought:title", "bought:body", "bought:url", "bought:image")
_LINKS = frozenset({"url", "icon", "image", "badge"})
_SHARED = frozenset({"site", "campaign"})
# Values called so are links, in samples.
_LINK_NAMES = ("url", "link", "image", "icon")


# Stands in a template of JSON where a rendered value goes; new in each process, so that no
# text can hold it.
_GAP = f"gap-{secrets.token_hex(8)}-"
_GAP_URL = "https://gap.invalid/"
_GAPS = re.compile(rf'"(?:{re.escape(_GAP_URL)})?{_GAP}(\d+)"'.encode())


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
        self.reviewed, self.of, self.words = text.reviewed, text.of, text.words
        self._require_interaction = parsed.require_interaction
        self._silent = parsed.silent
        self._links = Links(parsed.name, parsed.utm, self.language, self.variant)
        by_slot = {part.slot: part for part in text.parts}
        self._actions = [
            slot.split(":")[1]
            for slot in by_slot
            if slot.startswith("action:") and slot.endswith(":title")
        ]
        slots = [*_SLOTS]
        for name in self._actions:
            slots += [f"action:{name}:{key}" for key in _ACTION_SLOTS]
        # What who has bought while it was in the air sees in its place; None: the same.
        self.thanks = text.thanks
        slots += _BOUGHT_SLOTS if self.thanks else ()
        self._slots = slots
        self._kinds = [slot.rpartition(":")[2] for slot in slots]
        parts = [by_slot.get(slot) for slot in slots]
        self._constants = [part.constant if part else None for part in parts]
        # image = "": no large picture, not even the brand's.
        self._takes_image = by_slot.get("image") is None or self._constants[_IMAGE] != ""
        self._dynamic = [at for at, part in enumerate(parts) if part and part.source]
        sources = [part.source for part in parts if part and part.source]
        self._renderer = self._compile(parsed, sources)
        self._json_templates: dict[Hashable, JsonTemplate] = {}
        self._note_variables(parsed, sources)

    def _note_variables(self, parsed: Parsed, sources: Sequence[Field]) -> None:
        paths = {path for source in sources for path in source.variables}
        roots = {path.partition(".")[0] for path in paths}
        # The template's own [values], as far as this text reads them.
        self._restores = "restore_url" in roots
        read = roots | {"promo"} if self._restores else roots
        self.own = {key: it for key, it in parsed.values.items() if key in read}
        # What this text reads: {"subscriber.city", "attributes.points"}.
        self.variables = frozenset(it for it in paths if it.partition(".")[0] in values.KNOWN)
        self.proposes = any(source.proposes for source in sources)
        # Whether the promo code is shown as it is: any other can take its place.
        self.shows_code = all(is_bare(source.tree, "promo") for source in sources)
        # Attributes for which texts differ in nothing but the value itself.
        self.shown = find_shown(self.variables, sources)
        # Whether two receivers on one site may get different messages.
        self.personal = self.proposes or any(
            it.partition(".")[0] not in _SHARED for it in self.variables
        )

    def _compile(self, parsed: Parsed, sources: Sequence[Field]) -> Renderer | None:
        try:
            return Renderer(sources) if sources else None
        except Refused as error:  # all together; each by itself was checked
            parsed.problems.append(Problem(self.place, error.fault, "Write less in it."))
            return None

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
        key = (
            site["origin"],
            site.get("icon"),
            site.get("badge"),
            site.get("image"),
            self._links.find(site),
        )
        json = self._json_templates.get(key)
        if json is None:
            json = self._json_templates[key] = self._build_json(site)
        try:
            encoded = [orjson.dumps(value) for value in written]
        except TypeError as error:
            raise InputError(f"the message can't be written as JSON: {error}") from error
        return payload.check_size(json.fill(encoded))

    def _render_values(self, context: Mapping[str, Json]) -> list[str | None]:
        """Return the rendered values, in the order of ``_dynamic``."""
        if self._renderer is None:
            return []
        site = context["site"]
        origin, added = site["origin"], self._links.find(site)
        try:
            given = context.get(values.GIVEN)
            rendered: Sequence[str]
            if given is None:
                rendered = self._renderer.render(self._complete(context))
            else:
                rendered = [self._take_given(self._slots[at], given) for at in self._dynamic]
                added = None  # a program's links stay as it wrote them
            return [
                _tidy(self._kinds[at], text, origin, added)
                for at, text in zip(self._dynamic, rendered, strict=True)
            ]
        except (Refused, ValueError) as error:
            raise TemplateError(f"{self.place}: {error}") from error

    def _take_given(self, slot: str, given: Mapping[str, Json]) -> str:
        """
        Return a string as a program gave it: its lines, its length, and no template.

        *given* has ``texts`` by language, ``actions`` by name, and links. Raises Refused.
        """
        kind, *rest = slot.split(":")
        try:
            if rest:
                found = given["actions"][rest[0]][rest[1]]
            elif kind in ("title", "body"):
                found = given["texts"][self.language][kind]
            else:
                found = given[kind]
        except (LookupError, TypeError):
            raise Refused(f"no {slot} was given") from None
        return str(found)

    def _complete(self, context: Mapping[str, Json]) -> Mapping[str, Json]:
        """Return *context* with the template's own values and the link to the basket."""
        if not self.own and not self._restores:
            return context
        found = {**self.own, **context}
        restore = found.pop(values.RESTORE, None)
        url = restore(found.get("promo")) if restore else found.get("restore_url")
        return {**found, "restore_url": link(url)} if url else found

    def _build_message(
        self, written: Sequence[str | None], site: Mapping[str, Json]
    ) -> Message:
        origin, added = site["origin"], self._links.find(site)
        try:
            texts = [
                None if text is None else _tidy(kind, text, origin, added)
                for kind, text in zip(self._kinds, self._constants, strict=True)
            ]
        except ValueError as error:
            raise TemplateError(f"{self.place}: {error}") from error
        for at, value in zip(self._dynamic, written, strict=True):
            texts[at] = value
        title, body, url, icon, image, badge, tag, *rest = texts
        rest, thanks = (rest[:-4], rest[-4:]) if self.thanks else (rest, [])
        start = _tidy("url", "/", origin, added) or origin
        return Message(
            title=title or "",
            body=body or "",
            url=url or start,
            language=self.language,
            dir=self.dir,
            icon=icon or site.get("icon"),
            image=image or (site.get("image") if self._takes_image else None),
            badge=badge or site.get("badge"),
            actions=tuple(
                Action(name, rest[at] or name, rest[at + 1], rest[at + 2])
                for name, at in zip(self._actions, range(0, len(rest), 3), strict=True)
            ),
            tag=tag,
            require_interaction=self._require_interaction,
            silent=self._silent,
            data=self._build_thanks(thanks, tag, start) if thanks else {},
        )

    def _build_thanks(
        self, texts: Sequence[str | None], tag: str | None, start: str
    ) -> dict[str, Json]:
        title, body, url, image = texts
        shown = {
            "title": title,
            "body": body,
            "navigate": url or start,
            "lang": self.language,
            "dir": self.dir,
            "image": image,
            "tag": tag,
        }
        return {payload.BOUGHT: {name: it for name, it in shown.items() if it is not None}}

    def _build_json(self, site: Mapping[str, Json]) -> JsonTemplate:
        marks = [
            f"{_GAP_URL if self._kinds[at] in _LINKS else ''}{_GAP}{order}"
            for order, at in enumerate(self._dynamic)
        ]
        # What stands for values may be longer than they are: the size is each message's own.
        return JsonTemplate.cut(payload.write_frame(self._build_message(marks, site)), _GAPS)


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


def build_sample(
    text: Text, write: Callable[[str], Json] = lambda name: "x"
) -> dict[str, Json]:
    """Return a context with ``write(name)`` for every variable that *text* reads."""
    context: dict[str, Json] = {"site": values.site("shop", "https://shop.example")}
    if text.proposes:
        context[values.GOODS] = recommendations.Sample(write)
    for path in sorted(text.variables):
        root, *rest = path.split(".")
        if root == "cart":
            context["cart"] = _build_cart(write)
        elif root == "restore_url":
            context[root] = link("/cart")
        elif root == "site" or root in text.own:
            continue
        elif path in _DIGEST:
            context.setdefault(root, {})[rest[0]] = _DIGEST[path](write)
        elif not rest:
            context.setdefault(root, write(root))
        else:
            _put(context, [root, *rest], write)
    return context


# What a digest of a feed has beside texts.
_DIGEST: Mapping[str, Callable[[Callable[[str], str]], Json]] = {
    "event.count": lambda write: 3,
    "event.news": lambda write: [{"title": write("title"), "url": "/"}] * 3,
}


def _put(table: dict[str, Json], path: list[str], write: Callable[[str], str]) -> None:
    *above, name = path
    for key in above:
        if not isinstance(table.get(key), dict):
            table[key] = {}
        table = table[key]
    table.setdefault(name, "/" if name.endswith(_LINK_NAMES) else write(name))


def _build_cart(write: Callable[[str], Json]) -> dict[str, Json]:
    # The keys of rules/shops/cart.read.
    name = write("product")
    item = {"id": "1", "name": name, "url": "/", "price": 49, "quantity": 1, "line": "1"}
    return {
        "items": [item], "names": [name], "count": 1, "several": False, "total": 49,
        "currency": "EUR", "url": "/cart",
    }  # fmt: skip


def _tidy(kind: str, text: str, origin: str, added: Added | None) -> str | None:
    """
    Return one string as a message holds it; None for an optional one that is empty.

    *added* are the parameters of the site's links.

    Raises ValueError for an empty title or label and for what is no http(s) URL.
    """
    if kind == "body":
        text = text.strip()
        return "\n".join(map(str.strip, text.split("\n"))) if "\n" in text else text
    if kind in _LINKS:
        found = make_absolute(text.strip(), origin) if text and not text.isspace() else None
        return added.extend(found) if added and found and kind == "url" else found
    text = " ".join(text.split())
    if not text and kind == "title":
        raise ValueError("the title, or an action's, is empty")
    return text or None
