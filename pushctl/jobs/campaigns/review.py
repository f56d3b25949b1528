"""
The plan of `apply` as Markdown, for whoever reviews the files where they are kept.

It has counts and sample data: no value, example or reason of a person gets into it.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from pushctl.config import Config
from pushctl.errors import InputError, TemplateError
from pushctl.jobs.campaigns import contact_policy, experiment_power, files
from pushctl.jobs.campaigns.broadcast import Plan
from pushctl.jobs.campaigns.draft import BY_HAND
from pushctl.jobs.campaigns.forecast import foresee
from pushctl.jobs.campaigns.plan_files import Item
from pushctl.jobs.delivery.claims.promo_codes import describe_need
from pushctl.jobs.figures.forecasts.table import list_forecast
from pushctl.jobs.messages.lint import find_site, lint_template
from pushctl.jobs.messages.missing_languages import Readers
from pushctl.jobs.messages.samples import make_samples
from pushctl.jobs.subscribers.contact_policy import Judged
from pushctl.model import Millis
from pushctl.rules import timing
from pushctl.rules.messages import packs
from pushctl.rules.wording import clean, counted, moment
from pushctl.store import Store
from pushctl.templates import Template, Text

_SPECIAL = re.compile(r"[\\`*_\[\]|~]")
_MARKER = re.compile(r"^(?=[-+=#])|(?<=^\d)(?=[.)])|(?<=^\d\d)(?=[.)])")  # of a list or heading


def write_markdown(
    store: Store, config: Config, items: Sequence[Item], plan: str, now: Millis
) -> Iterator[str]:
    """Yield the lines of a review of *items*; *plan* is their hash, "" for nothing to do."""
    counts = Counter(item.state.value for item in items)
    said = ", ".join(f"{count} {state}" for state, count in counts.items())
    yield f"# Campaigns: {said or 'none'}"
    yield ""
    if plan:
        yield f"To carry out exactly this: `pushctl apply --plan {plan}`"
    else:
        yield "There is nothing to apply."
    for item in items:
        yield ""
        yield f"## {escape(files.name_file(item.name))}: {item.state.value}"
        yield ""
        if item.note:
            yield f"- {escape(item.note)}"
        if item.plan is not None:
            yield from _list_facts(store, config, item.plan, item, now)
        yield from _tabulate(item)
        if item.plan is not None:
            yield from _list_texts(store, config, item.plan)


def escape(text: str) -> str:
    """Return *text* as Markdown that shows it, and no markup of its own."""
    shown = clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKER.sub(r"\\", _SPECIAL.sub(r"\\\g<0>", shown.strip()))


def _list_facts(
    store: Store, config: Config, plan: Plan, item: Item, now: Millis
) -> Iterator[str]:
    yield f"- audience: {escape(plan.audience)}"
    if plan.at:
        ends = dict.fromkeys(moment(at, config.zone) for at in (min(plan.at), max(plan.at)))
        yield f"- goes out: {escape(' to '.join(ends))}"
    elif item.draft is not None and item.draft.every:
        every = item.draft.every.removeprefix("every ")
        yield f"- goes out: every {escape(every)} ({escape(item.phase)})"
    yield f"- of use for: {escape(timing.say(plan.expires_after))}"
    if plan.topic:
        yield f"- topic: {escape(plan.topic)}"
    if plan.left_out.count:
        yield f"- left out: {escape(plan.left_out.describe())}"
    if plan.without:
        whom = counted(plan.count, "person", "people")
        yield f"- would get none as things stand: {plan.without:,} of {whom}"
    for missing in plan.readers.missing:
        yield f"- **{escape(str(missing))}**"
    yield from _list_test(store, config, plan, now)
    foreseen, fault = foresee(store, config, plan, now)
    for line in list_forecast(foreseen.forecast) or filter(None, [fault]):
        yield f"- {escape(line)}"
    if need := describe_need(
        store, plan.options, _list_getting(plan), max(plan.at, default=now)
    ):
        yield f"- {escape(need)}"
    if plan.judged is not None:
        parts = contact_policy.divide(plan.count, plan.judged or Judged(), plan.list_without())
        said = ", ".join(f"{part.what} {part.people:,}" for part in parts if part.people)
        yield f"- manners of sending: {escape(said)}"


def _list_getting(plan: Plan) -> list[int]:
    without = plan.list_without()
    return [one for one in plan.receivers if one not in without]


def _list_test(store: Store, config: Config, plan: Plan, now: Millis) -> Iterator[str]:
    made = plan.assignment
    if made is None:
        return
    sizes = zip(made.design.arms, made.count_arms(), strict=True)
    said = ", ".join(f"{arm.title} {count:,}" for arm, count in sizes)
    yield f"- test: {escape(said)}; decided {escape(moment(made.decide_at, config.zone))}"
    forecast, _ = experiment_power.forecast(store, plan, made, now)
    yield f"- {escape(forecast.sentence)}"
    if forecast.advice:
        yield f"- {escape(forecast.advice)}"


def _tabulate(item: Item) -> Iterator[str]:
    """Yield who was meant and who is, by the language of their text."""
    if item.before is None and item.after is None:
        return
    yield ""
    yield "| people | before | after |"
    yield "|---|---:|---:|"
    yield f"| all | {_say(item.people_before)} | {_say(item.people)} |"
    tags = {
        **(item.after.texts if item.after else {}),
        **(item.before.texts if item.before else {}),
    }
    for tag in tags:
        yield f"| {escape(tag)} | {_count(item.before, tag)} | {_count(item.after, tag)} |"


def _count(readers: Readers | None, tag: str) -> str:
    return _say(None if readers is None else readers.texts.get(tag, 0))


def _say(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"


def _list_texts(store: Store, config: Config, plan: Plan) -> Iterator[str]:
    template = Template.from_sources(plan.template, plan.sources)
    # A message of the file's own is no template, whose files could be mended.
    found = [] if plan.template == BY_HAND else list(lint_template(config, store, template))
    if found:
        yield ""
        yield "What could be better:"
        yield ""
    for one in found:
        yield f"- {escape(one.place)}: {escape(one.fault)} ({one.rule}). {escape(one.remedy)}"
    yield ""
    yield "Messages, with sample data:"
    for text in template.all_texts:
        yield ""
        yield from _show_text(config, plan.name, text)


def _show_text(config: Config, campaign: str, text: Text) -> Iterator[str]:
    site = find_site(config, text.language)
    context = {**make_samples(text), "site": packs.collect_values(site, campaign)}
    yield f"> {escape(text.place)}"
    try:
        message = text.render(context)
    except (TemplateError, InputError) as error:
        yield f"> can't be shown with sample data: {escape(str(error))}"
        return
    buttons = "   ".join(f"[ {action.title} ]" for action in message.actions)
    yield ">"
    yield f"> **{escape(message.title)}**"
    for line in (*message.body.splitlines(), buttons, message.url):
        if line:
            yield ">"
            yield f"> {escape(line)}"
