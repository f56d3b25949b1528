"""The names of subscribers for whoever talks about them: they tell nothing and stay."""

import secrets


def make_public_id() -> str:
    """Return 22 random characters of base64url; the first is never "-", as of an option."""
    while (name := secrets.token_urlsafe(16)).startswith("-"):
        pass
    return name


def make_public_ids(count: int) -> list[str]:
    """
    Return so many, which begin with the same four characters; 108 bits of each are random.

    They come to stand side by side in their index. At places of their own in one of ten
    million, each would have a page of the file read and written.
    """
    start = make_public_id()[:4]
    return [start + secrets.token_urlsafe(16)[:18] for _ in range(count)]
