"""Refusals of the API as problem details (RFC 9457)."""

import orjson

from pushctl.receiver.answers import Headers, Refusal

TYPE = "urn:pushctl:problem:"
PROBLEM_HEADERS: Headers = [
    (b"content-type", b"application/problem+json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]


def render(refusal: Refusal) -> tuple[int, Headers, bytes]:
    """Return *refusal* as status, headers and body."""
    problem = {
        "type": TYPE + refusal.word.lower().replace(" ", "-"),
        "title": refusal.error,
        "status": refusal.status,
        "detail": refusal.remedy,
        **refusal.extra,
    }
    body = orjson.dumps(problem)
    own = [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
    length = (b"content-length", b"%d" % len(body))
    return refusal.status, [*PROBLEM_HEADERS, *own, length], body
