"""Who we are to the push services (RFC 8292): keys, their folder, the header."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from pushctl.model import Millis


@dataclass(frozen=True)
class Key:
    """One application server key; a subscription is bound to it for life."""

    id: str  # first 8 characters of base64url sha256(public key)
    public: str  # applicationServerKey: base64url of the 65 bytes
    pem: bytes = field(repr=False)
    private: ec.EllipticCurvePrivateKey = field(repr=False, compare=False)
    file: Path | None = None


def create() -> bytes:
    """Return a new private key as PEM (PKCS 8)."""
    raise NotImplementedError


def read(pem: bytes, file: Path | None = None) -> Key:
    """Return the Key in *pem*; ConfigError when it is none on P-256."""
    raise NotImplementedError


def load(folder: Path) -> Mapping[str, Key]:
    """Return the keys of *folder* (vapid-<key id>.pem), newest first, by key id."""
    raise NotImplementedError


def write(folder: Path) -> Key:
    """Make a new key and write it to *folder* (made 0700 when missing) as 0600."""
    raise NotImplementedError


def check_contact(contact: str) -> list[str]:
    """Return what push services dislike in the VAPID sub; nothing when it is right."""
    raise NotImplementedError


def header(origin: str, key: Key, contact: str, now: Millis) -> str:
    """Return the Authorization header for *origin*; cached for up to six hours."""
    raise NotImplementedError
