"""Writes the decisions about a batch in one transaction; nothing else writes them."""

from pushctl.errors import PushctlError
from pushctl.jobs.delivery.claims.promo_codes import choose_pool, read_pool
from pushctl.jobs.ingest import revocations
from pushctl.jobs.triggers.types import Run
from pushctl.model import CampaignStatus, Cause
from pushctl.rules import topics
from pushctl.rules.triggers.changes import Changes
from pushctl.rules.triggers.facts import Templates
from pushctl.store import Store


def apply(run: Run, changes: Changes, templates: Templates | None = None) -> None:
    """Write *changes* and count them in *run*; *templates* has the sources of messages."""
    store = run.store
    with store.write():
        # First what ends: a subscription has one active enrolment of a trigger.
        known = (one for number, one in changes.enrolments.items() if number > 0)
        store.enrolments.save(known, changes.now)
        rows = {
            number: store.enrolments.add(enrolment, changes.now, reason)
            for number, (enrolment, reason) in changes.enrolments.items()
            if number < 0
        }
        _plan_messages(run, changes, templates or {})
        store.enrolments.add_decisions(
            one._replace(enrolment=rows.get(one.enrolment or 0, one.enrolment))
            for one in changes.decisions
        )
        withdrawn = (one for one in changes.withdrawn.items() if one[0] not in rows)
        store.enrolments.withdraw(withdrawn, changes.now)
        _set_tags(store, changes)
        revocations.note(store, changes.consents)
        for one in changes.interests:
            products = store.products
            write = products.remove_interest if one.bought else products.add_interest
            write(one.products, one.subscriptions, one.at)
    run.tally.update(changes.tally)
    for note in changes.notes:
        run.warn(note)


def describe_paused(campaign: str, note: str | None) -> str:
    """Return the warning about a paused campaign; no later sweep resumes it by itself."""
    return (
        f"{campaign} is paused ({note or 'no reason given'}), its messages wait. Once that "
        f"is put right: pushctl campaigns resume {campaign!r}"
    )


def _plan_messages(run: Run, changes: Changes, templates: Templates) -> None:
    rows = {}
    for campaign in changes.campaigns.values():
        # Calls on other channels have no texts.
        is_call = "channel" in campaign.options
        sources = {} if is_call else templates[campaign.template]
        assert not isinstance(sources, PushctlError)
        options = choose_pool(run.store, campaign.options, read_pool(sources))
        campaign = campaign._replace(options=options)
        topic = topics.read_topic(sources) or run.settings.topic
        opened = run.store.triggers.open_campaign(campaign, sources, changes.now, topic)
        rows[campaign.name] = opened.id
        # A person who paused it knows that it waits.
        if opened.status == CampaignStatus.PAUSED and opened.cause is not Cause.BY_HAND:
            run.warn(describe_paused(campaign.name, opened.note))
    planned = ((rows[one.campaign], *one[1:]) for one in changes.messages)
    run.store.enrolments.plan(planned, changes.now)


def _set_tags(store: Store, changes: Changes) -> None:
    store.tags.remove_each(key for key, tag in changes.tags.items() if tag is None)
    added: dict[str, list[int]] = {}
    for (subscription, _), tag in changes.tags.items():
        if tag is not None:
            added.setdefault(tag, []).append(subscription)
    for tag, subscriptions in added.items():
        # Not add(), which asks who exists and who has it: that is known here.
        store.tags.put(store.tags.ensure(tag), subscriptions, changes.now, None)
