"""
Signatures of aliases: base64url of HMAC-SHA256 over "alias\\n" and the alias.

The shop's server makes them, in another language than this one. So a wrong one is looked
at for the mistakes that are easily made there, and named by its mistake.
"""

import hmac
from collections.abc import Iterator
from itertools import product

from pushctl.rules import tokens

_UNKNOWN = "it belongs to another alias or to another secret"

# What is easily signed instead of the right message.
_MESSAGES = (
    ("", "alias\n{}"),
    ('without "alias" and a line break before the alias', "{}"),
    (r'with the two characters \n, not a line break (PHP: write "alias\n")', "alias\\n{}"),
    ("without the line break before the alias", "alias{}"),
    ("with a line break after the alias", "alias\n{}\n"),
)


def sign(secret: bytes, alias: str) -> str:
    """Return the signature of *alias*; *secret* is the text of keys/alias_secret."""
    return tokens.encode(hmac.digest(secret, f"alias\n{alias}".encode(), "sha256"))


def is_signed(secret: bytes, alias: str, signature: str) -> bool:
    return hmac.compare_digest(sign(secret, alias).encode(), signature.encode())


def find_fault(secret: bytes, alias: str, signature: str) -> str:
    """Return what is wrong with a *signature* of *alias*, "" if it is right."""
    if is_signed(secret, alias, signature):
        return ""
    for (key_fault, key), (fault, text) in product(_list_keys(secret), _MESSAGES):
        mac = hmac.digest(key, text.format(alias).encode(), "sha256")
        if (form := _find_form(mac, signature)) is not None:
            return ", and ".join(filter(None, (fault, key_fault, form)))
    return _UNKNOWN


def _list_keys(secret: bytes) -> Iterator[tuple[str, bytes]]:
    yield "", secret
    yield "with the line break at the secret's end", secret + b"\n"
    try:
        yield "with the decoded secret; the key is its text", tokens.decode(secret.decode())
    except ValueError:
        return


def _find_form(mac: bytes, signature: str) -> str | None:
    """Return how *signature* writes *mac*, "" for the right form; None: it is another one."""
    if signature.lower() == mac.hex():
        return "as hex; it has to be base64url"
    try:
        same = hmac.compare_digest(tokens.decode(signature.strip()), mac)
    except ValueError:
        return None
    if not same:
        return None
    right = signature == tokens.encode(mac)
    return "" if right else 'as base64; it has to be base64url, without "="'
