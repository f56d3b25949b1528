"""The scripts of sw/ as they are served: slim, with their settings filled in."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from pushctl.model import Json

# Page and worker; the others are loaded by the page's when somebody needs them.
SCRIPTS = (
    "pushctl.js",
    "pushctl.mjs",
    "pushctl-prompt.js",
    "pushctl-preferences.js",
    "pushctl-fit.js",
    "pushctl-rules.js",
    "pushctl-look.js",
    "pushctl-texts.js",
    "pushctl-watch.js",
    "pushctl-sw.js",
)

# The settings of each: no page gets settings that it does not need.
_KNOWN = {
    "pushctl.js": ("url", "key", "site", "rules"),
    "pushctl-sw.js": ("url", "name", "icon", "badge"),
    "pushctl-look.js": ("name", "icon", "color"),
}

# import ... from "./pushctl-look.js": the name of the site goes along.
_IMPORT = re.compile(r'((?:from|import) ?\(?"\./pushctl[\w-]*\.js)(?:\?site=[^"]*)?"')

# In some of them: const CONFIG = /*pushctl*/{...}/*end*/;
_SLOT = re.compile(r"/\*pushctl\*/.*?/\*end\*/", re.DOTALL)

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


def slim(text: str) -> str:
    """
    Return a script without its comments and the space that only people need.

    Names, texts, templates and regular expressions stay as they are, and so does each
    line's end that may stand for a semicolon. Constants that follow each other become one
    declaration.
    """
    # rjsmin leaves more: 6,057 bytes for page and worker, where this leaves 5,992.
    parts: list[str] = []
    last = ""  # the last character that is code
    gap = ""  # what stands between it and the next
    constants = [False]  # at each depth: whether the statement there declares some
    for kind, piece in _pieces(text):
        if kind in ("comment", "space"):
            gap += piece if kind == "space" else ""
            continue
        if last in ("", ";", "{") or (last == "}" and kind == "word"):
            more = piece == "const" and last == ";" and constants[-1]
            constants[-1] = piece == "const"
            if more:  # const a = 1; const b = 2;
                parts[-1] = last = ","
                gap = ""
                continue
        if (last == "," and piece in "}])") or (last == ";" and piece == "}"):
            parts.pop()  # ends nothing that the bracket does not end
            gap = ""
        parts.append(_between(last, gap, piece[0]))
        parts.append(piece.replace("_", "") if piece[0].isdecimal() else piece)
        last, gap = piece[-1], ""
        if kind == "sign" and piece in "([{":
            constants.append(False)
        elif kind == "sign" and piece in ")]}" and len(constants) > 1:
            constants.pop()
    return "".join(parts) + "\n"


_PIECE = re.compile(
    r"""(?P<slot>/\*pushctl\*/.*?/\*end\*/)
      | (?P<comment>//[^\n]* | /\*.*?\*/)
      | (?P<space>\s+)
      | (?P<text>"(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `(?:\\.|[^`\\])*`)
      | (?P<word>[\w$#]+)
      | (?P<sign>.)""",
    re.DOTALL | re.VERBOSE,
)
_REGEX = re.compile(r"/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\[\n])+/[a-z]*")
# After these a slash begins a regular expression; after a value it divides.
_BEFORE_REGEX = "(,=:[!&|?{};>"


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    place, last = 0, ";"
    while found := _PIECE.match(text, place):
        kind, piece = str(found.lastgroup), found[0]
        regex = _REGEX.match(text, place) if piece == "/" and last in _BEFORE_REGEX else None
        if regex:
            kind, piece = "text", regex[0]
        if kind not in ("space", "comment"):
            last = piece[-1]
        yield kind, piece
        place += len(piece)


def _between(last: str, gap: str, following: str) -> str:
    """Return the part of *gap* that must stay between two characters of code."""
    if not gap or not last:
        return ""
    if "\n" in gap:
        # A line ends a statement only where one could end and the next begin.
        joined = last in "{([,;=>?:&|" or following in "})],.;?:&|="
        return "" if joined else "\n"
    if last in _SIGNS and following in _SIGNS:
        return " "
    return "" if last in _LOOSE or following in _LOOSE else " "


# "a + +b" is not "a++b".
_SIGNS = "+-/"
_LOOSE = "{}()[],;=<>?:&|!*\"'`" + _SIGNS
