"""
Plans the API's messages to audiences: each is frozen as a campaign of its own.

One to more people than ``[api] max_audience`` waits for a person.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from pushctl.errors import InputError
from pushctl.jobs.campaigns import broadcast
from pushctl.jobs.campaigns.api_batch import ApiBatch
from pushctl.jobs.delivery.claims.promo_codes import name_pool
from pushctl.jobs.messages.missing_languages import Readers
from pushctl.jobs.subscribers import audience, suppression
from pushctl.model import CampaignStatus, Cause, Json, Millis
from pushctl.rules.audience.expression import Expression
from pushctl.rules.messages.api_message import Wanted
from pushctl.store.messages import ApiMessage

# Freezing more takes a second or so: a watch leaves that to a process of its own.
MANY = 2_000
_TRIED = 50  # of a large audience: whether anybody can get the message


class TooManyError(Exception):
    """An audience that the caller leaves to another process."""


class Draft(NamedTuple):
    plan: broadcast.Plan
    is_large: bool  # a person has to agree


def draft(
    batch: ApiBatch, one: ApiMessage, wanted: Wanted, site: str, *, all_sizes: bool
) -> Draft:
    """
    Find who gets a message, and render it for them: reads only.

    Raises InputError and NotFoundError with the reason why nobody does, TooManyError for a
    large audience unless *all_sizes*.
    """
    where = [*wanted.where, f"site = '{site}'"]
    typed, expression = audience.build(
        batch.config, tags=wanted.tags, segments=wanted.segments, where=where
    )
    if not all_sizes and batch.store.audience.count(expression, batch.now) > MANY:
        raise TooManyError
    receivers = _list_receivers(batch, expression)
    name, sources, template = batch.load(wanted)
    most = batch.config.api.max_audience
    is_large = bool(most) and len(receivers) > most
    options = _make_options(one, wanted, is_large)
    options |= name_pool(batch.store, template.settings.promo)
    tried = receivers[:_TRIED] if is_large else receivers
    verdict = batch.rehearse(name, template, wanted, sources, tried, options)
    if verdict.first is None:
        raise InputError(verdict.count_reasons()[0][0])
    made = broadcast.Plan(
        name=f"{wanted.name or name} {batch.day}",
        template=name,
        sources=sources,
        audience=typed,
        receivers=receivers,
        readers=Readers({}),
        example=None,
        options=options,
        expires_after=broadcast.find_life(options, template),
        verdict=None if is_large else verdict,
        named=False,
        topic=template.settings.topic or batch.config.messages.topic,
    )
    made = _set_time(made, wanted.at or one.at, batch.now)
    return Draft(broadcast.judge(batch.store, batch.config, made, batch.now), is_large)


def _list_receivers(batch: ApiBatch, expression: Expression) -> Sequence[int]:
    without = suppression.find_suppressed(batch.store, expression, batch.now)
    rows = batch.store.audience.list_ids(expression, batch.now)
    if not (receivers := [row for row in rows if row not in without]):
        raise InputError("nobody is in this audience")
    return receivers


def _set_time(made: broadcast.Plan, due: Millis, now: Millis) -> broadcast.Plan:
    if due > now:
        return replace(made, at=[due] * made.count)
    if due + made.expires_after <= now:
        raise InputError("its time was over before it could be sent")
    return made


def freeze(batch: ApiBatch, one: ApiMessage, drafted: Draft) -> ApiMessage:
    """Write the campaign of a message; raises NobodyLeftError."""
    count, most = drafted.plan.count, batch.config.api.max_audience
    campaign = broadcast.freeze(batch.store, drafted.plan, batch.now).id
    planned = one._replace(campaign=campaign, own=True, content={})
    if not drafted.is_large:
        return planned
    note = f"{count:,} people are more than api.max_audience = {most:,}: a person has to agree"
    batch.store.campaigns.change_status(
        campaign, CampaignStatus.PAUSED, batch.now, note, Cause.LARGE_AUDIENCE
    )
    return planned._replace(state="waiting")


def _make_options(one: ApiMessage, wanted: Wanted, is_large: bool) -> dict[str, Json]:
    options = {**wanted.options, "kind": "api", "key": one.key}
    options["extra"] = wanted.variables
    if wanted.ttl is not None:
        options["ttl"] = wanted.ttl
    if wanted.topic is not None:
        options["topic"] = wanted.topic
    return options if is_large else {**options, "urgent": True}
