"""
Which columns of other tools' exports may say that a person left, and what they say.

A column is recognised by the words of its name: ``is_active``, ``opted_out``,
``unsubscribed_at``, ``push_status``. What such a column says and nobody understands is
never taken for a yes.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from pushctl.model import Json, SubscriptionState
from pushctl.rules.folding import fold

ACTIVE, LEFT = SubscriptionState.ACTIVE, SubscriptionState.UNSUBSCRIBED


class Kind(StrEnum):
    YES = "yes"  # true: the person wants messages
    NO = "no"  # true, or a date: the person left
    WHEN = "when"  # any time but an empty one: the person left then
    STATUS = "status"  # a word
    TYPES = "types"  # OneSignal: above zero is subscribed, -2 is unsubscribed


# What other words of the name may be about without another channel or thing being meant.
_OF = (
    r"(?:(?:is|has|was|are|web|push|webpush|notifications?|user|subscriptions?|subscriber|"
    r"device|browser|token|current)_)*"
)
_LEAVING = (
    r"(?:inactive|disabled?|unsubscribed?|opted_?out|opt_?out|deleted?|removed|invalid|"
    r"invalidated|invalid_identifier|blocked|banned|revoked|denied|expired|suppressed|"
    r"bounced|cancell?ed|gone)"
)
_SAYS: tuple[tuple[Kind, str], ...] = (
    (Kind.TYPES, r"notification_types?"),
    (Kind.WHEN, _LEAVING + r"_(?:at|on|date|time|timestamp|since)"),
    (Kind.NO, _LEAVING),
    (
        Kind.YES,
        r"(?:active|enabled?|subscribed|opted_?in|opt_?in|valid|allowed|granted|consent|"
        r"consented|permitted)",
    ),
    (Kind.STATUS, r"(?:status|state|permission)"),
)
_OURS = tuple((kind, re.compile(_OF + words)) for kind, words in _SAYS)
_OTHERS = tuple((kind, re.compile(rf"(?:.*_)?{words}")) for kind, words in _SAYS)

_TRUE = frozenset({"1", "1.0", "true", "t", "yes", "y", "on"})
_FALSE = frozenset({"0", "0.0", "false", "f", "no", "n", "off", "never"})
_WORDS: Mapping[str, SubscriptionState] = {
    **{state.value: state for state in SubscriptionState},
    **dict.fromkeys(
        ("subscribed", "enabled", "granted", "allowed", "opted in", "optin", "opt in", "valid",
         "confirmed", "true", "yes", "on"),
        ACTIVE,
    ),
    **dict.fromkeys(
        ("inactive", "disabled", "denied", "blocked", "opted out", "optout", "opt out",
         "deleted", "removed", "invalid", "expired", "revoked", "bounced", "suspended",
         "cancelled", "canceled", "banned", "unsubscribe", "not subscribed", "unregistered",
         "false", "no", "off"),
        LEFT,
    ),
}  # fmt: skip
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?!\d)|\d{9,}|\d{5}(?:\.\d+)?$", re.ASCII)
_NO_DATE = re.compile(r"[0\s:./tz+-]+")
_NUMBER = re.compile(r"[+-]?\d{1,9}(?:\.0*)?", re.ASCII)

_MOST_CHARACTERS = 100  # of what may be an answer

# The stronger wish wins where columns differ.
_ORDER = (LEFT, SubscriptionState.QUARANTINED, SubscriptionState.GONE, ACTIVE)


@dataclass(frozen=True)
class Answers:
    """What the owner says about values that are not understood."""

    said: Mapping[tuple[str, str], SubscriptionState] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()  # columns that are about something else


@lru_cache(maxsize=4096)
def recognise(column: str) -> tuple[Kind, bool] | None:
    """
    Return what kind of answer the *column* (in snake case) holds, and whether it is surely
    about push; None for a column that says nothing of the kind.
    """
    for ours, patterns in ((True, _OURS), (False, _OTHERS)):
        for kind, pattern in patterns:
            if pattern.fullmatch(column):
                return kind, ours
    return None


def make_key(column: str, value: Json) -> tuple[str, str]:
    """Return the key of ``Answers.said``."""
    return column, fold(str(value))


def read(said: Mapping[str, Json], answers: Answers) -> SubscriptionState | None:
    """
    Return the state that columns state together; None where they say nothing.

    *said* holds values by column. Raises LookupError (column, value) for one that nobody
    understands.
    """
    found: set[SubscriptionState] = set()
    for column, value in said.items():
        if column in answers.ignored:
            continue
        asked = make_key(column, value)
        if len(asked[1]) > _MOST_CHARACTERS:
            raise LookupError(column, str(value))
        state = answers.said[asked] if asked in answers.said else _read(column, asked[1])
        if state is not None:
            found.add(state)
    return next((state for state in _ORDER if state in found), None)


def list_unclear(said: Mapping[str, Json], answers: Answers) -> Collection[tuple[str, str]]:
    """Return (column, value) of each value that nobody understands."""
    unclear = []
    for column, value in said.items():
        try:
            read({column: value}, answers)
        except LookupError:
            unclear.append((column, str(value)))
    return unclear


@lru_cache(maxsize=4096)
def _read(column: str, text: str) -> SubscriptionState | None:
    recognised = recognise(column)
    if recognised is None or not text:
        return None
    kind, ours = recognised
    state = _READERS[kind](text)
    # "sms_enabled = no" says nothing of push, or everything: only the owner knows.
    if state is None or (state is not ACTIVE and not ours):
        raise LookupError(column, text)
    return None if state is ACTIVE and kind in (Kind.NO, Kind.WHEN) else state


def _read_yes(text: str) -> SubscriptionState | None:
    if text in _TRUE or _DATE.match(text):
        return ACTIVE
    return LEFT if text in _FALSE else _read_status(text)


def _read_no(text: str) -> SubscriptionState | None:
    if text in _TRUE:
        return LEFT
    if text in _FALSE or _NO_DATE.fullmatch(text):
        return ACTIVE
    return LEFT if _DATE.match(text) else None


def _read_when(text: str) -> SubscriptionState | None:
    state = _read_no(text)
    return LEFT if state is None and re.search(r"[1-9]", text) else state


def _read_status(text: str) -> SubscriptionState | None:
    # A bare number means one thing here and another thing there.
    return _WORDS.get(re.sub(r"[\s_-]+", " ", text))


def _read_types(text: str) -> SubscriptionState | None:
    if not _NUMBER.fullmatch(text):
        return None
    return ACTIVE if float(text) > 0 else LEFT


_READERS = {
    Kind.YES: _read_yes,
    Kind.NO: _read_no,
    Kind.WHEN: _read_when,
    Kind.STATUS: _read_status,
    Kind.TYPES: _read_types,
}
