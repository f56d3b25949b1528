"""
Who may see the dashboard: whoever has the address that the terminal shows, once.

Anybody on this machine can connect, and any page in a browser can make it connect. So a
request must name our own address (another name may lead here: DNS rebinding), come from no
other page, and bring a cookie that only the address with the token gives. The token is good
once: what stays in a browser's history opens nothing.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

COOKIE = "pushctl_dashboard"
_TOKEN_BYTES = 24


@dataclass(frozen=True, slots=True)
class Verdict:
    """*status* OK: show *path*. SEE_OTHER: set *cookie*, and lead to "/". Else *why* not."""

    status: HTTPStatus
    path: str = "/"
    cookie: str = ""
    why: str = ""


class Gate:
    """Judges the requests to one dashboard, which listens at *host* ("127.0.0.1:8766")."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._token: str | None = secrets.token_urlsafe(_TOKEN_BYTES)
        self._session = secrets.token_urlsafe(_TOKEN_BYTES)

    @property
    def address(self) -> str:
        """The address with the token; without it once it was used."""
        query = f"?token={self._token}" if self._token else ""
        return f"http://{self._host}/{query}"

    def judge(self, method: str, target: str, headers: Mapping[str, str]) -> Verdict:
        """Return what to answer; *headers* are by names in lower case."""
        if headers.get("host") != self._host:
            return Verdict(HTTPStatus.MISDIRECTED_REQUEST, why="this is another server's name")
        if method != "GET":
            return Verdict(HTTPStatus.METHOD_NOT_ALLOWED, why="GET alone is answered")
        if not self._is_own(headers):
            return Verdict(HTTPStatus.FORBIDDEN, why="another page asks")
        parts = urlsplit(target)
        given = parse_qs(parts.query).get("token", [""])[0]
        if given:
            return self._exchange(given)
        if not self._has_cookie(headers.get("cookie", "")):
            why = "open the address that `pushctl dashboard` shows; it is good once"
            return Verdict(HTTPStatus.FORBIDDEN, why=why)
        return Verdict(HTTPStatus.OK, parts.path)

    def _exchange(self, given: str) -> Verdict:
        if self._token is None or not _is_same(given, self._token):
            why = "this address was used, or is wrong; start `pushctl dashboard` again"
            return Verdict(HTTPStatus.FORBIDDEN, why=why)
        self._token = None
        cookie = f"{COOKIE}={self._session}; Path=/; HttpOnly; SameSite=Strict"
        return Verdict(HTTPStatus.SEE_OTHER, cookie=cookie)

    def _is_own(self, headers: Mapping[str, str]) -> bool:
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{self._host}":
            return False
        # Browsers say where a request comes from; "none" is a person's own doing.
        return headers.get("sec-fetch-site", "none") in ("none", "same-origin")

    def _has_cookie(self, header: str) -> bool:
        try:
            found = SimpleCookie(header).get(COOKIE)
        except CookieError:
            return False
        return found is not None and _is_same(found.value, self._session)


def _is_same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(errors="replace"), other.encode())
