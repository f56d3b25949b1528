"""The project's VAPID keys: list them, make, add, choose and retire one, find what is lost."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from pushctl.config import Config
from pushctl.errors import InputError
from pushctl.jobs.project import scripts
from pushctl.model import Json, Millis
from pushctl.push import key_register, vapid
from pushctl.push.key_register import Use
from pushctl.rules import units
from pushctl.rules.limits import RETIRED_KEY_DAYS
from pushctl.rules.wording import counted

LOST = "lost"
REMOVED = "removed"


def list_keys(config: Config, in_use: Mapping[str, int] | None) -> list[Mapping[str, Json]]:
    """
    Return id, use, created, until, subscribers, public and file of every key: the own one
    first, then the newest; then those whose file is lost.

    *until*: when a retired key is removed. *in_use* counts active subscribers by key; None
    where there is no database.
    """
    keys, publics = vapid.load(config.keys), vapid.load_publics(config.keys)
    listed = vapid.load_register(config.keys)
    # A machine that only receives has public halves and no database: nothing is lost there.
    there = publics if not keys and in_use is None else keys
    return [
        {
            "id": name,
            "use": _describe_use(name, listed.entries, name in there),
            "created": listed.entries[name].created if name in listed.entries else None,
            "until": _find_end(listed.entries.get(name), name in there),
            "subscribers": None if in_use is None else in_use.get(name, 0),
            "public": keys[name].public if name in keys else publics.get(name),
            "file": _find_file(config, name, keys, there),
        }
        for name in dict.fromkeys((*keys, *listed.list_newest(), *(in_use or ())))
    ]


def _find_file(
    config: Config, name: str, keys: Mapping[str, vapid.Key], there: Collection[str]
) -> str | None:
    if name in keys:
        return str(keys[name].file)
    return str(config.keys / f"vapid-{name}.pub") if name in there else None


def _find_end(entry: key_register.Entry | None, there: bool) -> Millis | None:
    if entry is None or entry.ended is None or entry.use is not Use.RETIRED or not there:
        return None
    return entry.ended + RETIRED_KEY_DAYS * units.DAY


def _describe_use(name: str, entries: Mapping[str, key_register.Entry], there: bool) -> str:
    use = entries[name].use if name in entries else None
    if there or use is Use.LOST:
        return use.value if use else ""
    gone = REMOVED if use is Use.RETIRED else LOST
    return ", ".join(filter(None, (use and use.value, gone)))


def renew(config: Config) -> tuple[vapid.Key, list[Path]]:
    """Create a key for new subscriptions; return it and the files of sw/ that have it."""
    key = vapid.write(config.keys)
    return key, scripts.fill_scripts(config)


def add(config: Config, data: bytes) -> tuple[vapid.Key, Use]:
    """
    Keep the private key in *data*, of any form, for earlier subscribers; return it with
    its use.

    A key that is known keeps its use, unless that has ended: a lost one may come back so.
    """
    from pushctl.push import foreign_keys

    key = vapid.keep(config.keys, foreign_keys.read(data), Use.EARLIER)
    return key, vapid.load_register(config.keys).entries[key.id].use


def choose(config: Config, name: str) -> list[Path]:
    """Make the key *name* that of new subscribers; return the files of sw/ that have it."""
    require_known(config, name)
    vapid.choose(config.keys, name)
    # A receiver's machine has public keys alone, and no copy of sw/.
    return scripts.fill_scripts(config) if vapid.load(config.keys) else []


def require_known(config: Config, name: str) -> key_register.Entry:
    """Return what the register says of the key *name*; raises InputError for an unknown one."""
    entries = vapid.load_register(config.keys).entries
    if name not in entries:
        known = ", ".join(entries) or "none"
        raise InputError(f"no key is called {name[:20]!r} in {config.keys}: {known}.")
    return entries[name]


def count_lost(config: Config) -> Mapping[str, int]:
    """Return key id -> active subscribers who can't be reached: its file is not there."""
    if not config.database.exists():
        return {}
    from pushctl.store import Store

    keys = vapid.load(config.keys) if config.keys.exists() else {}
    with Store(config.database) as store:
        return store.soundness.count_lost_keys(keys)


def describe_lost(lost: Mapping[str, int]) -> str:
    """Return whom the keys in *lost* leave out of reach, as a clause."""
    people = (
        f"{counted(count, 'active subscriber')} came with the key {key}"
        for key, count in sorted(lost.items(), key=lambda one: -one[1])
    )
    return f"{', '.join(people)}, which is not there: nothing reaches them"


def find_problems(config: Config, lost: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield each fault of the keys with its remedy; *lost* is of ``count_lost``."""
    there = vapid.load(config.keys)
    own = vapid.load_register(config.keys).own
    files = ", ".join(f"vapid-{key}.pem" for key in lost)
    if lost:
        first = next(iter(lost))
        remedy = (
            f"Bring {files} back from a backup into {config.keys}. Only if it is lost for "
            f"good: `pushctl keys lost {first}` says what to do; see docs/keys.md."
        )
        yield describe_lost(lost), remedy
    elif not there and (known := vapid.load_register(config.keys).entries):
        # Without a database nobody knows how many they are: that is not none.
        yield (
            f"holds no private key; {', '.join(known)} had subscribers",
            "Bring it back from a backup. A machine that only receives needs none. Only if it "
            f"is lost for good: `pushctl keys lost {next(iter(known))}`.",
        )
    elif not there:
        yield "holds no VAPID key", "Run `pushctl keys new`."
    if there and own not in there and own not in lost:
        text = f"new subscribers get the key {own}, which is not there"
        if own is None:
            text = f"no key is for new subscribers ({key_register.NAME})"
        yield text, "`pushctl keys use ID` chooses one, `pushctl keys new` makes one."
    elif there and own in lost:
        remedy = f"If it is lost for good: `pushctl keys lost {own}`."
        yield f"new subscribers get the key {own}, which is lost", remedy


def find_lost_email_secret(config: Config) -> Iterator[tuple[str, str, str]]:
    """Yield (place, fault, remedy) where people are known by hashes of a lost secret."""
    if config.email_secret():
        return
    from pushctl.store import Store

    with Store(config.database) as store:
        hashes = store.matches.count_email_hashes()
    if hashes:
        yield (
            str(config.keys / "email_secret"),
            f"is missing; {counted(hashes, 'subscriber')} can't be found by e-mail any more",
            "Restore it from a backup, or run `pushctl init` for a new one.",
        )
