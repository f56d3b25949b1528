"""Attributes that only the program or the shop sets: browsers can't."""

from collections.abc import Mapping

from pushctl.model import Json
from pushctl.rules.web.fields import fold
from pushctl.rules.web.reserved_tags import RESERVED

LEFT_OUT = "attributes of reserved names"  # what the import counts

# What the receiver finds out by itself (jobs/ingest/profile.py).
FOUND = frozenset({"address", "device", "landing_page"})


def is_reserved(name: str) -> bool:
    """Return whether a browser may not set this attribute."""
    folded = fold(name)
    return folded in FOUND or folded.startswith(RESERVED)


def list_allowed(attributes: Mapping[str, Json]) -> dict[str, Json]:
    """Return the attributes that a browser may set."""
    return {name: value for name, value in attributes.items() if not is_reserved(name)}
