"""
keys/sources.toml: the secrets by which deliveries of sources are verified (0600).

A source has one secret, and for a time the former one, so that a shop's secret can be
changed without losing a delivery. Some kinds have further secrets (``words``).
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from pushctl import durable, lock, secret_files
from pushctl.errors import ConfigError, InputError
from pushctl.model import Millis
from pushctl.rules.limits import MAX_SECRET_CHARACTERS
from pushctl.rules.shops.sources import Secrets
from pushctl.rules.units import SECOND

NAME = "sources.toml"
LOOK_SECONDS = 1.0  # between looks at the file
_LOCK = "sources.lock"
_HEAD = """\
# Secrets of the sources in pushctl.toml. Change them with `pushctl sources secret NAME`.
# "former" is accepted as well, until its time is over.
"""


@dataclass(frozen=True)
class Entry:
    """The secrets of one source; "" where it has none yet."""

    secret: str = field(default="", repr=False)
    former: str = field(default="", repr=False)
    until: Millis = 0  # the end of *former*
    words: Mapping[str, str] = field(default_factory=dict, repr=False)

    def list_valid(self, now: Millis) -> list[str]:
        """Return the secrets that may have signed a delivery that comes *now*."""
        valid = [self.secret, self.former if now < self.until else ""]
        return [one for one in valid if one]


def load(folder: Path) -> dict[str, Entry]:
    """Return the secrets by source; ConfigError for a file that can't be read."""
    file = folder / NAME
    text = f"{file} is no TOML. Write the secrets anew: pushctl sources secret NAME"
    found = secret_files.read(file, lambda _: ConfigError(text))
    return {name: _read_entry(file, name, about) for name, about in found.items()}


def set_secret(folder: Path, name: str, secret: str, keep: Millis, now: Millis) -> Entry:
    """
    Give the source *name* a new secret, and return its entry.

    The former one stays valid for *keep*. The same secret again changes nothing.
    """
    _check(secret)
    with _change(folder) as entries:
        known = entries.get(name, Entry())
        if known.secret == secret:
            return known
        former = known.secret if keep > 0 else ""
        changed = replace(
            known, secret=secret, former=former, until=now + keep if former else 0
        )
        entries[name] = changed
    return changed


def set_word(folder: Path, name: str, word: str, secret: str) -> None:
    """Give the source *name* the further secret *word*."""
    _check(secret)
    with _change(folder) as entries:
        known = entries.get(name, Entry())
        entries[name] = replace(known, words={**known.words, word: secret})


def _check(secret: str) -> None:
    if not 0 < len(secret) <= MAX_SECRET_CHARACTERS or not secret.isprintable():
        raise InputError(
            f"a secret is one line of at most {MAX_SECRET_CHARACTERS} characters. Copy it "
            "whole from your shop's settings."
        )


@contextmanager
def _change(folder: Path) -> Iterator[dict[str, Entry]]:
    with lock.hold(folder / _LOCK, keep=False):
        entries = load(folder)
        before = dict(entries)
        yield entries
        if entries != before:
            text = "".join([_HEAD, *(_write_entry(*one) for one in entries.items())])
            durable.replace(folder / NAME, text.encode(), 0o600)


def _write_entry(name: str, entry: Entry) -> str:
    import tomlkit

    table = tomlkit.table()
    table["secret"] = entry.secret
    if entry.former:
        table["former"] = entry.former
        table["until"] = datetime.fromtimestamp(entry.until / SECOND, UTC).replace(
            microsecond=0
        )
    if entry.words:
        table["words"] = dict(entry.words)
    return "\n" + tomlkit.dumps({name: table})


def _read_entry(file: Path, name: str, about: object) -> Entry:
    if not isinstance(about, dict):
        raise _fault(file, name, "is no table")
    secret, former = about.get("secret", ""), about.get("former", "")
    until, words = about.get("until"), about.get("words", {})
    if not isinstance(words, dict):
        raise _fault(file, name, "has words that are no table")
    if not all(isinstance(one, str) for one in (secret, former, *words.values())):
        raise _fault(file, name, "has a secret that is no text in quotes")
    if former and not isinstance(until, datetime):
        raise _fault(file, name, "has a former secret without until = 2026-04-28T08:00:00Z")
    end = 0
    if isinstance(until, datetime):
        end = round(until.replace(tzinfo=until.tzinfo or UTC).timestamp() * SECOND)
    return Entry(secret, former, end, words)


def _fault(file: Path, name: str, what: str) -> ConfigError:
    return ConfigError(f"{file}: [{name[:64]}] {what}. Run: pushctl sources secret {name[:64]}")


class Reader:
    """
    The secrets for a program that runs on: read again when the file has changed.

    It looks at most once a second. A file that can't be read any more changes nothing:
    *note* gets the reason once.
    """

    def __init__(
        self,
        folder: Path,
        note: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = folder / NAME
        self._note = note
        self._clock = clock
        self._looked = -LOOK_SECONDS
        self._version: tuple[int, int, int] | None = None
        self._entries: Mapping[str, Entry] = {}

    def find(self, name: str, now: Millis) -> Secrets:
        """Return the secrets of the source *name* that are valid *now*."""
        if self._clock() - self._looked >= LOOK_SECONDS:
            self._looked = self._clock()
            self._look()
        entry = self._entries.get(name, Entry())
        words = {key: value.encode() for key, value in entry.words.items()}
        return Secrets.of((one.encode() for one in entry.list_valid(now)), words)

    def _look(self) -> None:
        try:
            found = self._file.stat()
            version = (found.st_ino, found.st_size, found.st_mtime_ns)
        except OSError:
            version = None
        if version == self._version:
            return
        self._version = version
        try:
            self._entries = load(self._file.parent)
        except ConfigError as error:
            self._note(str(error))
