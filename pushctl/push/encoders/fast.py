"""
The encoder for every processor: keys by AWS-LC, which the package qh3 holds.

``pip install pushctl[fast]`` installs qh3, a library for HTTP/3 (BSD-3-Clause); AWS-LC's
P-256 takes half the time of the ``cryptography`` package's. The classes are in qh3's private
module: pyproject.toml allows one minor version, and what differs from it is not used.
"""

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any, NamedTuple

from pushctl.model import Letter
from pushctl.push.encoders import Unavailable
from pushctl.push.encoders.sealing import Encrypt, is_uncompressed, seal

_EXTENSION = "_hazmat"


class Library(NamedTuple):
    """What we use of qh3."""

    make_pair: Callable[[], Any]  # has public_key() and exchange(their public key)
    encrypt_record: Encrypt
    refused: type[Exception]  # what a key off the curve raises


def encode(letters: Sequence[Letter]) -> list[bytes | None]:
    """Return a body for each letter, or None where its key is off the curve."""
    library = load()
    salts = os.urandom(16 * len(letters))
    return [
        _encrypt(library, letter, salts[16 * at : 16 * at + 16])
        for at, letter in enumerate(letters)
    ]


def _encrypt(library: Library, letter: Letter, salt: bytes) -> bytes | None:
    p256dh = letter.p256dh
    if not is_uncompressed(p256dh):
        return None
    pair = library.make_pair()
    try:
        secret = pair.exchange(p256dh)
    except library.refused:
        return None
    ours = pair.public_key()
    encrypt = library.encrypt_record
    return seal(encrypt, secret, p256dh, letter.auth, ours, letter.payload, salt)


@lru_cache(maxsize=1)
def load() -> Library:
    """Return what we use of qh3, loaded once a process; raises Unavailable with the reason."""
    hazmat = _load_extension()
    try:
        make_aead = hazmat.AeadAes128Gcm

        def encrypt_record(key: bytes, nonce: bytes, data: bytes) -> bytes:
            # QUIC's nonce is this one, xor the number of a packet: 0 (RFC 9001, 5.3).
            sealed: bytes = make_aead(key, nonce).encrypt(0, data, b"")
            return sealed

        return Library(hazmat.ECDHP256KeyExchange, encrypt_record, hazmat.CryptoError)
    except AttributeError as error:
        raise Unavailable(f"qh3 is not of the form that we know: {error}") from error


def is_loaded() -> bool:
    """Return whether this process has loaded it."""
    return load.cache_info().currsize > 0


def _load_extension() -> ModuleType:
    # Without the package around it, which loads asyncio and all of HTTP/3: 3 MB, 50 ms.
    package = find_spec("qh3")
    if package is None:
        raise Unavailable("pip install 'pushctl[fast]' would bring it")
    found = PathFinder.find_spec(_EXTENSION, package.submodule_search_locations)
    if found is None or found.loader is None:
        raise Unavailable("the package qh3 holds no _hazmat")
    try:
        module = module_from_spec(found)
        found.loader.exec_module(module)
    except ImportError as error:
        raise Unavailable(f"qh3 can't be loaded: {error}") from error
    return module
