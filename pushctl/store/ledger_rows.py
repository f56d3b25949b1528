"""Rows of the ledger, as they are claimed, released and finished."""

from typing import NamedTuple

from pushctl.model import Cause, Millis
from pushctl.rules.delivery.retry import NEVER_SENT

_MAY_HAVE_LEFT = frozenset(("accepted", "gone", "rejected", "in_doubt"))


class ClaimedRow(NamedTuple):
    """A claimed row with all that its message needs."""

    id: int
    subscription: int
    enrolment: int
    tries: int  # this one counted
    expires_at: Millis | None
    variant: str | None
    endpoint: str
    p256dh: bytes
    auth: bytes
    key_id: str
    failures: int  # of the subscription, so far
    small_payload: int
    site: str
    language: str | None
    attributes: str  # JSON
    state: str | None  # of the subscription; None once the person was forgotten
    worker: str | None  # another service's, that the browser runs
    # A brief claim reads none of these: its rows end here, and to ask for one is an IndexError.
    public_id: str
    timezone: str | None
    country: str | None
    city: str | None
    browser: str | None
    os: str | None
    alias: str | None  # one that the shop signed
    source: str | None
    subscribed_at: Millis
    last_seen_at: Millis

    @property
    def delivery(self) -> int:
        """The row's number, by the name that it has in letters and outcomes."""
        return self.id

    def __repr__(self) -> str:
        # Endpoint and keys are secrets, and a brief claim's row has not all fields.
        return f"ClaimedRow(id={self.id})"


class AbandonedRow(NamedTuple):
    """A row that a dead process had claimed."""

    tries: int
    expires_at: Millis | None
    subscription: int | None  # None once the person was forgotten
    endpoint: str | None
    key_id: str | None


class ReleasedRow(NamedTuple):
    """A claimed row that was not sent: its try does not count."""

    id: int
    next_attempt_at: Millis | None = None  # None: as soon as it is claimed
    reason: str | None = None
    cause: Cause | None = None


class FinishedRow(NamedTuple):
    """The outcome of a claimed row, or its next try."""

    id: int
    status: str  # a DeliveryStatus
    reason: str | None = None
    cause: Cause | None = None
    http_status: int | None = None
    location: str | None = None
    next_attempt_at: Millis | None = None
    language: str | None = None
    given_back: int = 0  # 1: the try doesn't count

    def find_sent(self, late: bool) -> str | None:
        """
        Return whose time is that of the sending: "answered", "left" (the claim's), or None.

        None: the message never left this machine, or goes out again.
        """
        if self.status not in _MAY_HAVE_LEFT or self.cause in NEVER_SENT:
            return None
        return "left" if late or self.status == "in_doubt" else "answered"
