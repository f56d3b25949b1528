"""The line of settings in sw/: how pushctl.js and pushctl-sw.js learn where to call."""

import json
import re
from collections.abc import Mapping

from pushctl.model import Json

# In both files: const CONFIG = /*pushctl*/{...}/*end*/;
_SLOT = re.compile(r"/\*pushctl\*/.*?/\*end\*/", re.DOTALL)

# A file may be pasted into a page, so nothing in it may end a script element or look
# like the slot's own marks.
_ESCAPES = str.maketrans({"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "*": r"\u002a"})


def fill(text: str, values: Mapping[str, Json]) -> str:
    """
    Return *text* with *values* as the settings of a file of sw/.

    Filling a filled file replaces its settings. Raises ValueError when *text* has no
    such line, or more than one.
    """
    settings = json.dumps(dict(values), ensure_ascii=True, allow_nan=False)
    filled, found = _SLOT.subn(
        lambda _: f"/*pushctl*/{settings.translate(_ESCAPES)}/*end*/", text
    )
    if found != 1:
        raise ValueError(f"expected one /*pushctl*/{{...}}/*end*/, found {found}")
    return filled


def settings(
    *,
    url: str,
    key: str,
    site: str,
    name: str = "",
    icon: str | None = None,
    badge: str | None = None,
    color: str | None = None,
) -> dict[str, Json]:
    """
    Return what ``fill`` writes for one site; absent things are left out.

    *url* is the receiver's public address without a slash at the end ("" means: where
    the script itself came from), *key* the VAPID public key (87 characters
    base64url), *name*, *icon*, *badge* and *color* the site's brand.
    """
    values = {
        "url": url.rstrip("/"),
        "key": key,
        "site": site,
        "name": name,
        "icon": icon,
        "badge": badge,
        "color": color,
    }
    return {name: value for name, value in values.items() if value is not None}


def slim(text: str) -> str:
    """
    Return a script without its comment lines and indentation, for serving.

    Line by line, so that what runs can still be read beside its source: no statement
    is touched. Comments behind code stay.
    """
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//")) + "\n"
