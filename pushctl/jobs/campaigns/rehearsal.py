"""
Shows a broadcast before it is frozen: one message at once, then who would get none.

What was rehearsed is what is frozen: the same sources, receivers and verdict. Who gets no
message of a broadcast that goes out now is frozen as rejected, and never rendered again. One
for later leaves its receivers planned: the values that are missing may come until then.
"""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from pushctl.config import Config
from pushctl.errors import TemplateError
from pushctl.jobs.campaigns.broadcast import Plan
from pushctl.jobs.delivery.claims.promo_codes import collect_samples
from pushctl.jobs.delivery.rendering.render_check import Verdict, judge_arms
from pushctl.jobs.messages.preview import Preview, find_example
from pushctl.jobs.subscribers import carts
from pushctl.jobs.subscribers.contact_policy import Ended
from pushctl.model import Millis
from pushctl.rules.compact_numbers import NumberMap
from pushctl.rules.messages.arms import Differ
from pushctl.rules.wording import counted
from pushctl.store import Store
from pushctl.templates import Template


def rehearse(
    store: Store,
    config: Config,
    made: Plan,
    now: Millis,
    progress: Callable[[int], None] = lambda done: None,
) -> Plan:
    """
    Return *made* with its verdict, and with an example where it had none.

    Raises TemplateError where none of its messages can be rendered.
    """
    template = Template.from_sources(made.template, made.sources)
    groups: Mapping[str | None, Sequence[int]] = {None: made.receivers}
    if made.assignment is not None:
        groups = made.assignment.group(made.receivers)
    without = made.judged.without if made.judged is not None else NumberMap[Ended]()
    if without:
        groups = {
            variant: array("q", (one for one in some if one not in without))
            for variant, some in groups.items()
        }
    found = judge_arms(
        store,
        config,
        template,
        groups,
        now,
        name=made.name,
        options=made.options,
        has_cart=carts.is_used(made.sources),
        progress=progress,
    )
    refuse_if_none(found, sum(map(len, groups.values())))
    example = made.example
    if example is None and found.first is not None:
        example = find_example(
            store, config, template, [found.first], made.name, now,
            samples=collect_samples(store, made.options),
        )  # fmt: skip
    found.without.update(without)
    return replace(made, verdict=found, example=example)


def list_examples(
    store: Store, config: Config, made: Plan, now: Millis
) -> Iterator[tuple[str, Preview]]:
    """Yield the template and one message of each further arm of an experiment."""
    if made.assignment is None or made.assignment.design.differ is Differ.TIME:
        return
    template = Template.from_sources(made.template, made.sources)
    groups = made.assignment.group(made.receivers)
    for arm in made.assignment.design.arms[1:]:
        whole = template.arms.get(arm.variant)
        shown = find_example(
            store, config, whole or template, groups.get(arm.variant, ()), made.name, now,
            None if whole else arm.variant, collect_samples(store, made.options),
        )  # fmt: skip
        if shown is not None:
            yield arm.template or made.template, shown


def refuse_if_none(found: Verdict, count: int) -> None:
    """Raise TemplateError where all of *count* receivers get no message."""
    if found.without and len(found.without) == count:
        whom = counted(count, "person", "people")
        raise TemplateError(
            f"nobody of {whom} can get this message. {found.count_reasons()[0][0]}"
        )
