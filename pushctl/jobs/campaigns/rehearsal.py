"""
Shows a broadcast before it is frozen: one message at once, then who would get none.

What was rehearsed is what is frozen: the same sources, receivers and verdict. Who gets no
message of a broadcast that goes out now is frozen as rejected, and never rendered again. One
for later leaves its receivers planned: the values that are missing may come until then.
"""

from collections.abc import Callable
from dataclasses import replace

from pushctl.config import Config
from pushctl.errors import TemplateError
from pushctl.jobs.campaigns.broadcast import Plan
from pushctl.jobs.delivery.verdict import Verdict, judge
from pushctl.jobs.messages.preview import find_example
from pushctl.jobs.subscribers import carts
from pushctl.model import Millis
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
    found = judge(
        store,
        config,
        template,
        made.receivers,
        now,
        name=made.name,
        options=made.options,
        has_cart=carts.is_used(made.sources),
        progress=progress,
    )
    refuse_if_none(found, len(made.receivers))
    example = made.example
    if example is None and found.first is not None:
        example = find_example(store, config, template, [found.first], made.name, now)
    return replace(made, verdict=found, example=example)


def refuse_if_none(found: Verdict, count: int) -> None:
    """Raise TemplateError where all of *count* receivers get no message."""
    if found.without and len(found.without) == count:
        whom = counted(count, "person", "people")
        raise TemplateError(
            f"nobody of {whom} can get this message. {found.count_reasons()[0][0]}"
        )
