"""
The views that people ask by ``pushctl sql``, export and read as rows behind a figure.

Each column is declared once, with its unit and meaning; docs/sql.md is written from here,
``store/views.py`` has the SQL of each. No view has an endpoint, a key, a token, a promo code,
an attribute, the properties of an event, or a hash of an address. What names a person is
*personal*: it is there with --people only, which is logged.
"""

from dataclasses import dataclass
from enum import StrEnum


class Type(StrEnum):
    """The type of a column's values; each may be NULL: unknown, or there is none."""

    TEXT = "text"
    INTEGER = "integer"
    REAL = "real"
    BOOLEAN = "boolean"  # 0 or 1 in SQL
    TIME = "time"  # in SQL milliseconds since 1970 in UTC


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a view; *name* is a public interface."""

    name: str
    meaning: str
    type: Type = Type.TEXT
    personal: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """
    One view; a row stands for *meaning*.

    *moment* names the column that --since and --until look at. A view that can be exported
    has a column ``id``, by which it is read in pages.
    """

    name: str
    meaning: str
    fields: tuple[Field, ...]
    moment: str = "at"

    @property
    def is_exported(self) -> bool:
        return self.fields[0].name == "id"

    def list_fields(self, *, people: bool) -> tuple[Field, ...]:
        """Return the columns; with *people* also those that name a person."""
        return tuple(field for field in self.fields if people or not field.personal)


def _integer(name: str, meaning: str) -> Field:
    return Field(name, meaning, Type.INTEGER)


def _real(name: str, meaning: str) -> Field:
    return Field(name, meaning, Type.REAL)


def _yes(name: str, meaning: str) -> Field:
    return Field(name, meaning, Type.BOOLEAN)


def _time(name: str, meaning: str) -> Field:
    return Field(name, meaning, Type.TIME)


_ID = _integer("id", "its number")
_SUBSCRIBER = _integer("subscriber_id", "the id in `people`; empty once the person was erased")
_CAMPAIGN = _integer("campaign_id", "the id in `campaigns`")
_NAME = Field("campaign", "the campaign's name")
_SITE = Field("site", "the site's name; empty where the person was erased")
_CURRENCY = (
    _integer("minor", "the amount in minor units: minor / 10^exponent; empty: unknown"),
    _integer("exponent", "decimals of the minor units"),
    Field("currency", "ISO 4217, three letters; empty: unknown"),
    _real("amount", "minor / 10^exponent"),
)

DELIVERIES = View(
    "deliveries",
    "one message for one subscriber, in whatever state, calls on other channels included",
    (
        _ID,
        _CAMPAIGN,
        _NAME,
        Field("topic", "the campaign's topic"),
        Field("trigger", "the trigger whose step it is; empty: a campaign"),
        _integer("step", "the number of that step"),
        Field("channel", "exec or webhook; empty: push"),
        _yes("test", "whether the campaign only tested a template"),
        _SUBSCRIBER,
        _SITE,
        Field(
            "status", "planned, sending, accepted, gone, rejected, expired, skipped, in_doubt"
        ),
        Field("reason", "why, for people"),
        Field("cause", "why, in one word"),
        _integer("http_status", "the push service's answer"),
        _integer("attempts", "how often it was tried"),
        Field("variant", "the letter of its variant"),
        Field("language", "the language of its text"),
        Field("country", "the subscriber's country"),
        Field("browser", "the subscriber's browser"),
        Field("os", "the subscriber's system"),
        _yes("unreported", "accepted, in a former service's form, and no report came"),
        _yes("shown", "the browser reported it as shown, clicked or closed"),
        _yes("clicked", "there is at least one click"),
        _integer("clicks", "all clicks, buttons included"),
        _yes("bought", "the browser thanked for a purchase in its place"),
        _real("variant_probability", "how probable its variant was"),
        _real("holdout_probability", "how probable the control group was"),
        _real("hour_probability", "how probable its hour was"),
        _time("sent_at", "when the push service answered, else when it left; empty: unknown"),
        _time("shown_at", "when it was on a screen first"),
        _time("clicked_at", "when it was clicked first"),
        _time("changed_at", "when its state changed last"),
        _time("expires_at", "until when it may be shown"),
    ),
    moment="sent_at",
)

INTERACTIONS = View(
    "interactions",
    "one report of a browser about a message",
    (
        _ID,
        _integer("delivery_id", "the id in `deliveries`"),
        _CAMPAIGN,
        _NAME,
        _SUBSCRIBER,
        _SITE,
        Field("kind", "shown, clicked or closed"),
        Field("action", "the button; empty: the message itself"),
        _time("at", "when, by the browser's clock as far as that can be believed"),
    ),
)

EVENTS = View(
    "events",
    "one thing that somebody did, without its properties",
    (
        _ID,
        _integer("subscriber_id", "the id in `people`"),
        Field("site", "the site's name"),
        Field("name", "the event's name"),
        _time("at", "when it happened"),
        _time("received_at", "when it was told"),
    ),
)

ORDERS = View(
    "orders",
    "one order of a shop, test orders included",
    (
        _ID,
        Field("site", "the site's name"),
        Field("source", "who told it; page: the browser"),
        Field("number", "the shop's number"),
        Field("state", "pending, paid, refunded or cancelled"),
        *_CURRENCY,
        _integer("refunded_minor", "what was given back, in minor units"),
        _integer("items", "how many lines it has"),
        _yes("test", "whether the shop calls it a test"),
        _integer("subscriber_id", "the id in `people`; empty: nobody's, or erased"),
        Field("matched", "by what its person was found"),
        Field("unmatched", "why no person was found"),
        _time("at", "when it was placed"),
        _time("received_at", "when it was told first"),
    ),
)

PEOPLE = View(
    "people",
    "one browser of a person, in any state",
    (
        _ID,
        Field("public_id", "names it in commands, as in `pushctl subscribers show`"),
        Field("site", "the site's name"),
        Field("state", "active, unsubscribed, gone or quarantined"),
        Field("reason", "why, for people"),
        Field("alias", "the shop's id of the person", personal=True),
        _yes("alias_signed", "whether the shop signed an alias"),
        Field("language", "BCP 47"),
        Field("timezone", "IANA"),
        Field("country", "ISO 3166"),
        Field("city", "where the person subscribed", personal=True),
        Field("browser", "the browser"),
        Field("os", "its system"),
        Field("source", "where the person came from"),
        Field("no_tracking", "consent or gpc: events of the person are not kept"),
        Field("worker", "a former service's worker that the browser runs still"),
        _time("subscribed_at", "when it subscribed"),
        _time("state_at", "when its state changed last"),
        _time("last_seen_at", "when it was seen last"),
        _time("verified_at", "when it showed a message first"),
    ),
    moment="subscribed_at",
)

CHANGES = View(
    "changes",
    "one change of a subscriber's state",
    (
        _ID,
        _integer("subscriber_id", "the id in `people`"),
        Field("site", "the site's name"),
        Field("kind", "subscribed, revived, unsubscribed, gone, quarantined and others"),
        Field("reason", "why, for people"),
        Field("cause", "why, in one word"),
        _time("at", "when"),
    ),
)

ENROLMENTS = View(
    "enrolments",
    "one person's way through a trigger",
    (
        _ID,
        Field("trigger", "the trigger's name"),
        _integer("subscriber_id", "the id in `people`"),
        Field("site", "the site's name"),
        Field("state", "active, finished, cancelled, expired, superseded or holdout"),
        Field("reason", "why, for people"),
        Field("reached", "the goal that was reached"),
        _integer("step", "the next step"),
        _integer("sent", "how many steps were sent"),
        _time("entered_at", "when it began"),
        _time("accepted_at", "when its last message was accepted"),
        _time("shown_at", "when its last message was shown"),
        _time("next_at", "when it is looked at next"),
        _time("changed_at", "when it changed last"),
    ),
    moment="entered_at",
)

CAMPAIGNS = View(
    "campaigns",
    "one campaign, or one step of a trigger",
    (
        _ID,
        Field("name", "its name"),
        Field("status", "scheduled, running, paused, cancelled or finished"),
        Field("cause", "why it is paused or cancelled, in one word"),
        Field("template", "the template's name"),
        Field("topic", "what it is about"),
        Field("trigger", "the trigger whose step it is"),
        _integer("step", "the number of that step"),
        Field("channel", "exec or webhook; empty: push"),
        _yes("test", "whether it only tested a template"),
        _time("created_at", "when it was made"),
        _time("started_at", "when it began to send"),
        _time("finished_at", "when it ended"),
        _time("expires_at", "until when it may be sent"),
    ),
    moment="created_at",
)

TESTS = View(
    "tests",
    "one test of several texts, templates or times",
    (
        _ID,
        Field("name", "its name: that of the campaign, or trigger and step"),
        _integer("campaign_id", "the id in `campaigns`; empty: a step's"),
        Field("trigger", "the trigger whose step it is"),
        _integer("step", "the number of that step"),
        Field("differ", "what its arms differ in"),
        Field("rule", "fixed, anytime or bandit"),
        Field("state", "testing, decided, stopped or replaced"),
        Field("winner", "the letter of the winner"),
        Field("cause", "why it ended, in one word"),
        Field("why", "the same, for people"),
        _real("test_share", "share of people who take part"),
        _time("created_at", "when it began"),
        _time("decide_at", "when it is decided at the latest"),
        _time("decided_at", "when it was decided"),
    ),
    moment="created_at",
)

TRIGGERS = View(
    "triggers",
    "one trigger that a sweep has run",
    (
        Field("name", "its name"),
        Field("tag", "the tag that shows who is in it"),
        _time("paused_at", "since when it is paused"),
        _time("scanned_at", "when it was looked at last"),
        _integer("active", "how many people are in it"),
    ),
)

PROMPTS = View(
    "prompts",
    "a day's count of one stage of the invitation",
    (
        _time("day", "the day's beginning in UTC"),
        Field("site", "the site's name"),
        Field("variant", "the invitation's variant"),
        Field("language", "its language"),
        Field("browser", "the visitor's browser"),
        Field("stage", "visit, seen, accepted, allowed, denied, dismissed or failed"),
        _integer("count", "how often; anybody could send such a count"),
    ),
    moment="day",
)

LOOKS = View(
    "looks",
    "one time that somebody read data that names people, by --people",
    (
        _ID,
        Field("command", "the command: sql, export and others"),
        Field("by", "the login of who typed it"),
        _integer("rows", "how many rows it gave; empty: it did not end"),
        _time("at", "when"),
    ),
)

VIEWS: dict[str, View] = {
    view.name: view
    for view in (
        DELIVERIES, INTERACTIONS, EVENTS, ORDERS, PEOPLE, CHANGES, ENROLMENTS, CAMPAIGNS,
        TESTS, TRIGGERS, PROMPTS, LOOKS,
    )
}  # fmt: skip
EXPORTED: tuple[str, ...] = tuple(name for name, view in VIEWS.items() if view.is_exported)
