"""
What of ``model`` loads at once: the states of the nouns, and the names of units.

A dataclass takes half a millisecond to make, and what counts needs none of model's.
"""

from enum import StrEnum
from typing import Any

Millis = int
Json = Any


class SubscriptionState(StrEnum):
    ACTIVE = "active"
    UNSUBSCRIBED = "unsubscribed"  # the person asked
    GONE = "gone"  # answered by 404 or 410; revived by a new registration
    QUARANTINED = "quarantined"  # refused for a reason that may be ours or pass


class CampaignStatus(StrEnum):
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    FINISHED = "finished"


class DeliveryStatus(StrEnum):
    """
    The ledger's states.

    Each of a campaign's messages is in one of them. People see PLANNED and SENDING
    together as "waiting", and the sum of all as "planned".
    """

    PLANNED = "planned"  # will be sent at next_attempt_at, or as soon as claimed
    SENDING = "sending"  # claimed: the intent is on disk, the POST may have begun
    ACCEPTED = "accepted"
    GONE = "gone"
    REJECTED = "rejected"
    EXPIRED = "expired"
    SKIPPED = "skipped"
    IN_DOUBT = "in_doubt"
