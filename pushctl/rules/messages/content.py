"""What makes two broadcasts the same message: equal sources of the template, equal values."""

import hashlib
import json
from collections.abc import Mapping

from pushctl.model import Json


def hash_content(sources: Mapping[str, str], values: Mapping[str, Json]) -> bytes:
    """
    Return 16 bytes that stand for a message before it is rendered.

    *values* are the campaign's own (a promo code), not the receivers'. Its name, speed and
    time to live are no part of what people read.
    """
    text = json.dumps([sources, values], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()[:16]
