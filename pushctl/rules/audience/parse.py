"""
Audience expressions: ``tag('Abandoned basket 1') and not event('purchase') within 30d``.

``parse`` reads one, ``join`` joins those of a command line, ``expand`` puts the saved
segments in. The grammar stands in audience.lark, the tree in expression.py.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pushctl.errors import InputError, NotFoundError
from pushctl.rules import limits
from pushctl.rules.audience import expression as tree
from pushctl.rules.audience.expression import Expression, explain, text

if TYPE_CHECKING:
    from lark import Lark, Token
    from lark.exceptions import UnexpectedInput

__all__ = ["Expression", "expand", "explain", "join", "parse", "text"]


# What the grammar's terminals are called before people.
_WORDS = {
    "TEXT": "a text in quotes", "NUMBER": "a number", "DURATION": "a time like 30d",
    "EQUAL": "= or !=", "ORDER": "<, <=, > or >=", "LPAR": "(", "RPAR": ")", "COMMA": ",",
    "_AND": "and", "_OR": "or", "_NOT": "not", "_WITHIN": "within", "$END": "the end",
    "FIELD": "a field", "AGE": "subscribed or seen",
    "REACTION": "shown, clicked or closed", "OUTCOME": "sent, accepted or rejected",
    "_STEP": "step", "BEFORE": "before",
}  # fmt: skip
_CONDITION = ("TAG", "FIELD", "EVENT", "ATTRIBUTE")
_SPELLED = (
    *tree.FIELDS, "tag", "segment", "attribute", "event", "subscribed", "seen", "shown",
    "clicked", "closed", "sent", "accepted", "rejected", "everyone", "and", "or", "not",
    "within", "in", "is", "known", "unknown", "contains", "like", "true", "false", "step",
    "before",
)  # fmt: skip

# Here stands a value or a name, so an unknown word is a text that lacks its quotes.
_BEFORE_VALUE = re.compile(
    r"(?:[=<>,]|\b(?:contains|like)"
    r"|\b(?:in|tag|segment|attribute|event|shown|clicked|closed|sent|accepted|rejected)\s*\()\s*$",
    re.IGNORECASE,
)


def parse(text: str, *, steps: bool = False) -> Expression:
    """
    Return the audience that *text* describes; *steps*: ``clicked(step 1)`` has a meaning.

    Raises InputError with the text, a caret below the fault and what was expected.
    """
    from lark.exceptions import UnexpectedInput

    from pushctl.rules.audience.builder import Fault

    if len(text) > (most := limits.MAX_AUDIENCE_CHARACTERS):
        raise InputError(f"the audience has {len(text):,} characters, more than {most:,}")
    if not text.strip():
        raise InputError("the audience is empty. Write everyone, or a condition: tag('VIP').")
    try:
        # The parser is bottom-up and builds the tree as it goes: no recursion to exhaust.
        found: Any = _parser().parse(text)
    except UnexpectedInput as error:
        raise InputError(_explain_error(text, error)) from error
    except Fault as error:
        raise InputError(_point_at(text, error.at, error.fault, error.remedy)) from error
    if not steps and (asked := tree.list_steps(found)):
        raise InputError(
            f'{tree.text(asked[0])} asks about one enrolment: write it in only = "..." of a '
            "trigger's step, or name the campaign: clicked('basket/1')"
        )
    return found  # type: ignore[no-any-return]


def join(
    *, tags: Iterable[str] = (), segments: Iterable[str] = (), where: Iterable[str] = ()
) -> Expression:
    """
    Return the audience of a command line: all tags, segments and expressions must hold.

    Nothing given is everyone. Tags and segments are names, never parsed.
    """
    return tree.all_of([*map(tree.Tag, tags), *map(tree.Segment, segments), *map(parse, where)])


def expand(expression: Expression, saved: Mapping[str, str]) -> Expression:
    """
    Return *expression* with each ``segment('...')`` replaced by its saved expression.

    Raises NotFoundError for a name that isn't saved, InputError for one that contains
    itself or grows too large.
    """
    found = _expand(expression, saved, ())
    depth, conditions = tree.depth(found), sum(1 for _ in tree.walk(found))
    if depth > limits.MAX_EXPANDED_LEVELS or conditions > limits.MAX_EXPANDED_CONDITIONS:
        raise InputError("the segments together make too large an audience; use fewer")
    return found


def _expand(
    expression: Expression, saved: Mapping[str, str], inside: tuple[str, ...]
) -> Expression:
    if not isinstance(expression, tree.Segment):
        return tree.rebuild(expression, lambda part: _expand(part, saved, inside))
    name = expression.name
    if name in inside:
        chain = " -> ".join((*inside, name))
        raise InputError(f"the segment {name!r} contains itself: {chain}")
    if len(inside) >= limits.MAX_EXPANDED_LEVELS:
        raise InputError("segments stand inside each other too deeply")
    if name not in saved:
        known = ", ".join(sorted(saved)) or "none yet"
        raise NotFoundError(
            f"no segment is called {name!r}. [segments] of pushctl.toml has: {known}."
        )
    return _expand(parse(saved[name]), saved, (*inside, name))


@lru_cache(maxsize=1)
def _parser() -> "Lark":
    from pkgutil import get_data

    from lark import Lark

    from pushctl.rules.audience.builder import Builder

    grammar = (get_data("pushctl.rules.audience", "audience.lark") or b"").decode()
    # The plain lexer: a word means the same everywhere, and an unknown one is found
    # as such wherever it stands.
    return Lark(grammar, parser="lalr", lexer="basic", transformer=Builder())


def _explain_error(text: str, error: "UnexpectedInput") -> str:
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    at = error.pos_in_stream
    if isinstance(error, UnexpectedToken):
        token: Token = error.token
        ended = token.type == "$END"
        at = len(text.rstrip()) if ended else at
        fault = "the audience ends too early" if ended else f"{str(token)!r} can't stand here"
        expected = error.accepts or error.expected
        remedy = _find_misplaced_remedy(text, at or 0, str(token), set(expected))
        return _point_at(text, at or 0, fault, remedy or _list_expected(expected))
    if isinstance(error, UnexpectedCharacters):
        rest = text[at or 0 :]
        if rest[:1] in "'\"":
            return _point_at(text, at or 0, "this quote is never closed", "Close it: 'VIP'.")
        word = re.match(r"[^\W\d][\w-]*", rest)
        if word:
            remedy = _find_remedy(text[: at or 0], word[0], rest[len(word[0]) :].lstrip())
            return _point_at(text, at or 0, f"{word[0]!r} is not a word of audiences", remedy)
        curly = rest[:1] in "‘’‚“”„«»‹›`´"
        remedy = "Write straight quotes: 'VIP'." if curly else "Remove it."
        return _point_at(text, at or 0, f"{rest[:1]!r} can't stand here", remedy)
    return _point_at(text, at or 0, "this is no audience", "See docs/audience.md.")


def _find_misplaced_remedy(text: str, at: int, found: str, expected: set[str]) -> str | None:
    """Return what to write where *found* stands in the wrong place; None: no idea."""
    before, after = text[:at].rstrip(), text[at + 1 :].strip()
    if found == "=" and before.endswith("="):
        return "Write one = alone."
    if expected != {"LPAR"}:
        return None
    if found[:1] in "'\"":
        return f"Put it in brackets: ({found})."
    if found == "=":
        value = re.match(r"'[^']*'|\"[^\"]*\"", after)
        return f"Write {before.split()[-1]}({value[0] if value else '...'})."
    return None


def _find_remedy(before: str, word: str, after: str) -> str:
    """Return what to write for an unknown *word* between *before* and *after*."""
    if re.search(r"\bstep\s*$", before, re.IGNORECASE):
        return "Write step 1, or step before."
    if _BEFORE_VALUE.search(before):
        return f"Put texts in quotes: '{word}'."
    near = difflib.get_close_matches(word.lower(), _SPELLED, 1)
    if near:
        return f"Did you mean {near[0]}?"
    if re.match(r"[=<>!]|(?:in|is|contains|like)\b", after):
        return f"Is it an attribute? attribute('{word}')"
    return "Put texts in quotes: tag('VIP')."


def _list_expected(names: Iterable[str]) -> str:
    names = set(names)
    if names.issuperset(_CONDITION):
        return "Expected: a condition, like tag('VIP'), country = 'DE' or seen within 30d."
    words = [_WORDS.get(name, name.lower()) for name in sorted(names)]
    return f"Expected: {', '.join(words)}."


def _point_at(text: str, at: int, fault: str, remedy: str) -> str:
    """Return *fault* with the line of *text* that has it and a caret below position *at*."""
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    line = text[start : end if end >= 0 else len(text)]
    column = at - start
    # A long line is shown around the fault.
    skipped = max(0, column - 60)
    shown = "".join(c if c.isprintable() else " " for c in line[skipped : column + 30])
    place = f"column {column + 1}" + (
        f" of line {text.count(chr(10), 0, at) + 1}" if start else ""
    )
    return (
        f"the audience can't be read at {place}: {fault}\n"
        f"    {shown}\n    {' ' * (column - skipped)}^\n{remedy}"
    )
