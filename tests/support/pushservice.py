"""A sender in the small, to meet the embedded push service as any other would."""

import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import http_ece
import pycurl
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02
from pywebpush import WebPusher

from pushctl.demo.pushservice import PushService
from pushctl.rules.tokens import encode
from tests.support import auth, browser_key, p256dh

CONTACT = "mailto:push@shop.example"
HTTP1, HTTP2 = pycurl.CURL_HTTP_VERSION_1_1, pycurl.CURL_HTTP_VERSION_2TLS
OVER_HTTP2 = pycurl.CURL_HTTP_VERSION_2_0  # what curl calls the version of a reply


@dataclass(frozen=True)
class Reply:
    """What came back; *trouble* is curl's error number when nothing proper did."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    http: int = 0
    trouble: int = 0


class Application:
    """A web application with a VAPID key of its own, or the one in *file*."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file

    @cached_property
    def vapid(self) -> Vapid02:
        if self._file:
            stored: Vapid02 = Vapid02.from_file(str(self._file))
            return stored
        made = Vapid02()
        made.generate_keys()
        return made

    @cached_property
    def key(self) -> str:
        """The applicationServerKey."""
        point = self.vapid.public_key.public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint
        )
        return encode(point)

    def authorization(self, endpoint: str, **claims: Any) -> str:
        """Return the header for *endpoint*; a claim given as None is left out."""
        parts = urlsplit(endpoint)
        every = {
            "aud": f"{parts.scheme}://{parts.netloc}",
            "exp": int(time.time()) + 3600,
            "sub": CONTACT,
            **claims,
        }
        wanted = {name: value for name, value in every.items() if value is not None}
        return f"vapid t={token(self.vapid, wanted)}, k={self.key}"

    def headers(self, endpoint: str, **more: str | None) -> dict[str, str]:
        """Return what a proper push carries; one given as None is left out."""
        every = {
            "Authorization": self.authorization(endpoint),
            "TTL": "60",
            "Content-Encoding": "aes128gcm",
            **{name.replace("_", "-"): value for name, value in more.items()},
        }
        return {name: value for name, value in every.items() if value is not None}


def token(vapid: Vapid02, claims: Mapping[str, Any]) -> str:
    """Return a JWT of exactly *claims*: py_vapid itself would mend what is missing."""
    import orjson
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    parts = ({"typ": "JWT", "alg": "ES256"}, claims)
    signed = ".".join(encode(orjson.dumps(part)) for part in parts)
    r, s = decode_dss_signature(vapid.private_key.sign(signed.encode(), ec.ECDSA(SHA256())))
    return f"{signed}.{encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def encrypt(text: bytes, number: int = 0) -> bytes:
    """Return *text* encrypted to test browser *number* by pywebpush."""
    subscription = {
        "endpoint": "https://push.example/",
        "keys": {"p256dh": encode(p256dh(number)), "auth": encode(auth(number))},
    }
    body: bytes = WebPusher(subscription).encode(text, content_encoding="aes128gcm")["body"]
    return body


def decrypt(body: bytes, number: int = 0) -> bytes:
    """Return what test browser *number* reads, as http_ece decrypts it."""
    text: bytes = http_ece.decrypt(
        body, private_key=browser_key(number), auth_secret=auth(number), version="aes128gcm"
    )
    return text


def post(
    service: PushService,
    endpoint: str,
    headers: Mapping[str, str],
    body: bytes = b"",
    *,
    method: str = "POST",
    http: int = HTTP2,
    patience: float = 5.0,
    most: int = 1 << 20,
    options: Sequence[tuple[int, Any]] = (),
) -> Reply:
    """Send one request to *endpoint*, led to *service*; *most* bytes of answer are read."""
    parts = urlsplit(endpoint)
    port = parts.port or 443
    got, heads = io.BytesIO(), []

    def write(piece: bytes) -> int:
        got.write(piece)
        return len(piece) if got.tell() <= most else 0

    curl = pycurl.Curl()
    curl.setopt(curl.URL, endpoint)
    curl.setopt(curl.CONNECT_TO, [f"{parts.hostname}:{port}:127.0.0.1:{service.ports.push}"])
    curl.setopt(curl.CAINFO, str(service.ca))
    curl.setopt(curl.HTTP_VERSION, http)
    curl.setopt(curl.CUSTOMREQUEST, method)
    curl.setopt(curl.POSTFIELDS, body)
    curl.setopt(curl.HTTPHEADER, [f"{name}: {value}" for name, value in headers.items()])
    curl.setopt(curl.WRITEFUNCTION, write)
    curl.setopt(curl.HEADERFUNCTION, heads.append)
    curl.setopt(curl.TIMEOUT_MS, int(patience * 1000))
    for option, value in options:
        curl.setopt(option, value)
    trouble = 0
    try:
        curl.perform()
    except pycurl.error as error:
        trouble = error.args[0]
    reply = Reply(
        curl.getinfo(curl.RESPONSE_CODE),
        _headers(heads),
        got.getvalue(),
        curl.getinfo(curl.INFO_HTTP_VERSION),
        trouble,
    )
    curl.close()
    return reply


def _headers(lines: Sequence[bytes]) -> dict[str, str]:
    pairs = (line.decode("latin-1").partition(":") for line in lines)
    return {name.lower(): value.strip() for name, colon, value in pairs if colon}


def service_script(path: Path, script: Sequence[Mapping[str, Any]]) -> Path:
    """Write *script* for a service in a process of its own; return *path*."""
    import json

    path.write_text(json.dumps(list(script)))
    return path
