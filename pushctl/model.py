"""
The nouns: frozen values that all layers share (see docs/architecture.md).

Times are ``Millis``: integer milliseconds since the epoch, UTC. Durations are
milliseconds too. Keys are raw bytes, never base64, inside the program.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from pushctl.states import CampaignStatus as CampaignStatus
from pushctl.states import DeliveryStatus as DeliveryStatus
from pushctl.states import Json as Json
from pushctl.states import Millis as Millis
from pushctl.states import SubscriptionState as SubscriptionState


class NoTracking(StrEnum):
    """Why somebody must not be tracked."""

    CONSENT = "consent"  # they said no; it stands until they say yes
    GPC = "gpc"  # their browser sends Global Privacy Control


class Worker(StrEnum):
    """Another service's worker, which a browser runs until its next visit of our pages."""

    ONESIGNAL = "onesignal"  # gets messages in OneSignal's form
    UNKNOWN = "unknown"  # gets none: nobody knows what it can show


@dataclass(frozen=True, slots=True)
class Subscription:
    """One browser's push subscription, through all its endpoint changes."""

    id: int
    public_id: str  # 22 characters base64url; names it to the web and to the CLI
    site: str
    endpoint: str  # a capability URL: never print or log it whole
    p256dh: bytes  # 65 bytes, uncompressed point on P-256
    auth: bytes  # 16 bytes
    key_id: str  # which VAPID key it was made with
    state: SubscriptionState
    language: str | None  # BCP 47, as the browser sent it
    timezone: str | None  # IANA
    country: str | None  # ISO 3166-1 alpha-2
    city: str | None
    browser: str | None
    os: str | None
    alias: str | None
    alias_trusted: bool
    source: str | None
    attributes: Mapping[str, Json]
    subscribed_at: Millis
    last_seen_at: Millis
    no_tracking: NoTracking | None = None  # why nothing that the person does is kept
    worker: Worker | None = None  # None: ours
    tags: tuple[str, ...] = ()


class Cause(StrEnum):
    """The cause of a state, for code; the reason beside it is text for people."""

    # The answer of a push service (rules/delivery/answers).
    GONE = "gone"  # 404, 410
    REDIRECT = "redirect"
    SERVICE_FAULT = "service_fault"  # 5xx, 408, 425
    THROTTLED = "throttled"
    SENDER_REFUSED = "sender_refused"  # our key or token is at fault
    SUBSCRIPTION_REFUSED = "subscription_refused"  # its own key may be at fault
    TOO_LARGE = "too_large"
    BAD_REQUEST = "bad_request"  # our message is at fault
    UNEXPECTED = "unexpected"
    # There was no answer (push/transport).
    NO_CONNECTION = "no_connection"  # nothing was written, so nothing was learnt
    TIMEOUT = "timeout"
    CONNECTION_LOST = "connection_lost"
    CONNECTION_LOST_WITH_OTHERS = "connection_lost_with_others"  # one of them is counted
    BAD_ANSWER = "bad_answer"
    REQUEST_REFUSED = "request_refused"  # the service has not processed it
    SENDER_STOPPED = "sender_stopped"
    MACHINE_RESTARTED = "machine_restarted"
    DATABASE_RESTORED = "database_restored"
    # It was never sent.
    HELD_BACK = "held_back"  # never begun, nothing learnt
    HOST_NOT_ALLOWED = "host_not_allowed"  # by push.allowed_hosts
    ADDRESS_NOT_ALLOWED = "address_not_allowed"  # the host's, as it was dialled
    KEY_MISSING = "key_missing"
    OTHER_WORKER = "other_worker"  # the browser runs a worker that can't show our messages
    BAD_SUBSCRIPTION_KEY = "bad_subscription_key"
    NO_MESSAGE = "no_message"  # the template gives none for this subscriber
    SERVICE_WAITS = "service_waits"  # nothing goes out to its push service now
    RATE_LIMIT = "rate_limit"
    QUIET_HOURS = "quiet_hours"
    AWAITS_WINNER = "awaits_winner"  # it goes out once its test is decided
    TIME_OVER = "time_over"
    NOT_ACTIVE = "not_active"  # the subscription ended meanwhile
    FORGOTTEN = "forgotten"
    HAS_IT = "has_it"  # another campaign has the same message for the subscriber
    FREQUENCY = "frequency"  # the person had enough, or another message just before
    HOLDOUT = "holdout"  # in the control group over all marketing
    SUNSET = "sunset"  # the browser shows no message any more
    CANCELLED = "cancelled"
    TEST_STOPPED = "test_stopped"  # its test was stopped, or nobody won it
    PAUSED_BY_SUBSCRIBER = "paused_by_subscriber"
    ENROLMENT_ENDED = "enrolment_ended"
    NO_CONSENT = "no_consent"  # to a step's channel, any more
    CALL_REFUSED = "call_refused"  # by a step's program or webhook
    CALL_NOT_BEGUN = "call_not_begun"  # nothing was started, nothing was written
    LARGE_AUDIENCE = "large_audience"  # of an API message: a person has to agree
    NEEDS_APPROVAL = "needs_approval"  # of a campaign: somebody else has to look at it
    NO_CODES = "no_codes"  # the pool of promo codes is empty, or has lapsed
    CODE_USED = "code_used"  # nothing is left to remind of
    GOAL_REACHED = "goal_reached"  # bought, say, between the decision and the sending
    # A person decided so, or the subscriber's browser reported it.
    BY_HAND = "by_hand"
    RECALLED = "recalled"
    SHOWN = "shown"
    THANKED = "thanked"  # it was there, and the person had bought meanwhile
    # Of subscriptions: gone with too many others, or active again because of that.
    MASS_GONE = "mass_gone"
    KEY_LOST = "key_lost"  # gone with their VAPID key, or active again with it
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Campaign:
    """One broadcast, or one step of a trigger: it groups deliveries."""

    id: int
    name: str
    status: CampaignStatus
    template: str
    audience: str  # as typed
    sources: Mapping[str, str]  # snapshot of the template's files: name -> text
    options: Mapping[str, Json]  # ttl, urgency, limit, rate, over, ...
    created_at: Millis
    started_at: Millis | None
    finished_at: Millis | None
    expires_at: Millis | None
    note: str | None  # why it is paused or cancelled, for people
    cause: Cause | None = None  # the same, for the program
    topic: str | None = None  # what it is about, in a word: figures are grouped by it


class Answer(StrEnum):
    """What one POST came to: the push service's answer or the wire's, classified."""

    ACCEPTED = "accepted"  # 2xx
    GONE = "gone"  # 404, 410: soft deletion
    RETRY = "retry"  # 5xx, or provably not sent: later, while the TTL lasts
    THROTTLED = "throttled"  # 429, WNS 406: the origin waits for Retry-After
    THROTTLED_ONE = "throttled_one"  # Apple's 429: only this subscription waits
    REFUSED = "refused"  # 401, 403, key mismatch: the canary rule decides
    TOO_LARGE = "too_large"  # 413: rejected, and remembered for this subscription
    QUARANTINE = "quarantine"  # odd for this one subscription; try another day
    OUR_FAULT = "our_fault"  # 400 for something we wrote: stops the campaign
    BLOCKED = "blocked"  # the address is not one we may dial: rejected
    IN_DOUBT = "in_doubt"  # written, and no answer: never resent by itself


class Letter(NamedTuple):
    """One message for one subscription, before encryption."""

    delivery: int
    endpoint: str
    p256dh: bytes
    auth: bytes
    key_id: str
    payload: bytes  # plain text, at most 3,993 bytes
    ttl: int  # seconds that remain
    urgency: str  # very-low, low, normal, high
    topic: str | None  # 32 characters base64url, or none


class Outcome(NamedTuple):
    """What became of one Letter."""

    delivery: int
    answer: Answer
    reason: str  # short, for people and for GROUP BY: "201", "410 unsubscribed", "timeout"
    http_status: int | None = None
    retry_after: Millis | None = None  # a duration
    location: str | None = None  # where the stored message can be deleted
    latency: Millis = 0
    cause: Cause | None = None  # None: it was accepted


@dataclass(frozen=True, slots=True)
class Action:
    """A button of a notification."""

    action: str
    title: str
    url: str | None = None
    icon: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What a template renders to for one receiver; plain text throughout."""

    title: str
    body: str
    url: str
    language: str
    dir: str  # "ltr" or "rtl"
    icon: str | None = None
    image: str | None = None
    badge: str | None = None
    actions: tuple[Action, ...] = ()
    tag: str | None = None  # the notification's own tag: a newer one replaces it on screen
    require_interaction: bool = False
    silent: bool = False
    data: Mapping[str, Json] = field(default_factory=dict)


class InteractionKind(StrEnum):
    SHOWN = "shown"
    CLICKED = "clicked"
    CLOSED = "closed"
    BOUGHT = "bought"  # instead of shown: the person had bought meanwhile, and was thanked


@dataclass(frozen=True, slots=True)
class InboxRecord:
    """
    One line of the inbox: a request as the receiver took it, before it is believed.

    *body* is the raw text that was signed; *signature* and *stamp* are checked at
    ingest against the subscription's ``auth``.
    """

    id: str  # 22 characters base64url: makes applying it idempotent
    at: Millis  # when the receiver took it
    path: str  # "/v1/subscribe", "/v1/events", ...
    site: str  # name of the site whose origin sent it
    body: str
    signature: str | None = None  # "<seconds>.<base64url hmac>"
    user_agent: str | None = None
    hints: Mapping[str, str] = field(default_factory=dict)  # client hints, country header
