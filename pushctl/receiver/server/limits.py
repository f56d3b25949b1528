"""Limits of one connection and of all together."""

from dataclasses import dataclass

from pushctl.rules.limits import MAX_BODY_BYTES
from pushctl.rules.units import KIB


@dataclass(frozen=True)
class Limits:
    """Limits of one connection and of all together, in seconds and bytes."""

    connections: int = 2_000
    per_address: int = 100
    head: float = 5.0
    body: float = 5.0
    idle: float = 15.0
    answer: float = 30.0
    max_head: int = 16 * KIB
    max_body: int = MAX_BODY_BYTES
