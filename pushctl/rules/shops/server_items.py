"""
Items of server requests: who one is about, and what it says.

A server is believed, and its times are kept: what happened last year happened then. What is
wrong in one item is told in the result of its request; the others are applied.
"""

from collections.abc import Mapping
from typing import NamedTuple

from pushctl.errors import InputError
from pushctl.model import Json, Millis
from pushctl.rules import limits
from pushctl.rules.events import name_event
from pushctl.rules.shops.told import Clues
from pushctl.rules.units import DAY, SECOND
from pushctl.rules.web import bodies, fields

Item = Mapping[str, Json]


class ToldEvent(NamedTuple):
    """What somebody did, as a server tells it."""

    id: str | None  # the shop's own id of the event
    name: str
    at: Millis
    properties: Mapping[str, Json]


# Each with the clue that it is, and its check.
_NAMES = {
    "alias": ("alias", fields.alias),
    "subscriber": ("subscriber", fields.public_id),
    "cart": ("cart_key", fields.cart_key),
    "email_hash": ("email_hash", fields.email_hash),
}


def read_person(item: Json) -> Clues:
    """Return who *item* is about; raises InputError unless one thing says so."""
    if not isinstance(item, dict):
        raise InputError("it is no object")
    given = [name for name in _NAMES if name in item]
    if len(given) != 1:
        raise InputError(f"it does not have one of {', '.join(_NAMES)}")
    clue, check = _NAMES[given[0]]
    try:
        return Clues(**{clue: check(item[given[0]])})
    except InputError as error:
        raise InputError(f"{given[0]} {error}") from error


def read_event(item: Item, received: Millis) -> ToldEvent:
    own = item.get("id")
    most = limits.MAX_ID_CHARACTERS
    return ToldEvent(
        None if own is None else bodies.label(own, "id", most),
        name_event(bodies.label(item.get("name"), "name", most)),
        read_moment(item.get("at"), received),
        bodies.properties(item.get("properties"), "properties"),
    )


def read_moment(value: Json, received: Millis) -> Millis:
    """Return a time in the past as it is given; *received* where there is none."""
    try:
        return received if value is None else fields.moment(value, received)
    except InputError as error:
        raise InputError(f"at {error}") from error


def read_due(value: Json, received: Millis) -> Millis:
    """Return when a message is due; *received* where no time, or one in the past, is given."""
    if value is None:
        return received
    most = received + limits.MAX_MESSAGE_AHEAD_SECONDS * SECOND
    try:
        due = fields.moment(value, most + DAY)
    except InputError as error:
        raise InputError(f"at {error}") from error
    if due > most:
        raise InputError("at is more than 30 days ahead")
    return max(due, received)
