"""
Encryption of backups with age (https://age-encryption.org/v1), as streams.

Three forms are read, told apart by their first bytes. For recipients: one age file. With a
passphrase: an age file of text that holds a key of its own, encrypted with the passphrase,
then the age file that this key opens; age takes a passphrase for whole small files alone.
Plain: neither.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from typing import Any, BinaryIO, NamedTuple, Protocol

from pushctl.archive.tar import ArchiveError
from pushctl.errors import InputError
from pushctl.rules.limits import MAX_IDENTITY_BYTES
from pushctl.rules.units import KIB

_AGE = b"age-encryption.org/v1\n"
_BEGIN = b"-----BEGIN AGE ENCRYPTED FILE-----\n"
_END = b"-----END AGE ENCRYPTED FILE-----\n"
_GZIP = b"\x1f\x8b"
_PIECE = 256 * KIB

WRONG_KEY = (
    "it can't be opened with this key or passphrase. Nothing was written. Is it the one that "
    "the backup was made for?"
)
_BROKEN = "it was changed or cut off after it was made. Nothing was kept of it."


class Form(Enum):
    RECIPIENTS = "recipients"
    PASSPHRASE = "passphrase"  # noqa: S105 - a name
    PLAIN = "plain"


class Writable(Protocol):
    def write(self, data: bytes, /) -> int: ...


class Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class KeyPair(NamedTuple):
    identity: str  # "AGE-SECRET-KEY-1...", opens backups
    recipient: str  # "age1...", makes them


def make_key_pair() -> KeyPair:
    from pyrage import x25519

    identity = x25519.Identity.generate()
    return KeyPair(str(identity), str(identity.to_public()))


def read_recipients(texts: Iterable[str]) -> list[Any]:
    """Return pyrage's recipients for "age1..." and "ssh-..." lines; InputError for others."""
    import pyrage

    found: list[Any] = []
    for text in texts:
        kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
        try:
            found.append(kind.Recipient.from_str(text))
        except pyrage.RecipientError:
            raise InputError(
                f"{text[:20]!r}... is no public key of age's or SSH's. Write the line that "
                "begins with age1 or ssh-ed25519; `pushctl backup --new-key FILE` makes one."
            ) from None
    return found


def read_identities(text: bytes) -> list[Any]:
    """Return pyrage's identities of a key file of age's or an SSH key without passphrase."""
    import pyrage

    if len(text) > MAX_IDENTITY_BYTES:
        raise InputError("the key file is too long to be one")
    try:
        if b"PRIVATE KEY" in text:
            return [pyrage.ssh.Identity.from_buffer(text)]
        lines = [line.strip() for line in text.decode("ascii").splitlines()]
        keys = [line for line in lines if line and not line.startswith("#")]
        found = [pyrage.x25519.Identity.from_str(line) for line in keys]
    except (pyrage.IdentityError, UnicodeDecodeError):
        found = []
    if not found:  # its own words could repeat the key
        raise InputError("the key file has no line that begins with AGE-SECRET-KEY-1")
    return found


def identify(recipient: str) -> str:
    """Return eight characters that name a recipient in messages: keys are long."""
    return hashlib.sha256(recipient.encode()).hexdigest()[:8]


def seal(pieces: Iterator[bytes], output: Writable, recipients: Sequence[Any]) -> None:
    """Write *pieces*, encrypted to *recipients*, to *output*."""
    import pyrage

    _run(pyrage.encrypt_io, _Source(pieces), _Drain(output), recipients)


def seal_with_passphrase(pieces: Iterator[bytes], output: Writable, passphrase: str) -> None:
    import pyrage

    identity = pyrage.x25519.Identity.generate()
    locked = pyrage.passphrase.encrypt(str(identity).encode(), passphrase, armored=True)
    output.write(locked.rstrip(b"\n") + b"\n")
    seal(pieces, output, [identity.to_public()])


def find_form(file: BinaryIO) -> Form:
    """Return the form of the backup in *file*, which is left at its beginning."""
    head = file.read(len(_BEGIN))
    file.seek(0)
    if head.startswith(_AGE):
        return Form.RECIPIENTS
    if head == _BEGIN:
        return Form.PASSPHRASE
    if head.startswith(_GZIP):
        return Form.PLAIN
    raise ArchiveError("it is no backup of pushctl's")


def open_lock(file: BinaryIO, passphrase: str) -> list[Any]:
    """Return what opens the rest of *file*, which begins with a key under *passphrase*."""
    import pyrage

    head = file.read(MAX_IDENTITY_BYTES)
    if _END not in head:
        raise ArchiveError(_BROKEN)
    length = head.index(_END) + len(_END)
    file.seek(length)
    try:
        text = pyrage.passphrase.decrypt(head[:length], passphrase)
    except pyrage.DecryptError:
        raise InputError(WRONG_KEY) from None
    return read_identities(text)


def unseal(file: Readable, output: Writable, identities: Sequence[Any]) -> None:
    """
    Write what *file* holds from here on to *output*, piece by piece.

    What was written is worth nothing unless this returns: a change is found where it stands.
    """
    import pyrage

    _run(pyrage.decrypt_io, _Source(iter(lambda: file.read(_PIECE), b"")), _Drain(output),
         identities)  # fmt: skip


def copy(file: Readable, output: Writable) -> None:
    """Write a plain backup to *output*."""
    while piece := file.read(_PIECE):
        output.write(piece)


def _run(work: Callable[..., None], source: "_Source", drain: "_Drain", keys: Any) -> None:
    """Let pyrage *work*; what our own ends of it raised is raised as it was."""
    import pyrage

    try:
        work(source, drain, keys)
    except (pyrage.DecryptError, pyrage.EncryptError, OSError) as error:
        if (own := source.error or drain.error) is not None:
            raise own from None
        wrong = isinstance(error, pyrage.DecryptError) and not drain.used
        raise ArchiveError(WRONG_KEY if wrong else _BROKEN) from None


class _Source:
    """Pieces as a file to read from; pyrage turns errors into text, so they are kept."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")
        self.error: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            while not self._rest:
                self._rest = memoryview(next(self._pieces, b""))
                if not self._rest:
                    return b""
        except BaseException as error:
            self.error = error
            raise
        piece = self._rest if size < 0 else self._rest[:size]
        self._rest = self._rest[len(piece) :]
        return bytes(piece)


class _Drain:
    """A file to write to, as pyrage wants one; what fails is kept as it was."""

    def __init__(self, output: Writable) -> None:
        self._output = output
        self.error: BaseException | None = None
        self.used = False

    def write(self, data: bytes) -> int:
        self.used = True
        try:
            self._output.write(data)
        except BaseException as error:
            self.error = error
            raise
        return len(data)

    def flush(self) -> None:
        """Nothing waits here."""
