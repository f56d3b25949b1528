"""
Encryption of messages (RFC 8291) by the fastest encoder that passes its self-test.

The test encrypts for new keys and decrypts with http_ece, pywebpush's own decryptor, which
shares no code with the fast encoders. An encoder that fails is not used.
"""

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import import_module
from typing import NamedTuple

from pushctl.errors import ConfigError
from pushctl.model import Letter

NAMES = ("turbo", "fast", "direct", "pywebpush")

Encode = Callable[[Sequence[Letter]], list[bytes | None]]


class Encoder(NamedTuple):
    """A tested encoder; *encode* returns None for a letter whose key is off the curve."""

    name: str
    why: str
    encode: Encode


@lru_cache(maxsize=8)
def choose(wanted: str = "auto") -> Encoder:
    """
    Return *wanted* or a slower encoder, the first that passes its self-test.

    Raises ConfigError for an unknown name, or when no encoder works here.
    """
    if wanted != "auto" and wanted not in NAMES:
        raise ConfigError(f"push.encoder is {wanted!r}; it can be auto, {', '.join(NAMES)}")
    reasons: list[str] = []
    for name in NAMES if wanted == "auto" else NAMES[NAMES.index(wanted) :]:
        fault = prove(name)
        if fault is None:
            return Encoder(name, "; ".join([*reasons, _DESCRIPTIONS[name]]), _load(name))
        reasons.append(f"not {name}: {fault}")
    raise ConfigError(
        f"no encoder works on this machine ({'; '.join(reasons)}). "
        "Reinstall pushctl in a fresh environment."
    )


_DESCRIPTIONS = {
    "turbo": "eight key agreements at once with AVX512-IFMA",
    "fast": "AWS-LC, from the package qh3",
    "direct": "the cryptography package",
    "pywebpush": "the reference",
}


def prove(name: str) -> str | None:
    """Return why the encoder *name* fails its self-test, or None when it passes."""
    from pushctl.push.encoders import Unavailable

    try:
        return _self_test(_load(name))
    except Unavailable as error:
        return str(error)
    except (KeyboardInterrupt, SystemExit):
        raise
    # A broken native library may raise anything, one in Rust a panic, which is no Exception:
    # another encoder must take over.
    except BaseException as error:
        return f"its self-test failed with {type(error).__name__}: {error}"


def _load(name: str) -> Encode:
    # Imported at need: the reference costs a fifth of a second.
    module = "reference" if name == "pywebpush" else name
    encode: Encode = import_module(f"pushctl.push.encoders.{module}").encode
    return encode


def _self_test(encode: Encode) -> str | None:
    import http_ece
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    # Nine letters: one more than turbo's lanes, to test a part batch too.
    browsers = [ec.generate_private_key(ec.SECP256R1()) for _ in range(9)]
    letters = [
        Letter(
            delivery=number,
            endpoint="",
            p256dh=browser.public_key().public_bytes(
                Encoding.X962, PublicFormat.UncompressedPoint
            ),
            auth=os.urandom(16),
            key_id="",
            payload=os.urandom(1 + number * 400),
            ttl=0,
            urgency="normal",
            topic=None,
        )
        for number, browser in enumerate(browsers)
    ]
    # Each must look whether a point is on the curve (SEC 1, 3.2.2).
    hostile = letters[0]._replace(p256dh=b"\x04" + bytes(31) + b"\x01" + bytes(31) + b"\x01")
    *bodies, refused = encode([*letters, hostile])
    if refused is not None:
        return "its self-test was given a body for a key that is off the curve"
    for letter, browser, body in zip(letters, browsers, bodies, strict=True):
        if body is None:
            return "its self-test was refused a key that is on the curve"
        try:
            read = http_ece.decrypt(
                body, private_key=browser, auth_secret=letter.auth, version="aes128gcm"
            )
        except http_ece.ECEException:
            return "its self-test could not be decrypted"
        if read != letter.payload:
            return "its self-test was decrypted to something else"
    return None
