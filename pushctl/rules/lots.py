"""Lots: random choices that are always the same for the same person."""

import hashlib


def lot(*words: str) -> float:
    """Return a number in [0, 1) that is always the same for the same words."""
    digest = hashlib.sha256("\n".join(words).encode()).digest()
    return int.from_bytes(digest[:7], "big") / (1 << 56)
