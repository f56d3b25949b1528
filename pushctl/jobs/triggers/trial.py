"""`triggers test`: what one person would get, with the messages as they would read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from pushctl.config import Config
from pushctl.errors import PushctlError
from pushctl.jobs.delivery.claims.promo_codes import choose_pool, collect_samples
from pushctl.jobs.messages import preview
from pushctl.jobs.messages.preview import Preview
from pushctl.jobs.subscribers import carts
from pushctl.jobs.subscribers.restore_links import RestoreLinks
from pushctl.jobs.subscribers.segments import find_segments
from pushctl.model import Json, Millis, Subscription
from pushctl.rules import timing
from pushctl.rules.messages.values import RESTORE
from pushctl.rules.shops.promo_codes import sample
from pushctl.rules.triggers.rehearsal import Happening
from pushctl.rules.triggers.trigger import Trigger, campaign_name
from pushctl.store import Store
from pushctl.store.faults import DATABASE_FAULTS


@dataclass(frozen=True, slots=True)
class Tried:
    """One thing that would happen; *title* and *body* of a message, or why it can't be."""

    at: Millis
    kind: str
    step: int | None
    template: str | None
    reason: str
    title: str | None = None
    body: str | None = None
    fault: str | None = None
    heading: str = ""
    right_to_left: bool = False


def render_all(
    config: Config,
    store: Store,
    trigger: Trigger,
    who: Subscription,
    happened: Iterable[Happening],
    now: Millis,
) -> Iterator[Tried]:
    """
    Yield *happened*, messages as *who* would read them; ‹names› for unknown values.

    Steps on other channels have no text of ours, and nothing is called.
    """
    for one in happened:
        tried = Tried(one.at, one.kind, one.step, one.template, one.reason)
        calls = one.step is not None and trigger.steps[one.step - 1].channel is not None
        if one.kind == "deliver" and one.template is not None and not calls:
            try:
                made = _render(config, store, trigger, who, one, now)
            except DATABASE_FAULTS:
                raise
            except PushctlError as error:
                tried = replace(tried, fault=str(error))
            else:
                message, heading = made.message, _describe(config, who, one, made)
                tried = replace(tried, title=message.title, body=message.body, heading=heading)
                tried = replace(tried, right_to_left=message.dir == "rtl")
        yield tried


def _describe(config: Config, who: Subscription, one: Happening, made: Preview) -> str:
    zone = timing.zone(who.timezone, config.sites[who.site].timezone)
    when = f"{timing.local(one.at, zone):%a %Y-%m-%d %H:%M %Z} there"
    return f"Step {one.step}, {when}: {made.template}/{made.file}"


def _render(
    config: Config,
    store: Store,
    trigger: Trigger,
    who: Subscription,
    one: Happening,
    now: Millis,
) -> Preview:
    assert one.step is not None and one.template is not None
    step = trigger.steps[one.step - 1]
    template = preview.load(config, one.template)
    names = template.segments
    segments = find_segments(store, config, names, now)([who.id])[who.id] if names else ()
    name = campaign_name(trigger.name, one.step, step, one.template)
    extra: dict[str, Json] = {"campaign": {"name": name}}
    extra |= {key: value for key, value in one.context.items() if value is not None}
    if "cart" not in extra and who.id in (
        held := carts.load(store, config, {who.id: who.site})
    ):
        extra["cart"] = held[who.id]
    if cart := extra.get("cart"):
        extra[RESTORE] = RestoreLinks(store, config).make_for(who, cart)
    if step.promo:  # as much of it as a code of a pool is shown
        extra["promo"] = sample(len(step.promo))
    options = choose_pool(store, {"extra": {"promo": step.promo}}, template.settings.promo)
    extra |= collect_samples(store, options)
    return preview.render(
        config,
        template,
        who,
        language=who.language,
        segments=list(segments),
        extra=extra,
        fill=("event", "cart"),
    )
