"""Scripts without what only people need: comments, space, long names."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from string import ascii_letters


def slim(text: str) -> str:
    """
    Return a script without its comments and the space that only people need.

    Names, texts, templates and regular expressions stay as they are, and so does each
    line's end that may stand for a semicolon. Constants that follow each other become one
    declaration.
    """
    # rjsmin leaves more: 6,057 bytes for page and worker, where this left 5,992.
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


def shorten(text: str) -> str:
    """
    Return a script with names of one letter for its own constants, functions and arguments.

    A name that is declared for the whole script gets a letter of its own; one that is
    declared within a statement (mostly a function) gets one that this statement does not
    know otherwise. So nothing else of its scopes need be known; { name } becomes { name: a }.
    Properties stay, and so does what stands in a template. A script with a class, an import
    or an export stays as it is.
    """
    pieces = list(_pieces(text))
    places = [at for at, (kind, _) in enumerate(pieces) if kind not in ("comment", "space")]
    code = [pieces[at][1] for at in places]
    roles = _find_roles(code)
    if any(word in _UNREAD for word, role in zip(code, roles, strict=True) if role == NAME):
        return text
    parts = [piece for _, piece in pieces]
    letters = _choose_letters(code, roles)
    for at, piece, role, letter in zip(places, code, roles, letters, strict=True):
        if letter:
            parts[at] = letter if role == NAME else f"{piece}: {letter}"
    return "".join(parts)


# What a word is: a name, a name that is a property, too ({ name }), a property; or nothing
# of these.
NAME, SHORT, PROPERTY, OTHER = "name", "short", "property", "other"
_UNREAD = ("class", "export", "import", "eval", "with")
# A brace after one of these begins statements; after anything else an object.
_BEFORE_BLOCK = ("", ")", ">", ";", "{", "}", "else", "try", "catch", "finally", "do")


def _find_roles(code: Sequence[str]) -> list[str]:
    """Return what each piece of *code* is."""
    roles: list[str] = []
    inside = [""]
    before = last = ""
    for piece, following in zip(code, (*code[1:], ""), strict=False):
        roles.append(_find_role(before, last, piece, following, inside[-1] == "object"))
        if piece == "{":
            inside.append("block" if last in _BEFORE_BLOCK else "object")
        elif piece in ("(", "["):
            inside.append(piece)
        elif piece in (")", "]", "}"):
            inside.pop()
        before, last = last, piece
    return roles


def _find_role(before: str, last: str, piece: str, following: str, in_object: bool) -> str:
    if not piece.isidentifier() or (piece == "import" and following == "("):
        return OTHER
    if last == "." and before != ".":  # a.b, a?.b; but ...b
        return PROPERTY
    if in_object and last in ("{", ",", "async") and following in (":", "("):
        return PROPERTY
    return SHORT if in_object and last in ("{", ",") else NAME


def _choose_letters(code: Sequence[str], roles: Sequence[str]) -> list[str]:
    """Return the letter that stands for each piece of *code*, "" where it stays."""
    pairs = zip(code, roles, strict=True)
    words = [piece if role in (NAME, SHORT) else "" for piece, role in pairs]
    quoted = {word for one in code if one[0] == "`" for word in re.findall(r"[\w$]+", one)}
    taken = quoted.union(words)
    statements = _split(code)
    common = {name for one in statements for name in _find_common(code[one])}
    letters = _choose(common - quoted, words, roles, taken)
    made = [""] * len(code)
    for one in statements:
        known = {letters[word] for word in words[one] if word in letters}
        own = set(_find_own(code[one])) - common - quoted
        local = letters | _choose(own, words[one], roles[one], taken | known)
        made[one] = [local.get(word, "") for word in words[one]]
    return made


def _choose(
    names: Collection[str], words: Sequence[str], roles: Sequence[str], taken: Collection[str]
) -> dict[str, str]:
    """Return a letter that is not *taken* for each of *names* that is shorter by it."""
    count = Counter(zip(words, roles, strict=True))
    saved = {
        name: count[name, NAME] * (len(name) - 1) - count[name, SHORT] * _SHORT_COST
        for name in names
    }
    worth = sorted((-gain, name) for name, gain in saved.items() if gain > 0)
    free = (letter for letter in (*ascii_letters, *_PAIRS) if letter not in taken)
    return dict(zip((name for _, name in worth), free, strict=False))


# ": a", and what compression makes of it.
_SHORT_COST = 3
_PAIRS = tuple(f"a{letter}" for letter in ascii_letters)
_OPEN, _CLOSED = ("(", "[", "{"), (")", "]", "}")
# (() => { ... })();
_HEAD, _TAIL = ["(", "(", ")", "=", ">", "{"], ["}", ")", "(", ")", ";"]


def _split(code: Sequence[str]) -> list[slice]:
    """Return the statements of a script, or of the one function that is all of it."""
    wrapped = code[:6] == _HEAD and code[-5:] == _TAIL
    start, stop = (6, len(code) - 5) if wrapped else (0, len(code))
    statements, depth = [], 0
    for place in range(start, stop):
        depth += (code[place] in _OPEN) - (code[place] in _CLOSED)
        ended = code[place] == ";" or (
            code[place] == "}" and place + 1 < stop and code[place + 1].isidentifier()
        )
        if depth == 0 and ended:
            statements.append(slice(start, place + 1))
            start = place + 1
    return [*statements, slice(start, stop)]


def _find_common(statement: Sequence[str]) -> Iterator[str]:
    """Yield the names that *statement* declares for all others."""
    depth = 0
    for last, piece in zip(("", *statement), statement, strict=False):
        depth += (piece in _OPEN) - (piece in _CLOSED)
        following = last == "," and statement[0] in ("const", "let")
        if depth == 0 and (last in ("const", "let", "function") or following):
            yield piece


def _find_own(code: Sequence[str]) -> Iterator[str]:
    """Yield the names that the script declares; what has one letter is short enough."""
    opened: list[int] = []
    for place, piece in enumerate(code):
        last = code[place - 1] if place else ""
        arrow = code[place + 1 : place + 3] == ["=", ">"]
        if piece == "(":
            opened.append(place)
        elif piece == ")":
            start = opened.pop()
            ahead = code[max(start - 2, 0) : start]
            if arrow or "function" in ahead or "catch" in ahead:
                yield from _list_arguments(code[start : place + 1])
        elif len(piece) > 1 and (last in ("const", "let", "function") or arrow):
            yield piece


def _list_arguments(code: Sequence[str]) -> Iterator[str]:
    depth = 0
    for last, piece in zip(("", *code), code, strict=False):
        depth += (piece in _OPEN) - (piece in _CLOSED)
        if depth == 1 and last in ("(", ",", ".") and piece.isidentifier() and len(piece) > 1:
            yield piece


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
