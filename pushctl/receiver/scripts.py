"""The scripts of sw/, filled with this project's settings."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pushctl import shipped
from pushctl.config import Config, Site
from pushctl.receiver.answers import Headers, Refusal, refuse, send_answer
from pushctl.rules.web import scripts, tag_rules

# A page's script may be a few minutes old; a worker must be the newest.
_PAGE = b"public, max-age=300, stale-while-revalidate=86400"
_NAMES = dict.fromkeys(scripts.SCRIPTS, _PAGE) | {"pushctl-sw.js": b"no-cache"}


@dataclass(frozen=True)
class File:
    plain: bytes
    packed: bytes
    headers: Headers
    etag: bytes


def make_settings(config: Config, site: Site, public_key: str) -> dict[str, Any]:
    """Return the settings that are filled into the scripts of *site*."""
    return scripts.settings(
        url=config.receiver.url,
        key=public_key,
        site=site.name,
        **asdict(site.brand),
        rules=bool(tag_rules.list_for_site(config.tag_rules, site.name)),
    )


def prepare(config: Config, public_key: str) -> Mapping[tuple[str, str], File]:
    """Return the files by (name, site); read, filled and compressed once."""
    made: dict[tuple[str, str], File] = {}
    for name, cache in _NAMES.items():
        text = scripts.minify(name, (shipped.find("sw") / name).read_text("utf-8"))
        for site in config.sites.values():
            rules = tag_rules.list_for_site(config.tag_rules, site.name)
            filled = scripts.render(name, text, make_settings(config, site, public_key), rules)
            made[name, site.name] = _make_file(filled.encode(), cache)
    return made


def _make_file(plain: bytes, cache: bytes) -> File:
    etag = b'"' + hashlib.sha256(plain).hexdigest()[:24].encode() + b'"'
    headers: Headers = [
        (b"content-type", b"text/javascript; charset=utf-8"),
        (b"cache-control", cache),
        (b"etag", etag),
        (b"vary", b"Accept-Encoding"),
        (b"access-control-allow-origin", b"*"),  # public, for integrity checks and modules
        (b"cross-origin-resource-policy", b"cross-origin"),
        (b"x-content-type-options", b"nosniff"),
        (b"service-worker-allowed", b"/"),
    ]
    return File(plain, gzip.compress(plain, mtime=0), headers, etag)


class Script:
    """The ASGI app of one file; ``?site=NAME`` where there are several sites."""

    def __init__(self, name: str, files: Mapping[tuple[str, str], File], first: str) -> None:
        self._files = {
            site: file for (file_name, site), file in files.items() if file_name == name
        }
        self._first = first

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        file = self._files.get(_read_site(scope["query_string"]) or self._first)
        if scope["method"] not in ("GET", "HEAD"):
            allow = {"allow": "GET, HEAD"}
            await refuse(send, Refusal(405, "method", "This is a file.", "Use GET.", allow))
        elif file is None:
            nothing = Refusal(404, "site", "No site has this name.", "See pushctl.toml.")
            await refuse(send, nothing)
        else:
            await _serve(file, dict(scope["headers"]), send)


def _read_site(query: bytes) -> str:
    for pair in query.split(b"&"):
        name, _, value = pair.partition(b"=")
        if name == b"site":
            return value.decode("latin-1")
    return ""


async def _serve(file: File, heads: Mapping[bytes, bytes], send: Any) -> None:
    tags = heads.get(b"if-none-match", b"").split(b",")
    if file.etag in [tag.strip().removeprefix(b"W/") for tag in tags]:
        await send_answer(send, 304, file.headers)
    elif b"gzip" in heads.get(b"accept-encoding", b""):
        headers = [*file.headers, (b"content-encoding", b"gzip")]
        await send_answer(send, 200, headers, file.packed)
    else:
        await send_answer(send, 200, file.headers, file.plain)
