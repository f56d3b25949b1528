"""
The views that people ask by ``pushctl sql``, export and read as rows behind a figure.

Each column is declared once, with its unit and meaning; docs/sql.md is written from here,
``store/views.py`` has the SQL of each. No view has an endpoint, a key, a token, a promo code,
an attribute, the properties of an event, or a hash of an address. What names a person is
*personal*: it is there with --people only, which is logged.
"""

from pushctl.rules.figures.views import counted
from pushctl.rules.figures.views.view import Field as Field
from pushctl.rules.figures.views.view import Type as Type
from pushctl.rules.figures.views.view import View as View
from pushctl.rules.figures.views.view import integer, real, time, yes

_ID = integer("id", "its number")
_SUBSCRIBER = integer("subscriber_id", "the id in `people`; empty once the person was erased")
_CAMPAIGN = integer("campaign_id", "the id in `campaigns`")
_NAME = Field("campaign", "the campaign's name")
_SITE = Field("site", "the site's name; empty where the person was erased")
_CURRENCY = (
    integer("minor", "the amount in minor units: minor / 10^exponent; empty: unknown"),
    integer("exponent", "decimals of the minor units"),
    Field("currency", "ISO 4217, three letters; empty: unknown"),
    real("amount", "minor / 10^exponent"),
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
        integer("step", "the number of that step"),
        Field("channel", "exec or webhook; empty: push"),
        yes("test", "whether the campaign only tested a template"),
        _SUBSCRIBER,
        _SITE,
        Field(
            "status", "planned, sending, accepted, gone, rejected, expired, skipped, in_doubt"
        ),
        Field("reason", "why, for people"),
        Field("cause", "why, in one word"),
        integer("http_status", "the push service's answer"),
        integer("attempts", "how often it was tried"),
        Field("variant", "the letter of its variant"),
        Field("language", "the language of its text"),
        Field("country", "the subscriber's country"),
        Field("browser", "the subscriber's browser"),
        Field("os", "the subscriber's system"),
        Field("timezone", "the subscriber's time zone; empty: unknown"),
        yes("bridge", "whether it went out in a former service's form"),
        yes("unreported", "accepted, in a former service's form, and no report came"),
        yes("shown", "the browser reported it as shown, clicked or closed"),
        yes("clicked", "there is at least one click"),
        integer("clicks", "all clicks, buttons included"),
        yes("bought", "the browser thanked for a purchase in its place"),
        real("variant_probability", "how probable its variant was"),
        real("holdout_probability", "how probable the control group was"),
        real("hour_probability", "how probable its hour was"),
        time("sent_at", "when the push service answered, else when it left; empty: unknown"),
        time("shown_at", "when it was on a screen first"),
        time("clicked_at", "when it was clicked first"),
        time("changed_at", "when its state changed last"),
        time("expires_at", "until when it may be shown"),
        time("subscribed_at", "when the subscriber subscribed"),
    ),
    moment="sent_at",
)

INTERACTIONS = View(
    "interactions",
    "one report of a browser about a message",
    (
        _ID,
        integer("delivery_id", "the id in `deliveries`"),
        _CAMPAIGN,
        _NAME,
        _SUBSCRIBER,
        _SITE,
        Field("kind", "shown, clicked or closed"),
        Field("action", "the button; empty: the message itself"),
        time("at", "when, by the browser's clock as far as that can be believed"),
    ),
)

EVENTS = View(
    "events",
    "one thing that somebody did, without its properties",
    (
        _ID,
        integer("subscriber_id", "the id in `people`"),
        Field("site", "the site's name"),
        Field("name", "the event's name"),
        time("at", "when it happened"),
        time("received_at", "when it was told"),
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
        integer("refunded_minor", "what was given back, in minor units"),
        integer("items", "how many lines it has"),
        yes("test", "whether the shop calls it a test"),
        integer("subscriber_id", "the id in `people`; empty: nobody's, or erased"),
        Field("matched", "by what its person was found"),
        Field("unmatched", "why no person was found"),
        time("at", "when it was placed"),
        time("received_at", "when it was told first"),
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
        yes("alias_signed", "whether the shop signed an alias"),
        Field("language", "BCP 47"),
        Field("timezone", "IANA"),
        Field("country", "ISO 3166"),
        Field("city", "where the person subscribed", personal=True),
        Field("browser", "the browser"),
        Field("os", "its system"),
        Field("source", "where the person came from"),
        Field("no_tracking", "consent or gpc: events of the person are not kept"),
        Field("worker", "a former service's worker that the browser runs still"),
        time("subscribed_at", "when it subscribed"),
        time("state_at", "when its state changed last"),
        time("last_seen_at", "when it was seen last"),
        time("verified_at", "when it showed a message first"),
    ),
    moment="subscribed_at",
)

CHANGES = View(
    "changes",
    "one change of a subscriber's state",
    (
        _ID,
        integer("subscriber_id", "the id in `people`"),
        Field("site", "the site's name"),
        Field("kind", "subscribed, revived, unsubscribed, gone, quarantined and others"),
        Field("reason", "why, for people"),
        Field("cause", "why, in one word"),
        time("at", "when"),
    ),
)

ENROLMENTS = View(
    "enrolments",
    "one person's way through a trigger",
    (
        _ID,
        Field("trigger", "the trigger's name"),
        integer("subscriber_id", "the id in `people`"),
        Field("site", "the site's name"),
        Field("state", "active, finished, cancelled, expired, superseded or holdout"),
        Field("reason", "why, for people"),
        Field("reached", "the goal that was reached"),
        integer("step", "the next step"),
        integer("sent", "how many steps were sent"),
        time("entered_at", "when it began"),
        time("accepted_at", "when its last message was accepted"),
        time("shown_at", "when its last message was shown"),
        time("next_at", "when it is looked at next"),
        time("changed_at", "when it changed last"),
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
        integer("step", "the number of that step"),
        Field("channel", "exec or webhook; empty: push"),
        yes("test", "whether it only tested a template"),
        time("created_at", "when it was made"),
        time("started_at", "when it began to send"),
        time("finished_at", "when it ended"),
        time("expires_at", "until when it may be sent"),
    ),
    moment="created_at",
)

TESTS = View(
    "tests",
    "one test of several texts, templates or times",
    (
        _ID,
        Field("name", "its name: that of the campaign, or trigger and step"),
        integer("campaign_id", "the id in `campaigns`; empty: a step's"),
        Field("trigger", "the trigger whose step it is"),
        integer("step", "the number of that step"),
        Field("differ", "what its arms differ in"),
        Field("rule", "fixed, anytime or bandit"),
        Field("state", "testing, decided, stopped or replaced"),
        Field("winner", "the letter of the winner"),
        Field("cause", "why it ended, in one word"),
        Field("why", "the same, for people"),
        real("test_share", "share of people who take part"),
        integer("after_delivery", "its messages have higher ids in `deliveries`"),
        time("created_at", "when it began"),
        time("decide_at", "when it is decided at the latest"),
        time("decided_at", "when it was decided"),
    ),
    moment="created_at",
)

TRIGGERS = View(
    "triggers",
    "one trigger that a sweep has run",
    (
        Field("name", "its name"),
        Field("tag", "the tag that shows who is in it"),
        time("paused_at", "since when it is paused"),
        time("scanned_at", "when it was looked at last"),
        integer("active", "how many people are in it"),
    ),
)

PROMPTS = View(
    "prompts",
    "a day's count of one stage of the invitation",
    (
        time("day", "the day's beginning in UTC"),
        Field("site", "the site's name"),
        Field("variant", "the invitation's variant"),
        Field("language", "its language"),
        Field("browser", "the visitor's browser"),
        Field("stage", "visit, seen, accepted, allowed, denied, dismissed or failed"),
        integer("count", "how often; anybody could send such a count"),
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
        integer("rows", "how many rows it gave; empty: it did not end"),
        time("at", "when"),
    ),
)

VIEWS: dict[str, View] = {
    view.name: view
    for view in (
        DELIVERIES, INTERACTIONS, EVENTS, ORDERS, PEOPLE, CHANGES, ENROLMENTS, CAMPAIGNS,
        TESTS, TRIGGERS, PROMPTS, LOOKS, *counted.ALL,
    )
}  # fmt: skip
EXPORTED: tuple[str, ...] = tuple(name for name, view in VIEWS.items() if view.is_exported)
