"""The scripts of sw/ as they are served: slim, with their settings filled in."""

import json
import re
from collections.abc import Mapping, Sequence

from pushctl.model import Json
from pushctl.rules.web import slimming

# Page and worker; the others are loaded by the page's when somebody needs them.
SCRIPTS = (
    "pushctl.js",
    "pushctl.mjs",
    "pushctl-prompt.js",
    "pushctl-adopt.js",
    "pushctl-preferences.js",
    "pushctl-fit.js",
    "pushctl-debug.js",
    "pushctl-rules.js",
    "pushctl-look.js",
    "pushctl-texts.js",
    "pushctl-watch.js",
    "pushctl-sw.js",
)

# These two are what a page costs everybody: limits.MAX_SCRIPTS_BYTES.
_FOR_ALL = ("pushctl.js", "pushctl-sw.js")

# The settings of each: no page gets settings that it does not need.
_KNOWN = {
    "pushctl.js": ("url", "key", "site", "rules"),
    "pushctl-sw.js": ("url", "name", "icon", "badge"),
    "pushctl-look.js": ("name", "icon", "color", "background"),
}

# import ... from "./pushctl-look.js": the name of the site goes along.
_IMPORT = re.compile(r'((?:from|import) ?\(?"\./pushctl[\w-]*\.js)(?:\?site=[^"]*)?"')

# In some of them: const CONFIG = /*pushctl*/{...}/*end*/;
_BEGIN, _END = "/*pushctl*/", "/*end*/"
_SLOT = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
_MOST_SETTINGS_CHARACTERS = 20_000

# A file may be pasted into a page, so nothing in it may end a script element or look
# like the slot's own marks.
_ESCAPES = str.maketrans({"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "*": r"\u002a"})


def render(
    name: str, text: str, values: Mapping[str, Json], rules: Sequence[Mapping[str, Json]] = ()
) -> str:
    """
    Return the *text* of the script *name* with its settings in it.

    *values* come from ``settings``, *rules* from ``tag_rules.list_for_site``. Its imports
    name the same site: an address alone would stand for the first one.
    """
    text = _IMPORT.sub(lambda found: f'{found[1]}?site={values["site"]}"', text)
    if name == "pushctl-rules.js":
        return fill(text, list(rules))
    if name not in _KNOWN:
        return text
    return fill(text, {key: values[key] for key in _KNOWN[name] if key in values})


def minify(name: str, text: str) -> str:
    """Return the *text* of the script *name* as it is served, without its settings."""
    return slimming.slim(slimming.shorten(text) if name in _FOR_ALL else text)


def fill(text: str, values: Json) -> str:
    """
    Return *text* with *values* as the settings of a file of sw/.

    Filling a filled file replaces its settings. Raises ValueError when *text* has no
    such line, or more than one.
    """
    settings = json.dumps(values, ensure_ascii=True, allow_nan=False)
    filled, found = _SLOT.subn(
        lambda _: f"/*pushctl*/{settings.translate(_ESCAPES)}/*end*/", text
    )
    if found != 1:
        raise ValueError(f"expected one /*pushctl*/{{...}}/*end*/, found {found}")
    return filled


def read_settings(text: str) -> Mapping[str, Json] | None:
    """Return the settings that ``fill`` has written into *text*; None where there are none."""
    start = text.find(_BEGIN)
    end = text.find(_END, start)
    if start < 0 or end < 0 or end - start > _MOST_SETTINGS_CHARACTERS:
        return None
    try:
        found = json.loads(text[start + len(_BEGIN) : end])
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def settings(
    *, url: str, key: str, site: str, rules: bool = False, **brand: str | None
) -> dict[str, Json]:
    """
    Return the values that ``fill`` writes for one site, without absent ones.

    *url* is the receiver's public address without a slash at the end ("": where the script
    itself came from), *key* the VAPID public key (87 characters base64url), *rules* whether
    the page must load its tag rules; *brand* has the site's name, icon, badge and color.
    """
    values = {"url": url.rstrip("/"), "key": key, "site": site, "name": "", **brand}
    return {
        name: value
        for name, value in (values | {"rules": rules or None}).items()
        if value is not None
    }
