"""One campaign explained: who asked for it, to whom, when, with which words, and what came."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pushctl.config import Config
from pushctl.errors import PushctlError
from pushctl.jobs.campaigns import experiments, files, manage
from pushctl.jobs.delivery.gates import approval_gate
from pushctl.model import Campaign, Json, Millis
from pushctl.rules.audience import parse
from pushctl.rules.contact_policy import describe_exempt
from pushctl.rules.messages.frozen import describe_origin, list_titles
from pushctl.rules.shops.promo_codes import POOL
from pushctl.rules.wording import moment
from pushctl.store import Store


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an explanation."""

    what: str  # status, asked, audience, times, text, option, test, approval, messages
    text: str


def explain(config: Config, store: Store, campaign: Campaign, now: Millis) -> Sequence[Line]:
    """Return what is known of *campaign*, in the order in which people ask."""
    return [
        Line("status", f"{campaign.status}{f': {campaign.note}' if campaign.note else ''}"),
        Line("asked", describe_origin(campaign)),
        *(Line("asked", said) for said in (files.describe(store, campaign),) if said),
        *_list_audience(config, campaign),
        *_list_times(config, store, campaign, now),
        *(Line("text", f"{file}: {title}") for file, title in list_titles(campaign)),
        *_list_options(campaign),
        *_list_test(config, store, campaign),
        *_list_approval(store, campaign),
        *_list_messages(store, campaign),
    ]


def _list_audience(config: Config, campaign: Campaign) -> Iterator[Line]:
    yield Line("audience", campaign.audience)
    try:
        meaning = parse.explain(parse.expand(parse.parse(campaign.audience), config.segments))
    except PushctlError:  # of a former pushctl.toml, or single people
        return
    if meaning != campaign.audience:
        yield Line("audience", f"that is: {meaning}")


def _list_times(
    config: Config, store: Store, campaign: Campaign, now: Millis
) -> Iterator[Line]:
    def say(at: Millis) -> str:
        here, there = moment(at), moment(at, config.zone)
        return here if here == there else f"{here} ({there} in {config.zone})"

    waiting, due = store.deliveries.count_waiting(campaign.id, now)
    times = {
        "started": campaign.started_at,
        "the next is due": due if waiting else None,
        "ended": campaign.finished_at,
        "of use until": campaign.expires_at,
    }
    for what, at in times.items():
        if at is not None:
            yield Line("times", f"{what} {say(at)}")


def _list_options(campaign: Campaign) -> Iterator[Line]:
    names = ("ttl", "urgency", "rate", "over", "limit", "language")
    units: dict[str, str] = {"ttl": " s", "rate": " a second"}
    if said := describe_exempt(campaign.options):
        yield Line("option", f"manners: {said}")
    if campaign.topic:
        yield Line("option", f"topic {campaign.topic}")
    for name in names:
        value: Json = campaign.options.get(name)
        if value is not None:
            yield Line("option", f"{name} {value}{units.get(name, '')}")
    if POOL in campaign.options:
        yield Line("option", f"promo codes of {campaign.options[POOL]}")


def _list_test(config: Config, store: Store, campaign: Campaign) -> Iterator[Line]:
    test = store.experiments.find_by_campaign(campaign.id)
    if test is not None:
        yield Line("test", experiments.describe_state(test, config.zone))


def _list_approval(store: Store, campaign: Campaign) -> Iterator[Line]:
    if said := approval_gate.describe(store, campaign):
        yield Line("approval", said)


def _list_messages(store: Store, campaign: Campaign) -> Iterator[Line]:
    rows = manage.count_states(store, campaign.id)
    for row in rows:
        reason = f" ({row.reason})" if row.reason else ""
        yield Line("messages", f"{row.count:,} {row.status}{reason}")
    if not rows:
        yield Line("messages", "none")
