"""One text of a template: rendered in a single pass, for one receiver or for a group."""

from collections.abc import Callable, Hashable, Mapping
from urllib.parse import quote, urlsplit

from pushctl.errors import InputError, Problem, TemplateError
from pushctl.model import Action, Json, Message
from pushctl.rules import payload, values
from pushctl.templates.parse import Parsed, TextParts
from pushctl.templates.sandbox import Refused, Renderer

_SLOTS = ("title", "body", "url", "icon", "image", "badge", "tag")
_SHARED = frozenset({"site", "campaign"})


class Text:
    """A file's title, body, links and labels; what ``Template.choose`` returns."""

    def __init__(self, parsed: Parsed, text: TextParts) -> None:
        self.template = parsed.name
        self.file = text.file
        self.language = text.language
        self.segment = text.segment
        self.variant = text.variant or "a"
        self.dir = text.dir
        self._require_interaction = parsed.require_interaction
        self._silent = parsed.silent
        by_slot = {part.slot: part for part in text.parts}
        names = [slot.split(":")[1] for slot in by_slot if slot.endswith(":title")]
        self._actions = tuple(names)
        slots = [*_SLOTS]
        for name in names:
            slots += [f"action:{name}:{key}" for key in ("title", "url", "icon")]
        parts = [by_slot.get(slot) for slot in slots]
        self._constants = [None if part is None else part.constant for part in parts]
        sources = [
            (index, part.source)
            for index, part in enumerate(parts)
            if part is not None and part.source is not None
        ]
        self._dynamic = tuple(index for index, _ in sources)
        self._links = tuple(
            index
            for index, slot in enumerate(slots)
            if slot.rpartition(":")[2] in ("url", "icon", "image", "badge")
        )
        self._renderer = Renderer([source for _, source in sources]) if sources else None
        paths = {path for _, source in sources for path in source.variables}
        roots = {path.partition(".")[0] for path in paths}
        self.own = {key: it for key, it in parsed.values.items() if key in roots}
        self._variables = frozenset(it for it in paths if it.partition(".")[0] in values.KNOWN)
        self._personal = tuple(
            tuple(path.split("."))
            for path in sorted(self._variables)
            if path.partition(".")[0] not in _SHARED
        )
        self._resolved: dict[str, list[str | None]] = {}

    def variables(self) -> frozenset[str]:
        """Return what this text reads: {"subscriber.city", "attributes.points"}."""
        return self._variables

    @property
    def personal(self) -> bool:
        """Whether two receivers on one site may get different messages."""
        return bool(self._personal)

    def group(self, context: Mapping[str, Json]) -> Hashable:
        """Return a key that is equal for receivers with identical messages of this text."""
        key: list[Hashable] = [context["site"]["name"]]
        for root, *rest in self._personal:
            value: Json = context.get(root)
            for name in rest:
                value = value.get(name) if isinstance(value, dict) else None
            # 1, 1.0 and True are equal in Python and written differently.
            key.append(value if isinstance(value, str) else repr(value))
        return tuple(key)

    def render(self, context: Mapping[str, Json]) -> Message:
        """
        Return the message for the values of ``rules.values.context``.

        Raises TemplateError, on one line, when a value is missing or makes no URL: this
        receiver can't get this text.
        """
        site = context["site"]
        texts = list(self._constants_of(site["origin"]))
        if self._renderer is not None:
            try:
                rendered = self._renderer.render({**self.own, **context})
                for index, text in zip(self._dynamic, rendered, strict=True):
                    texts[index] = text
                for index in self._links:
                    if index in self._dynamic:
                        texts[index] = _absolute(texts[index] or "", site["origin"])
            except (Refused, ValueError) as error:
                raise TemplateError(
                    f"templates/{self.template}/{self.file}: {error}"
                ) from error
        title, body, url, icon, image, badge, tag, *actions = texts
        title = " ".join((title or "").split())
        if not title:
            raise TemplateError(f"templates/{self.template}/{self.file}: the title is empty")
        return Message(
            title=title,
            body="\n".join(line.strip() for line in (body or "").strip().split("\n")),
            url=url or site["origin"],
            language=self.language,
            dir=self.dir,
            icon=icon or site.get("icon"),
            image=image,
            badge=badge or site.get("badge"),
            actions=self._buttons(actions) if self._actions else (),
            tag=tag,
            require_interaction=self._require_interaction,
            silent=self._silent,
        )

    def _buttons(self, texts: list[str | None]) -> tuple[Action, ...]:
        return tuple(
            Action(name, texts[at] or name, texts[at + 1], texts[at + 2])
            for name, at in zip(self._actions, range(0, len(texts), 3), strict=True)
        )

    def _constants_of(self, origin: str) -> list[str | None]:
        found = self._resolved.get(origin)
        if found is None:
            found = list(self._constants)
            for index in self._links:
                link = found[index]
                if link is not None and index not in self._dynamic:
                    try:
                        found[index] = _absolute(link, origin)
                    except ValueError as error:
                        raise TemplateError(
                            f"templates/{self.template}/{self.file}: {error}"
                        ) from error
            self._resolved[origin] = found
        return found


def too_large(name: str, text: Text) -> Problem | None:
    """Return a problem when *text* can't fit a push message whatever its values are."""
    place = f"templates/{name}/{text.file}"
    try:
        payload.frame(text.render(sample(text)))
    except TemplateError as error:
        if text.personal:
            return None  # a sample value of the wrong type proves nothing
        return Problem(place, str(error).partition(": ")[2], "See docs/templates.md.")
    except InputError as error:
        return Problem(place, str(error), "Shorten the text, or the URLs in message.toml.")
    return None


def sample(text: Text, write: Callable[[str], str] = lambda name: "x") -> dict[str, Json]:
    """Return a context with ``write(name)`` for every variable that *text* reads."""
    context: dict[str, Json] = {"site": values.site("shop", "https://shop.example")}
    for path in sorted(text.variables()):
        root, *rest = path.split(".")
        if root == "cart":
            context["cart"] = _sample_cart(write)
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


def _sample_cart(write: Callable[[str], str]) -> dict[str, Json]:
    # The keys of rules/cart.read.
    name = write("product")
    item = {"id": "1", "name": name, "url": "/", "price": 49, "quantity": 1, "line": "1"}
    return {
        "items": [item], "names": [name], "count": 1, "several": False, "total": 49,
        "currency": "EUR", "url": "/cart",
    }  # fmt: skip


def _absolute(link: str, origin: str) -> str:
    """Return *link* as an absolute http(s) URL; ValueError when it is none."""
    link = link.strip()
    if link.startswith("/") and not link.startswith(("//", "/\\")):
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
