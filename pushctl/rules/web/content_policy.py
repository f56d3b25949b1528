"""Whether a page's Content Security Policy lets pushctl work there (CSP Level 3)."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

# What each needs, and where a browser looks for it: the first directive that is there.
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "script-src": ("script-src-elem", "script-src", "default-src"),
    "connect-src": ("connect-src", "default-src"),
    "worker-src": ("worker-src", "child-src", "script-src", "default-src"),
}
# With these a list of addresses says nothing about a script: a nonce or a hash may let it in.
_OTHER_WAYS = ("'nonce-", "'sha256-", "'sha384-", "'sha512-", "'strict-dynamic'")


def find_blocks(policies: Sequence[str], page: str, receiver: str) -> list[str]:
    """
    Return the directives of *policies* that keep pushctl from working on *page*.

    Both are origins. The script and requests go to *receiver*, the worker is the page's own.
    Each policy has to allow it; what can't be told from addresses counts as allowed.
    """
    found = dict[str, None]()
    for header in policies:
        for policy in header.split(","):
            directives = _read(policy)
            for name, places in _NEEDS.items():
                sources = next((directives[one] for one in places if one in directives), None)
                target = page if name == "worker-src" else receiver
                if sources is not None and not _allows(name, sources, page, target):
                    found[name] = None
    return list(found)


def _read(policy: str) -> dict[str, list[str]]:
    made: dict[str, list[str]] = {}
    for part in policy.split(";"):
        name, *sources = part.split() or [""]
        made.setdefault(name.lower(), sources)  # the first one counts
    return made


def _allows(name: str, sources: Sequence[str], page: str, target: str) -> bool:
    if name != "connect-src" and any(one.lower().startswith(_OTHER_WAYS) for one in sources):
        return True
    return any(_matches(one.lower(), page, target) for one in sources)


def _matches(source: str, page: str, target: str) -> bool:
    """Return whether one source expression covers the origin *target*."""
    if source == "'self'":
        return page == target
    scheme, _, host = target.partition("://")
    if source in ("*", f"{scheme}:"):
        return True
    try:
        parts = urlsplit(source if "://" in source else f"{scheme}://{source}")
        wanted, port = parts.hostname or "", parts.netloc.rpartition(":")[2]
    except ValueError:
        return False
    if parts.scheme != scheme and (parts.scheme, scheme) != ("http", "https"):
        return False
    name, _, own_port = host.partition(":")
    if port not in ("*", own_port) and port.isdecimal() and port != "443":
        return False
    if wanted.startswith("*."):
        return name.endswith(wanted[1:])
    return name == wanted
