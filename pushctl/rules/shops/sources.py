"""
Sources: other programs that send signed webhooks to /hooks/NAME, each of a kind.

A kind is a module beside this one. It has ``Options`` (a frozen dataclass, the settings of
its own below [sources.NAME]) and these functions; *headers* have names in lower case:

- ``verify(raw, headers, secrets, now, options)`` raises Refused unless one of *secrets*
  signed *raw*, the body's bytes.
- ``read(raw, headers, options, email)`` returns what the delivery says, or None where it
  says nothing for us (200, no effect); *email* hashes an address. A time of 0 stands for
  that of receipt. Raises InputError for a form that no delivery has; its text repeats
  nothing of the delivery.
- ``answer(raw, headers, secrets, now, options)``, optional, returns the content type and
  the body of the 200.
- ``note(raw, headers, options)``, optional, returns what a person has to do after a
  delivery, for the log, or None; it names nobody.
- ``is_ping(raw, headers)``, optional, returns whether a POST is an unsigned test of the
  address.
- ``TOPIC``, optional, is an example of the header without which a delivery says nothing.
- ``list_unfound(raw, options)``, optional, returns the settings whose paths find nothing in
  a delivery.

GETS = True: a bare GET is answered with 200, too. WORDS names further secrets of the kind.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, NamedTuple

from pushctl.model import Millis
from pushctl.rules.config import checks
from pushctl.rules.config.structure import Fault, structure, suggest
from pushctl.rules.shops.told import Told

PREFIX = "/hooks/"
# Kind -> its module.
KINDS = {
    "2checkout": "twocheckout",
    "mapped": "mapped",
    "shopify": "shopify",
    "stripe": "stripe",
    "woocommerce": "woocommerce",
}
# Sources of orders that are no webhooks.
RESERVED = ("page", "api")

Headers = Mapping[str, str]


class Secrets(tuple[bytes, ...]):
    """The secrets that may have signed a delivery; *words* are those for other uses."""

    words: Mapping[str, bytes] = {}

    @classmethod
    def of(cls, secrets: Iterable[bytes], words: Mapping[str, bytes]) -> "Secrets":
        made = cls(secrets)
        made.words = dict(words)
        return made


def _answer_nothing(
    raw: bytes, headers: Headers, secrets: Sequence[bytes], now: Millis, options: Any
) -> tuple[str, bytes]:
    return "text/plain", b""


def _note_nothing(raw: bytes, headers: Headers, options: Any) -> None:
    return None


def _find_all(raw: bytes, options: Any) -> list[str]:
    return []


def _is_no_ping(raw: bytes, headers: Headers) -> bool:
    return False


class Kind(NamedTuple):
    """A kind of sources: what its module declares."""

    options: type
    verify: Callable[[bytes, Headers, Sequence[bytes], Millis, Any], None]
    read: Callable[[bytes, Headers, Any, Callable[[str], str | None]], Told | None]
    answer: Callable[[bytes, Headers, Sequence[bytes], Millis, Any], tuple[str, bytes]]
    note: Callable[[bytes, Headers, Any], str | None]
    is_ping: Callable[[bytes, Headers], bool]
    list_unfound: Callable[[bytes, Any], list[str]]
    gets: bool
    words: Mapping[str, str]  # name -> what it is, for people
    topic: str | None  # "X-Shopify-Topic: orders/paid"


@dataclass(frozen=True)
class Source:
    """[sources.NAME] of pushctl.toml."""

    name: str
    kind: str
    site: str
    options: Any  # the kind's own, a value of its ``Options``

    @property
    def path(self) -> str:
        return f"{PREFIX}{self.name}"


@dataclass(frozen=True)
class _Head:
    kind: str = field(metadata={"remedy": 'Write kind = "shopify"'})
    site: str = field(metadata={"remedy": 'Write site = "shop"'})


def load_kind(name: str) -> Kind:
    """Return a known kind; its module is loaded at first use."""
    module = import_module(f"pushctl.rules.shops.{KINDS[name]}")
    return Kind(
        options=module.Options,
        verify=module.verify,
        read=module.read,
        answer=getattr(module, "answer", _answer_nothing),
        note=getattr(module, "note", _note_nothing),
        is_ping=getattr(module, "is_ping", _is_no_ping),
        list_unfound=getattr(module, "list_unfound", _find_all),
        gets=getattr(module, "GETS", False),
        words=getattr(module, "WORDS", {}),
        topic=getattr(module, "TOPIC", None),
    )


def parse_all(
    tables: Mapping[str, Any], sites: Iterable[str]
) -> tuple[dict[str, Source], list[Fault]]:
    """Return the good ones of [sources.NAME], and every fault in all of them."""
    found: dict[str, Source] = {}
    faults: list[Fault] = []
    known = list(sites)
    for name, table in tables.items():
        source, wrong = _parse(name, table, known)
        faults += wrong
        if source is not None:
            found[name] = source
    return found, faults


def _parse(name: str, table: Any, sites: Sequence[str]) -> tuple[Source | None, list[Fault]]:
    path = ("sources", name)
    if fault := _check_name(name):
        return None, [Fault(path, *fault)]
    if not isinstance(table, Mapping):
        return None, [Fault(path, "is no table", f"Write [sources.{name}].")]
    names = ("kind", "site")
    head, faults = structure(_Head, {key: table[key] for key in names if key in table}, path)
    if head is None:
        return None, faults
    if head.site not in sites:
        faults.append(Fault((*path, "site"), f"has {head.site!r}", suggest(head.site, sites)))
    if head.kind not in KINDS:
        text = f"is {head.kind!r}, which is no kind of source"
        return None, [*faults, Fault((*path, "kind"), text, suggest(head.kind, KINDS))]
    try:
        kind = load_kind(head.kind)
    except ModuleNotFoundError as error:
        text = f"needs the Python package {error.name}, which is not installed"
        remedy = f"Run: pip install 'pushctl[{head.kind}]'"
        return None, [*faults, Fault((*path, "kind"), text, remedy)]
    rest = {key: value for key, value in table.items() if key not in names}
    options, wrong = structure(kind.options, rest, path)
    faults += wrong
    if options is None:
        return None, faults
    return Source(name, head.kind, head.site, options), faults


def _check_name(name: str) -> tuple[str, str] | None:
    if name in RESERVED:
        return "is the name of another source of orders", "Choose another name."
    return checks.named((name, None))


def fill_times(told: Told, now: Millis) -> Told:
    """Return *told* with the time of receipt where the source names none."""
    orders = tuple(one if one.at else one._replace(at=now) for one in told.orders)
    carts = tuple(one if one.at else one._replace(at=now) for one in told.carts)
    return told._replace(orders=orders, carts=carts)
