"""
Which endpoints may be stored and dialled.

An endpoint comes from strangers and names the host that we connect to, so it is parsed
once, strictly, and its host is compared whole.
"""

import hashlib
import re
from collections.abc import Sequence

from pushctl.errors import InputError
from pushctl.rules import limits

# https, a plain ASCII host name, no user, no port but 443, a path of its own.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ENDPOINT = re.compile(
    rf"https://(?P<host>{_LABEL}(?:\.{_LABEL})*)(?::(?P<port>[0-9]{{1,5}}))?"
    r"(?P<path>/[!$-;=?-Z_a-z~%]*)",
    re.ASCII,
)


def origin(endpoint: str, allowed: Sequence[str]) -> str:
    """
    Return the origin ("https://host") of an endpoint on an allowed push host.

    *allowed* holds host names; one with a leading dot stands for its subdomains, one
    with a port for that port only. Raises InputError with the reason, never with the
    endpoint itself, which is a secret.
    """
    if len(endpoint) > (most := limits.MAX_ENDPOINT_CHARACTERS):
        raise InputError(f"the endpoint has {len(endpoint)} characters, more than {most}")
    match = _ENDPOINT.fullmatch(endpoint)
    if match is None:
        raise InputError(
            "the endpoint is no plain https URL (host name in lower case, path, no user, "
            "no fragment)"
        )
    host, port = match["host"], match["port"]
    if len(host) > limits.MAX_HOST_CHARACTERS:
        raise InputError(f"the endpoint's host name has {len(host)} characters")
    if port == "443":
        port = None
    name = host if port is None else f"{host}:{port}"
    for entry in allowed:
        if name == entry or (entry.startswith(".") and port is None and name.endswith(entry)):
            return f"https://{name}"
    raise InputError(f"{name} is not among the allowed push hosts (push.allowed_hosts)")


def cut_origin(endpoint: str) -> str:
    """Return the origin of a stored endpoint, without checking it anew."""
    # push/ refuses one without a path, with the reason.
    path = endpoint.find("/", 8)
    return endpoint[:path] if path > 0 else endpoint


def short(endpoint: str) -> str:
    """Return an endpoint as it may be shown: its host and 8 digits that tell it apart."""
    match = _ENDPOINT.match(endpoint)
    host = match["host"] if match else "no host"
    return f"{host}/#{hashlib.sha256(endpoint.encode()).hexdigest()[:8]}"
