"""
Encryption of messages (RFC 8291) by the fastest encoder that proves itself.

Each process that sends, or the one that it was forked from, first encrypts to throw-away
subscriptions and reads the result back with http_ece, which is pywebpush's own decryptor
and shares no code with the fast encoders. One that fails is passed over, down to pywebpush
itself.
"""

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from pushctl.errors import ConfigError
from pushctl.model import Letter

NAMES = ("turbo", "direct", "pywebpush")

Encode = Callable[[Sequence[Letter]], list[bytes | None]]


class Encoder(NamedTuple):
    """A proved encoder; *encode* gives None for a letter whose key is off the curve."""

    name: str
    why: str
    encode: Encode


def describe(wanted: str = "auto") -> tuple[str, str]:
    """Return the encoder that *wanted* comes to on this machine, and why."""
    chosen = choose(wanted)
    return chosen.name, chosen.why


@lru_cache(maxsize=8)
def choose(wanted: str = "auto") -> Encoder:
    """
    Return the fastest proved encoder, or *wanted* when it can be used.

    Raises ConfigError for an unknown name, or when none at all works here.
    """
    if wanted != "auto" and wanted not in NAMES:
        raise ConfigError(f"push.encoder is {wanted!r}; it can be auto, {', '.join(NAMES)}")
    reasons: list[str] = []
    for name in NAMES if wanted == "auto" else NAMES[NAMES.index(wanted) :]:
        fault = prove(name)
        if fault is None:
            return Encoder(name, "; ".join([*reasons, _PRAISE[name]]), _load(name))
        reasons.append(f"not {name}: {fault}")
    raise ConfigError(
        f"no encoder works on this machine ({'; '.join(reasons)}). "
        "Reinstall pushctl in a fresh environment."
    )


_PRAISE = {
    "turbo": "eight key agreements at once with AVX512-IFMA",
    "direct": "the cryptography package",
    "pywebpush": "the reference",
}


def prove(name: str) -> str | None:
    """Return why the encoder *name* can't be trusted here, or None when it can."""
    from pushctl.push.encoders.turbo import Unavailable

    try:
        return _self_test(_load(name))
    except Unavailable as error:
        return str(error)
    # Whatever a broken native library raises, messages must still go out by another
    # encoder, and the reason be read.
    except Exception as error:
        return f"its self-test failed with {type(error).__name__}: {error}"


def _load(name: str) -> Encode:
    # Imported at need: the reference costs a fifth of a second.
    if name == "turbo":
        from pushctl.push.encoders import turbo

        return turbo.encode
    if name == "direct":
        from pushctl.push.encoders import direct

        return direct.encode
    from pushctl.push.encoders import reference

    return reference.encode


def _self_test(encode: Encode) -> str | None:
    import http_ece
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    # Nine letters: one more than turbo's lanes, so that a part batch is proved too.
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
    for letter, browser, body in zip(letters, browsers, encode(letters), strict=True):
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
