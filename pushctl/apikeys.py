"""
The keys of the server API: keys/api_keys.toml, 0600.

A secret is shown once, when its key is made; the file has its SHA-256 alone. That is enough:
a secret is 32 random bytes, so nobody finds it by guessing. The receiver reads the file
again within a second of each change, and opens no database for it.
"""

import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from pushctl import durable, lock, secret_files
from pushctl.errors import ConfigError, NotFoundError, UsageError
from pushctl.model import Millis
from pushctl.rules import units

NAME = "api_keys.toml"
LOOK_SECONDS = 1.0  # between looks at the file
# A secret begins so: scanners of repositories and logs can find one that leaked.
PREFIX = "pushctl_"
SECRET = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}", re.ASCII)

# Scope -> what a key with it may do.
SCOPES = {
    "events": "tell what people did, orders included",
    "tags": "add and remove tags",
    "attributes": "set attributes",
    "aliases": "say whose a subscription is",
    "unsubscribe": "unsubscribe people",
    "erase": "erase people for good",
    "messages:person": "send a message to one person",
    "messages:audience": "send a message to a tag, a segment or an audience",
    "read": "read what became of this key's requests",
}
DEFAULT_SCOPES = ("events",)

_LOCK = "api_keys.lock"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{7}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_HEAD = """\
# Keys of the server API. Change them with `pushctl apikeys create` and `apikeys revoke`.
# The secrets do not stand here, only their SHA-256.
"""


@dataclass(frozen=True)
class ApiKey:
    id: str  # 8 characters; names the key in lists and in the log
    label: str
    sha256: str = field(repr=False)  # of the secret, hex
    scopes: frozenset[str]
    site: str
    created: Millis
    expires: Millis | None = None
    revoked: Millis | None = None

    def find_end(self, now: Millis) -> str | None:
        """Return why the key is refused *now*, None while it is valid."""
        if self.revoked is not None:
            return "revoked"
        if self.expires is not None and self.expires <= now:
            return "expired"
        return None


def load(folder: Path) -> dict[str, ApiKey]:
    """Return the keys of *folder* by id, the oldest first; ConfigError for a bad file."""
    file = folder / NAME
    found = secret_files.read(file, lambda error: _fault(file, f"is no TOML: {error}"))
    return {name: _read_key(file, name, about) for name, about in found.items()}


def create(
    folder: Path,
    label: str,
    scopes: Collection[str],
    site: str,
    now: Millis,
    expires: Millis | None = None,
) -> tuple[ApiKey, str]:
    """Make a key and return it with its secret, which nobody can read later."""
    if unknown := sorted(set(scopes) - SCOPES.keys()):
        raise UsageError(f"there is no scope {unknown[0]!r}. Scopes: {', '.join(SCOPES)}")
    secret = PREFIX + secrets.token_urlsafe(32)
    with _change(folder) as keys:
        name = _make_id(keys)
        key = ApiKey(name, label, _hash(secret), frozenset(scopes), site, now, expires)
        keys[name] = key
    return key, secret


def revoke(folder: Path, name: str, now: Millis) -> ApiKey:
    """Revoke the key of that id or label; raises NotFoundError, UsageError for several."""
    with _change(folder) as keys:
        key = find(keys, name)
        if key.revoked is None:
            keys[key.id] = key = replace(key, revoked=now)
    return key


def find(keys: Mapping[str, ApiKey], name: str) -> ApiKey:
    """Return the key of that id, else the one that is called so and is not revoked."""
    if name in keys:
        return keys[name]
    called = [one for one in keys.values() if one.label == name]
    alive = [one for one in called if one.revoked is None] or called
    if not alive:
        raise NotFoundError(f"there is no API key {name!r}. See `pushctl apikeys list`.")
    if len(alive) > 1:
        ids = ", ".join(one.id for one in alive)
        raise UsageError(f"{name!r} stands for several keys: {ids}. Name one.")
    return alive[0]


def _make_id(keys: Collection[str]) -> str:
    # An id never begins like an option.
    while (name := secrets.token_urlsafe(6))[0] in "-_" or name in keys:
        pass
    return name


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@contextmanager
def _change(folder: Path) -> Iterator[dict[str, ApiKey]]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with lock.hold(folder / _LOCK, keep=False):
        keys = load(folder)
        yield keys
        text = "".join([_HEAD, *map(_write_key, keys.values())])
        durable.replace(folder / NAME, text.encode(), 0o600)


def _write_key(key: ApiKey) -> str:
    # A text of JSON is one of TOML.
    lines = [
        f"\n[{key.id}]",
        f"label = {json.dumps(key.label, ensure_ascii=False)}",
        f'sha256 = "{key.sha256}"',
        f"scopes = {json.dumps(sorted(key.scopes))}",
        f"site = {json.dumps(key.site, ensure_ascii=False)}",
    ]
    times = {"created": key.created, "expires": key.expires, "revoked": key.revoked}
    lines += [f"{name} = {_write_time(at)}" for name, at in times.items() if at is not None]
    return "\n".join(lines) + "\n"


def _write_time(at: Millis) -> str:
    moment = datetime.fromtimestamp(at / units.SECOND, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _read_key(file: Path, name: str, about: object) -> ApiKey:
    if not _ID.fullmatch(name) or not isinstance(about, dict):
        raise _fault(file, f"has {name[:40]!r}, which is no table of a key")
    label, sha256, site = (about.get(one) for one in ("label", "sha256", "site"))
    if not isinstance(label, str) or not isinstance(site, str):
        raise _fault(file, f"has no label or no site for {name}")
    if not isinstance(sha256, str) or not _HASH.fullmatch(sha256):
        raise _fault(file, f"has no sha256 of 64 digits for {name}")
    scopes = about.get("scopes")
    if not isinstance(scopes, list) or not all(one in SCOPES for one in scopes):
        raise _fault(file, f"has no scopes, or an unknown one, for {name}")
    created, expires, revoked = (
        _read_time(file, name, one, about.get(one)) for one in ("created", "expires", "revoked")
    )
    if created is None:
        raise _fault(file, f"has no created = 2026-04-28T08:00:00Z for {name}")
    return ApiKey(name, label, sha256, frozenset(scopes), site, created, expires, revoked)


def _read_time(file: Path, name: str, what: str, value: object) -> Millis | None:
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise _fault(file, f"has no {what} = 2026-04-28T08:00:00Z for {name}")
    return round(value.replace(tzinfo=value.tzinfo or UTC).timestamp() * units.SECOND)


def _fault(file: Path, what: str) -> ConfigError:
    return ConfigError(
        f"{file} {what}. Mend it or bring it back from a backup. Until then the API refuses "
        "every key."
    )


class Ring:
    """
    The keys for a program that runs on: read again when the file has changed.

    It looks at most once a second. A file that can't be read opens no door: *note* gets the
    reason once, and ``find`` raises ConfigError.
    """

    def __init__(
        self,
        folder: Path,
        note: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = folder / NAME
        self._note = note
        self._clock = clock
        self._looked = -LOOK_SECONDS
        self._version: tuple[int, int, int] | None = None
        self._keys: Mapping[str, ApiKey] = {}  # by the hash of the secret
        self._fault: ConfigError | None = None

    def find(self, secret: str) -> ApiKey | None:
        """
        Return the key of *secret*, also one that has ended.

        It is found by its hash, so the time that takes tells nothing of any secret.
        """
        if self._clock() - self._looked >= LOOK_SECONDS:
            self._looked = self._clock()
            self._look()
        if self._fault is not None:
            raise self._fault
        return self._keys.get(_hash(secret))

    def _look(self) -> None:
        try:
            found = self._file.stat()
        except OSError:
            self._version, self._keys, self._fault = None, {}, None
            return
        version = (found.st_ino, found.st_size, found.st_mtime_ns)
        if version == self._version:
            return
        self._version = version
        try:
            keys = load(self._file.parent)
            self._keys, self._fault = {one.sha256: one for one in keys.values()}, None
        except ConfigError as error:
            self._keys, self._fault = {}, error
            self._note(str(error))
