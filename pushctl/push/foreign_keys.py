"""Private VAPID keys as other tools keep them: PEM, DER, 43 characters, JSON."""

import base64
import binascii
import re
from collections.abc import Iterator

import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from pushctl.errors import InputError
from pushctl.model import Json
from pushctl.push import vapid
from pushctl.rules.web import keys

MAX_BYTES = 65_536
_PEM = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.+?-----END \1-----", re.DOTALL)
# `web-push generate-vapid-keys` prints headings, each with its key below.
_PRINTED = re.compile(rb"Private Key:\s*([\w-]{43})\b", re.ASCII)
_TOKEN = re.compile(rb"[\w+/-]+={0,2}", re.ASCII)
_PUBLIC_CHARACTERS = 87
_FORMS = (
    "Give it as PEM, DER, the 43 characters of base64url, or the JSON of "
    "`web-push generate-vapid-keys --json`."
)


def read(data: bytes) -> bytes:
    """
    Return the private key in *data* as PEM (PKCS 8).

    Raises InputError, which never repeats any of *data*, when it holds none on P-256.
    """
    if len(data) > MAX_BYTES:
        raise InputError(f"this is no key: it has more than {MAX_BYTES:,} bytes. {_FORMS}")
    if len(data) == 32:
        return _read_binary(data)
    text = data.strip()
    if text.startswith((b"{", b"[")):
        return _read_json(text)
    if b"-----BEGIN" in text:
        return _read_pem(text)
    if printed := _PRINTED.search(text):
        return _read_token(printed[1].decode())
    if _TOKEN.fullmatch(text):
        return _read_token(text.decode())
    return _read_binary(data)


def _read_pem(text: bytes) -> bytes:
    block = _PEM.search(text)
    if block is None:
        public = b"PUBLIC KEY" in text or b"CERTIFICATE" in text
        what = "a public half; the private key is needed" if public else "no private key"
        raise InputError(f"the PEM holds {what}")
    try:
        return _write(load_pem_private_key(block[0], password=None))
    except TypeError:
        raise InputError(
            "the key is encrypted. Decrypt it first: openssl pkey -in FILE -out key.pem"
        ) from None
    except ValueError:
        raise InputError("the PEM is damaged") from None


def _read_token(token: str) -> bytes:
    if len(token.rstrip("=")) == _PUBLIC_CHARACTERS:
        raise InputError("this is the public key; the private one is needed, 43 characters")
    plain = token.replace("+", "-").replace("/", "_").rstrip("=")
    try:
        raw = base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4))
    except (ValueError, binascii.Error):
        raise InputError(f"this is no key. {_FORMS}") from None
    return _read_binary(raw)


def _read_binary(raw: bytes) -> bytes:
    if len(raw) == 32:
        try:
            return _write(ec.derive_private_key(int.from_bytes(raw, "big"), ec.SECP256R1()))
        except ValueError:
            raise InputError("these 32 bytes are no private key on the curve P-256") from None
    try:
        return _write(load_der_private_key(raw, password=None))
    except (ValueError, TypeError):
        raise InputError(f"this is no key. {_FORMS}") from None


def _read_json(text: bytes) -> bytes:
    try:
        found = orjson.loads(text)
    except ValueError:
        raise InputError(f"the JSON is damaged. {_FORMS}") from None
    named: dict[str, str | None] = {
        name.lower().replace("_", ""): value for name, value in _walk(found)
    }
    if named.get("kty") == "EC":  # a JSON Web Key
        named["privatekey"] = named.get("d")
    private = next((one for name, one in named.items() if name.endswith("privatekey")), None)
    if not private:
        raise InputError(f"the JSON has no privateKey. {_FORMS}")
    if private.startswith(("{", "[")):
        raise InputError(f"the JSON has no privateKey. {_FORMS}")
    pem = read(private.encode())
    public = next((one for name, one in named.items() if name.endswith("publickey")), None)
    if public and "-----" not in public and not _fits(pem, public):
        raise InputError("publicKey and privateKey are not of one pair. Ask for the right pair")
    return pem


def _walk(found: Json, levels: int = 4) -> Iterator[tuple[str, str]]:
    inside = found.items() if isinstance(found, dict) else ()
    for name, value in inside:
        if isinstance(value, str):
            yield name, value
        elif levels:
            yield from _walk(value, levels - 1)


def _fits(pem: bytes, public: str) -> bool:
    plain = public.strip().replace("+", "-").replace("/", "_").rstrip("=")
    try:
        return keys.key_id(keys.server_key(plain)) == vapid.read(pem).id
    except InputError:
        return False


def _write(key: object) -> bytes:
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(
        key.curve, ec.SECP256R1
    ):
        raise InputError("this is no key on the curve P-256, which web push demands")
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
