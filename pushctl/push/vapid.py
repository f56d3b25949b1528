"""VAPID (RFC 8292): keys, their folder, the header of requests."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from pushctl import durable
from pushctl.errors import ConfigError, InputError
from pushctl.model import Millis
from pushctl.push import key_register, retired_keys
from pushctl.push.key_register import Register, Use
from pushctl.rules import tokens, units
from pushctl.rules.web import keys

# Valid while the clock is up to twelve hours wrong either way; services refuse more than
# 24 (RFC 8292, section 2). Renewed after half of it.
_LIFE: Millis = 12 * units.HOUR
_CLOCK_JUMP: Millis = 5 * units.MINUTE


@dataclass(frozen=True)
class Key:
    """One application server key; a subscription is bound to it for life."""

    id: str  # first 8 characters of base64url sha256(public key)
    public: str  # applicationServerKey: base64url of the 65 bytes
    pem: bytes = field(repr=False)
    file: Path | None = None


def create() -> bytes:
    """Return a new private key as PEM (PKCS 8); its id never begins like an option."""
    while True:
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        if not read(pem).id.startswith("-"):
            return pem


def read(pem: bytes, file: Path | None = None) -> Key:
    """Return the Key in *pem*; raises ConfigError unless it is one on P-256."""
    place = file or "the VAPID key"
    try:
        private = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{place} is no unencrypted private key in PEM. Restore it from your safe or "
            "a backup: subscriptions made with it can't be reached with any other."
        ) from error
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(
        private.curve, ec.SECP256R1
    ):
        raise ConfigError(f"{place} is no key on the curve P-256, which web push demands")
    public = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return Key(keys.key_id(public), tokens.encode(public), pem, file)


def load(folder: Path) -> Mapping[str, Key]:
    """
    Return the keys of *folder* (vapid-<key id>.pem) by key id: the own one first, then the
    newest, retired ones last: those sign for who came late. Nothing is written.

    Raises ConfigError when other users can read one, its name is another key's, or its
    public half is; OSError when they can't be read.
    """
    found = {}
    for file in [*retired_keys.list_halves(folder), *_list_files(folder, ".pem")]:
        status = file.stat()
        if status.st_mode & 0o077:
            raise ConfigError(
                f"{file} can be read by others, and whoever has it can send to your "
                f"subscribers. Run: chmod 600 {file}"
            )
        key = read(file.read_bytes(), file)
        if file.name != f"vapid-{key.id}.pem":
            raise ConfigError(f"{file} holds the key {key.id}. Name it vapid-{key.id}.pem.")
        public = file.with_suffix(".pub")
        if public.exists():
            _read_public(public)
        found[key.id] = key
    order = load_register(folder).list_newest() if found else ()
    # A retired one is not in a register that was made anew.
    return {name: found[name] for name in dict.fromkeys([*order, *found]) if name in found}


def load_register(folder: Path) -> Register:
    """Return the register of *folder*, as it is or would be; nothing is written."""
    return key_register.load(folder, _read_times(folder))


def load_required(folder: Path, remedy: str | None = None) -> Mapping[str, Key]:
    """
    Return the keys as ``load`` does; raises ConfigError with *remedy* without one.

    It writes the register at its first use.
    """
    if found := load(folder):
        key_register.settle(folder, _read_times(folder))
        return found
    raise ConfigError(f"there is no VAPID key in {folder}. {remedy or _FIRST}")


def load_own(folder: Path, remedy: str | None = None) -> Key:
    """Return the key of new subscribers; raises ConfigError with its remedy without one."""
    found = load(folder)
    if not found:
        raise ConfigError(f"there is no VAPID key in {folder}. {remedy or _FIRST}")
    own = load_register(folder).own
    if own is None or own not in found:
        raise _explain_lack(folder, own)
    return found[own]


def _explain_lack(folder: Path, own: str | None) -> ConfigError:
    if own is None:
        return ConfigError(
            f"no key in {folder} is for new subscribers ({key_register.NAME}). "
            "`pushctl keys new` makes one, `pushctl keys use ID` takes one that is there."
        )
    return ConfigError(
        f"the key of new subscribers is {own} ({folder / key_register.NAME}), and its file is "
        f"not there. Bring vapid-{own}.pem back from a backup (for a receiver on a machine of "
        f"its own vapid-{own}.pub), or take another key for them: `pushctl keys use ID`."
    )


def write(folder: Path) -> Key:
    """
    Make a key for new subscribers; write it (0600) and its public half to *folder* (made 0700
    when missing).
    """
    return keep(folder, create(), Use.OWN)


def keep(folder: Path, pem: bytes, use: Use) -> Key:
    """Write a key to *folder* and its register; one that is registered keeps its use."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = read(pem)
    file = folder / f"vapid-{key.id}.pem"
    with key_register.hold(folder):
        key_register.begin(folder, _read_times(folder))
        retired_keys.bring_back(folder, key.id)
        if not file.exists():
            durable.write_new(file, key.pem, 0o600)
        write_public(key, folder)
        now = time.time_ns() // 1_000_000
        key_register.enter(folder, key.id, use, now, _read_times(folder))
    return Key(key.id, key.public, key.pem, file)


def choose(folder: Path, name: str) -> None:
    """
    Make the key *name* that of new subscribers; a retired one comes back.

    Raises ConfigError when it isn't there.
    """
    with key_register.hold(folder):
        if load_register(folder).is_retired(name):
            retired_keys.bring_back(folder, name)
        times = _read_times(folder)
        if name not in times:
            raise ConfigError(
                f"there is no key {name} in {folder}: {', '.join(times) or 'it has none'}."
            )
        private = {file.stem for file in _list_files(folder, ".pem")}
        if private and f"vapid-{name}" not in private:
            raise ConfigError(
                f"{folder / f'vapid-{name}.pem'} is not there: nobody who subscribed with this "
                "key could be reached. Bring it back from a backup."
            )
        key_register.enter(folder, name, Use.OWN, time.time_ns() // 1_000_000, times)


def retire(folder: Path, name: str, now: Millis) -> None:
    """
    Put the key *name* aside; it signs on until it is removed.

    Raises ConfigError for the own key.
    The register is written first: a kill leaves a key that is retired and still in *folder*,
    which the next call or ``settle`` moves.
    """
    retired_keys.check(folder, name)
    with key_register.hold(folder):
        key_register.end(folder, name, Use.RETIRED, now, _read_times(folder))
        retired_keys.put_aside(folder, name)


def give_up(folder: Path, name: str, now: Millis) -> None:
    """Note that the key *name* is lost; raises ConfigError where it is there, or is own."""
    with key_register.hold(folder):
        if name in load(folder):
            raise ConfigError(f"the key {name} is not lost: its file is in {folder}.")
        key_register.end(folder, name, Use.LOST, now, _read_times(folder))


def settle(folder: Path) -> None:
    """End moves of retired keys that a kill has cut short."""
    if not retired_keys.is_settled(folder, load_register(folder)):
        with key_register.hold(folder):
            retired_keys.settle(folder, load_register(folder))


def remove_retired(folder: Path, name: str) -> None:
    """Remove the private half of a retired key for good; its name stays in the register."""
    with key_register.hold(folder):
        if load_register(folder).is_retired(name):
            retired_keys.remove(folder, name)


def write_public(key: Key, folder: Path) -> Path:
    """Write the public half to vapid-<key id>.pub, for a receiver without secrets."""
    file = folder / f"vapid-{key.id}.pub"
    if not file.exists():
        durable.write_new(file, f"{key.public}\n".encode(), 0o644)
    return file


def load_public(folder: Path) -> str:
    """
    Return the public half of the own key, which browsers subscribe with.

    No private key is read where it has its vapid-<key id>.pub. Writes the register at its
    first use. Raises ConfigError when there is no key.
    """
    times = _read_times(folder)
    if not times:
        raise ConfigError(
            f"there is no VAPID key in {folder}. `pushctl init` makes the first one; a "
            "receiver on a machine of its own needs vapid-....pub and "
            f"{key_register.NAME} alone."
        )
    own = key_register.settle(folder, times).own
    if own is None or own not in times:
        raise _explain_lack(folder, own)
    public = folder / f"vapid-{own}.pub"
    return _read_public(public) if public.exists() else load_own(folder).public


def load_publics(folder: Path) -> Mapping[str, str]:
    """Return the public keys that have a file of their own, by key id."""
    files = _list_files(folder, ".pub")
    return {file.stem.removeprefix("vapid-"): _read_public(file) for file in files}


def _read_public(file: Path) -> str:
    """Return the public key in *file*; raises ConfigError unless it is the one of its name."""
    text = file.read_text("ascii", "replace").strip()
    private = file.with_suffix(".pem")
    beside = f", and {private} is another key" if private.exists() else ""
    remedy = f"Remove {file}; `pushctl init` writes it anew from the private key."
    try:
        name = keys.key_id(keys.server_key(text))
    except InputError as error:
        raise ConfigError(f"{file} holds no public key ({error}){beside}. {remedy}") from error
    if file.name != f"vapid-{name}.pub":
        raise ConfigError(
            f"{file} holds the key {name}, not the one it is named{beside}. {remedy}"
        )
    return text


def _list_files(folder: Path, suffix: str) -> list[Path]:
    # Not a glob, which ignores folders that may not be read.
    files = list(folder.iterdir()) if folder.is_dir() else []
    return sorted(one for one in files if one.match(f"vapid-*{suffix}"))


def _read_times(folder: Path) -> Mapping[str, Millis]:
    """Return the keys that have a file, and its time: the private one's where there are any."""
    files = _list_files(folder, ".pem") or _list_files(folder, ".pub")
    times = {file.stem.removeprefix("vapid-"): file.stat().st_mtime_ns for file in files}
    return {
        name: at // 1_000_000 for name, at in times.items() if key_register.ID.fullmatch(name)
    }


_FIRST = "`pushctl init` makes the first one; bring an old one back from your safe or a backup."

_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@(?P<host>[A-Za-z0-9.-]+)", re.ASCII)
_WEB = re.compile(r"(?P<host>[A-Za-z0-9.-]+)(?::[0-9]+)?(?:/[!-;=?-~]*)?", re.ASCII)
_PRIVATE = (".localhost", ".local", ".invalid")


def check_contact(contact: str) -> list[str]:
    """
    Return the faults of the VAPID sub that push services refuse.

    Apple answers 403 BadJwtToken to each of them, for every message.
    """
    problems = []
    if re.search(r"\s", contact):
        problems.append("it contains a space")
    if "<" in contact or ">" in contact:
        problems.append('it contains angle brackets; write "mailto:push@example.com"')
    if contact.startswith("mailto:"):
        match = _MAIL.fullmatch(contact.removeprefix("mailto:"))
        what = "an e-mail address"
    elif contact.startswith("https://"):
        match = _WEB.fullmatch(contact.removeprefix("https://"))
        what = "a web address"
    else:
        return [*problems, 'it starts with neither "mailto:" nor "https://"']
    if match is None:
        return [*problems, f"it is not {what}"]
    host = match["host"].lower().rstrip(".")
    named = "." in host and not host.startswith(".") and ".." not in host
    if not named or host.endswith(_PRIVATE) or host.replace(".", "").isdecimal():
        problems.append(f"{host} is no public domain")
    return problems


# The header, the time and the monotonic seconds at which it was signed.
_cache: dict[tuple[str, str, str], tuple[str, Millis, float]] = {}


def make_header(origin: str, key: Key, contact: str, now: Millis) -> str:
    """
    Return the Authorization header for *origin* ("https://host"), valid for 12 hours.

    It is cached for six hours, or until the wall clock moves by more than five minutes
    against the monotonic one.
    """
    name = (origin, key.id, contact)
    steady = time.monotonic()
    if name in _cache:
        text, at, monotonic = _cache[name]
        jump = abs(now - at - (steady - monotonic) * units.SECOND)
        if 0 <= now - at < _LIFE // 2 and jump <= _CLOCK_JUMP:
            return text
    from py_vapid import Vapid02

    # A new dict: where callers of py_vapid shared one, all origins got the first's audience.
    claims = {"aud": origin, "exp": (now + _LIFE) // units.SECOND, "sub": contact}
    signer = Vapid02.from_pem(key.pem)
    # It refuses web addresses with a path, which check_contact permits.
    signer.conf = {"no-strict": True}
    text = str(signer.sign(claims)["Authorization"])
    _cache[name] = text, now, steady
    return text
