"""
Consent to a channel beside push, as a form on a page tells it.

``track('form_filled', { channel: 'sms', consent: 'the words' })`` gives it,
``track('channel_revoked', { channel: 'sms' })`` takes it back.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pushctl.model import Json, Millis
from pushctl.rules import limits
from pushctl.rules.events import CHANNEL_REVOKED, FORM_FILLED
from pushctl.rules.triggers.enrolment import Event


class ChannelConsent(NamedTuple):
    subscription: int
    channel: str
    text: str  # the words that somebody agreed to
    page: str | None
    at: Millis


class Revocation(NamedTuple):
    subscriptions: Sequence[int]  # all devices of the person
    channel: str
    at: Millis


def read_consent(event: Event) -> ChannelConsent | None:
    """Return the consent that a filled form gives; without its words there is none."""
    if event.name != FORM_FILLED:
        return None
    channel, text = read_channel(event), _read_text(event.properties.get("consent"))
    if channel is None or text is None:
        return None
    page = _read_text(event.properties.get("page"))
    return ChannelConsent(event.subscription, channel, text, page, event.at)


def read_revocation(event: Event, devices: Sequence[int]) -> Revocation | None:
    """Return what *event* revokes on all *devices* of its person; None: nothing."""
    if event.name != CHANNEL_REVOKED or (channel := read_channel(event)) is None:
        return None
    return Revocation(devices, channel, event.at)


def read_channel(event: Event) -> str | None:
    """Return the channel's name as it is compared: "sms"."""
    return fold_channel(event.properties.get("channel"))


def fold_channel(value: Json) -> str | None:
    """Return a channel's name in small letters; None for what is none."""
    text = value.strip().casefold() if isinstance(value, str) else ""
    return text if 0 < len(text) <= limits.MAX_ID_CHARACTERS else None


def _read_text(value: Json) -> str | None:
    return value.strip() or None if isinstance(value, str) else None
