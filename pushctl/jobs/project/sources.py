"""The sources of a project: their addresses, their secrets, and what is amiss with them."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from pushctl import source_secrets
from pushctl.config import Config
from pushctl.errors import NotFoundError, Problem, UsageError
from pushctl.model import Millis
from pushctl.rules import tokens
from pushctl.rules.config.structure import suggest
from pushctl.rules.shops import promo_codes, told
from pushctl.rules.shops.sources import Source, fill_times, load_kind
from pushctl.rules.units import SECOND

Shown = dict[str, Any]


def load(config: Config, now: Millis) -> list[Shown]:
    """Return a row for each source: name, kind, site, url, secrets, until, missing."""
    entries = source_secrets.load(config.keys)
    return [
        _describe(config, one, entries.get(one.name, source_secrets.Entry()), now)
        for one in config.sources.values()
    ]


def _describe(
    config: Config, source: Source, entry: source_secrets.Entry, now: Millis
) -> Shown:
    valid = len(entry.list_valid(now))
    return {
        "name": source.name,
        "kind": source.kind,
        "site": source.site,
        "url": make_url(config, source),
        "secrets": valid,
        "until": entry.until if valid > 1 else None,
        "words": ", ".join(sorted(entry.words)) or None,
    }


def make_url(config: Config, source: Source) -> str:
    """Return the address that the other program sends to."""
    base = config.receiver.url or f"http://{config.receiver.listen}"
    return f"{base.rstrip('/')}{source.path}"


def find(config: Config, name: str) -> Source:
    """Return the source *name*; raises NotFoundError."""
    source: Source | None = config.sources.get(name)
    if source is None:
        known = suggest(name, config.sources) if config.sources else _HOW
        raise NotFoundError(f"no source is called {name!r}. {known}")
    return source


_HOW = "Write [sources.NAME] in pushctl.toml; docs/shops.md has examples."


def check_word(source: Source, word: str | None) -> None:
    """Raise UsageError where the source's kind has no further secret of that name."""
    words = load_kind(source.kind).words
    if word is None or word in words:
        return
    known = f"It has: {', '.join(sorted(words))}" if words else "It has one secret alone"
    raise UsageError(f"a source of the kind {source.kind} has no secret {word!r}. {known}.")


def set_secret(
    config: Config, source: Source, word: str | None, secret: str, keep: Millis, now: Millis
) -> source_secrets.Entry | None:
    """Write a secret; return the entry where it signs deliveries, None for a *word*."""
    config.keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    if word is not None:
        source_secrets.set_word(config.keys, source.name, word, secret)
        return None
    return source_secrets.set_secret(config.keys, source.name, secret, keep, now)


def generate() -> str:
    """Return a new secret, to be pasted into the shop's settings."""
    return tokens.encode(os.urandom(32))


def describe_change(config: Config, source: Source, entry: source_secrets.Entry | None) -> str:
    """Return what a person has to know after ``set_secret``."""
    file = config.keys / source_secrets.NAME
    if entry is None:
        return f"Kept in {file}."
    text = f"Kept in {file}. Let the shop send to {make_url(config, source)}"
    if entry.former:
        until = datetime.fromtimestamp(entry.until / SECOND, UTC)
        text += f"\nThe former secret is valid until {until:%Y-%m-%d %H:%M} UTC."
    return text


def read_headers(lines: Iterable[str]) -> dict[str, str]:
    """Return headers that were typed as "Name: value"; raises UsageError."""
    found = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise UsageError(
                f"{line!r} is no header. Write it like 'X-Shopify-Topic: orders/paid'"
            )
        found[name.strip()] = value.strip()
    return found


def try_delivery(
    config: Config, source: Source, raw: bytes, headers: Mapping[str, str], now: Millis
) -> tuple[list[str] | None, list[str]]:
    """
    Return what a delivery would bring into the inbox, as lines of JSON; and what it lacks.

    The signature is not looked at. None: it says nothing. Promo codes are masked.
    Raises InputError for what can't be read.
    """
    kind = load_kind(source.kind)
    secret = config.email_secret()
    heads = {name.lower(): value for name, value in headers.items()}
    found = kind.read(
        raw,
        heads,
        source.options,
        lambda one: tokens.hash_email(secret, one) if secret else None,
    )
    lacking = kind.list_unfound(raw, source.options)
    if found is None:
        return None, lacking
    said = fill_times(found._replace(source=source.name), now)
    body = json.loads(told.encode(said))
    for order in body.get("orders", ()):
        if "codes" in order:
            order["codes"] = [promo_codes.mask(code) for code in order["codes"]]
    return json.dumps(body, indent=2, ensure_ascii=False).splitlines(), lacking


def describe_nothing(source: Source, headers: Mapping[str, str]) -> str:
    """Return, for people, why a delivery brings nothing in."""
    example = load_kind(source.kind).topic
    if example is None or example.partition(":")[0].lower() in map(str.lower, headers):
        return "It says nothing that would be kept."
    return f'Its topic is missing. Add the header that comes with it: --header "{example}"'


def find_problems(config: Config) -> Iterator[Problem]:
    """Yield sources that refuse everything, and secrets that no source uses."""
    entries = source_secrets.load(config.keys)
    for name in config.sources:
        if not entries.get(name, source_secrets.Entry()).secret:
            text = "has no secret, so every delivery is refused"
            remedy = f"Run: pushctl sources secret {name}"
            yield Problem(f"{config.file.name}: sources.{name}", text, remedy)
    for name in entries.keys() - config.sources.keys():
        text = f"has a secret of {name[:64]!r}, which is no source of pushctl.toml"
        remedy = f"Write [sources.{name[:64]}], or remove the secret from that file."
        yield Problem(f"{config.keys.name}/{source_secrets.NAME}", text, remedy)
