"""One person's events, decisions, messages and browsers' reports, in order of time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo

from pushctl.config import Config
from pushctl.jobs.triggers.describe import describe_only
from pushctl.model import Campaign, CampaignStatus, Cause, Millis, Subscription
from pushctl.rules import timing, wording
from pushctl.rules.messages import frozen
from pushctl.rules.shops import cart
from pushctl.rules.shops.promo_codes import mask
from pushctl.rules.triggers.entry import find_mismatch
from pushctl.rules.triggers.trigger import Trigger, by_event
from pushctl.store import Store
from pushctl.store.histories import LedgerRow

LIMIT = 500


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a person's timeline; one in the future is the next step."""

    at: Millis
    what: str  # event, decision, message, report, next
    trigger: str
    text: str


def timeline(
    config: Config, store: Store, who: Subscription, now: Millis, trigger: str | None = None
) -> list[Moment]:
    """Return the timeline of *who*: events, decisions and their reasons, the next steps."""
    found = [
        *_list_events(config, store, who, trigger),
        *_list_decisions(store, who, trigger),
        *_list_messages(store, who, trigger),
        *_list_reports(store, who, trigger),
        *_list_next(config, store, who, now, trigger),
    ]
    return sorted(found, key=lambda one: (one.at, _ORDER.index(one.what)))


_ORDER = ("event", "decision", "message", "report", "next")


def _list_events(
    config: Config, store: Store, who: Subscription, name: str | None
) -> Iterator[Moment]:
    """
    Yield all events, and why they don't match the trigger *name* (None: any trigger).

    No row has the latter, so it goes by the triggers as they are declared now.
    """
    begins = by_event([one for one in config.triggers.values() if name in (None, one.name)])
    site = config.sites.get(who.site)
    currency = site.currency if site else None
    for event in store.events.list_newest(who.id, LIMIT):
        properties = cart.complete(event.properties, currency)
        value = cart.value(properties, cart.after(None, event.name, properties, ()))
        worth = "" if value is None else f", worth {value:.2f}".removesuffix(".00")
        yield Moment(event.at, "event", "", f"{event.name}{worth}")
        for trigger in begins.get(cart.meaning(event.name, properties), ()):
            if why := find_mismatch(trigger, properties, value, who.site):
                yield Moment(event.at, "decision", trigger.name, f"not meant: {why}")


def _list_decisions(store: Store, who: Subscription, trigger: str | None) -> Iterator[Moment]:
    zone = timing.zone(who.timezone)
    for one in store.histories.list_decisions(who.id, trigger):
        step = "" if one.step is None else f" step {one.step}"
        until = ""
        if one.until is not None:
            until = f", until {wording.moment(one.until, zone)}"
        text = f"{one.kind}{step}: {one.reason}{until}"
        yield Moment(one.at, "decision", one.trigger, text)


def _list_messages(store: Store, who: Subscription, trigger: str | None) -> Iterator[Moment]:
    zone = timing.zone(who.timezone)
    origins: dict[int, Campaign] = {}
    counts: dict[int, int] = {}  # of arms
    rows = store.histories.list_ledger(who.id, LIMIT)
    codes = store.promo_bindings.find_pools(row.delivery for row in rows)
    for row in rows:
        if trigger not in (None, row.trigger):
            continue
        text = f"{row.name}: {row.status}{f' ({row.reason})' if row.reason else ''}"
        if row.variant is not None:
            if row.campaign not in counts:
                counts[row.campaign] = _count_arms(store, row.campaign)
            text += _describe_arm(row, counts[row.campaign])
        if row.trigger is None:
            if row.campaign not in origins:
                origins[row.campaign] = store.campaigns.get_by_id(row.campaign)
            text += _describe_broadcast(origins[row.campaign], row, zone)
            if row.status == "planned":
                text += _say_paused(origins[row.campaign])
        if row.delivery in codes:
            text += f"; {_describe_code(*codes[row.delivery])}"
        if row.status == "planned" and row.due_at is not None:
            yield Moment(row.due_at, "next", row.trigger or "", text)
        else:
            yield Moment(row.at, "message", row.trigger or "", text)


def _say_paused(campaign: Campaign) -> str:
    """Say why a planned message won't go out in its time."""
    if campaign.status is not CampaignStatus.PAUSED:
        return ""
    needs = campaign.cause is Cause.NEEDS_APPROVAL
    return "; waits for approval" if needs else "; its campaign is paused"


def _count_arms(store: Store, campaign: int) -> int:
    test = store.experiments.find_by_campaign(campaign)
    return len(test.arms) if test else 0


def _describe_arm(row: LedgerRow, arms: int) -> str:
    """Say which arm of a test somebody got, and how probable that was."""
    if row.probability is None:
        return f"; variant {row.variant}, not compared: no choice was there"
    if row.probability == 1:
        return f"; variant {row.variant}, the winner"
    of = f", 1 of {arms}" if arms else ""
    return f"; variant {row.variant}{of}, p {row.probability:.3g}"


def _describe_code(pool: str, code: str, used_at: Millis | None) -> str:
    used = "" if used_at is None else f", redeemed {wording.moment(used_at)}"
    return f"code {mask(code)} of {pool}{used}"


def _describe_broadcast(campaign: Campaign, row: LedgerRow, zone: tzinfo) -> str:
    """Say to whom a broadcast went, who froze it when, and with which words."""
    said = f"; to {campaign.audience}; {frozen.describe_origin(campaign, zone)}"
    variant = row.variant or str(campaign.options.get("variant") or "")  # of a test to oneself
    title = frozen.find_title(campaign, row.language, variant) if row.language else None
    return f"{said}; {title[0]}: {title[1]}" if title else said


def _list_reports(store: Store, who: Subscription, trigger: str | None) -> Iterator[Moment]:
    for name, kind, action, at in store.interactions.list_newest(who.id, LIMIT):
        if trigger is None or name.startswith(f"{trigger}/"):
            button = f" ({action})" if action else ""
            yield Moment(at, "report", "", f"{name}: {kind}{button}")


def _list_next(
    config: Config, store: Store, who: Subscription, now: Millis, trigger: str | None
) -> Iterator[Moment]:
    paused = store.triggers.list_paused()
    for one in store.enrolments.list_active(who.id):
        declared: Trigger | None = config.triggers.get(one.trigger)
        if declared is None or one.next_at is None or trigger not in (None, one.trigger):
            continue
        if one.step > len(declared.steps):
            text = "all messages are sent; watching for the goal until then"
        else:
            step = declared.steps[one.step - 1]
            text = f"step {one.step} of {len(declared.steps)}: {' or '.join(step.templates)}"
            text += describe_only(config, declared, one.step)
            if one.sent and one.shown_at is None and step.since == "shown":
                text = f"waits until step {one.sent} is shown, at most until then; {text}"
        if one.trigger in paused:
            text = f"paused; {text}"
        yield Moment(max(one.next_at, now), "next", one.trigger, text)
