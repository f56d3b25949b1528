"""Limits of one connection and of all together."""

from dataclasses import dataclass

from pushctl.rules import limits, units


@dataclass(frozen=True)
class Limits:
    """Limits of one connection and of all together, in seconds and bytes."""

    connections: int = 2_000
    per_address: int = 100
    head: float = 5.0
    body: float = 5.0
    idle: float = 15.0
    answer: float = 30.0
    max_head: int = 16 * units.KIB
    max_body: int = limits.MAX_BODY_BYTES
