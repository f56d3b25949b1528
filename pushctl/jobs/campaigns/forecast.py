"""The forecast of a broadcast, before it is frozen. It never keeps one from going out."""

from array import array
from collections.abc import Sequence
from dataclasses import replace

from pushctl import log
from pushctl.config import Config
from pushctl.jobs.campaigns.broadcast import Plan, choose_topic
from pushctl.jobs.campaigns.draft import Draft, load_sources
from pushctl.jobs.campaigns.recipients import find_receivers
from pushctl.jobs.figures.forecasts import forecast
from pushctl.model import Millis
from pushctl.rules import topics
from pushctl.store import Store
from pushctl.templates import Template


def foresee(store: Store, config: Config, made: Plan, now: Millis) -> tuple[Plan, str]:
    """
    Return *made* with its forecast, and "" or why it has none although it should.

    Small audiences have none.
    """
    people = made.count - made.without
    if people < forecast.FEWEST_PEOPLE:
        return made, ""
    gets = made.receivers
    if without := made.list_without():
        gets = array("q", (one for one in gets if one not in without))
    try:
        told = forecast.forecast(
            store, config, people, made.topic, made.template, now, gets, quick=True
        )
    except Exception as error:  # whatever it is, the message goes out
        log.note_error("campaigns", "no forecast", error, campaign=made.name)
        return made, f"no forecast: {error or type(error).__name__}"
    return replace(made, forecast=told), ""


def forecast_draft(
    store: Store,
    config: Config,
    draft: Draft,
    people: int | None,
    now: Millis,
    site: str | None = None,
) -> forecast.Forecast:
    """
    Return what *draft* would bring, sent to its audience, or to so many *people* of *site*.

    It needs no template. Raises UsageError for an audience that is not one, NotFoundError
    for an unknown template or segment.
    """
    template, topic = "", topics.check(draft.topic) if draft.topic else config.messages.topic
    if draft.template is not None:
        template, sources = load_sources(config, draft)
        topic = choose_topic(config, draft, Template.from_sources(template, sources))
    receivers: Sequence[int] = ()
    if people is None:
        _, receivers = find_receivers(store, config, draft, now)
        people = len(receivers)
    return forecast.forecast(store, config, people, topic, template, now, receivers, site)
