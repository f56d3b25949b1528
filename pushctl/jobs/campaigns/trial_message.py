"""
A real message to a few named people, before everybody gets it.

It goes the way of every broadcast, as a campaign with the option ``test``: no figure counts
it, it has no place in a cap, and a broadcast of the same texts leaves nobody out for it.
What a person lacks for it, a basket or an event, gets a sample value.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pushctl.config import Config
from pushctl.errors import NotFoundError, UsageError
from pushctl.jobs.campaigns import broadcast
from pushctl.jobs.campaigns.broadcast import Plan
from pushctl.jobs.campaigns.draft import Draft, load_sources
from pushctl.jobs.campaigns.recipients import find_receivers
from pushctl.jobs.campaigns.rehearsal import rehearse
from pushctl.jobs.messages.missing_languages import Readers
from pushctl.jobs.messages.preview import find_example
from pushctl.jobs.messages.samples import make_samples
from pushctl.model import Json, Millis
from pushctl.rules.limits import MAX_TEST_ROWS
from pushctl.store import Store
from pushctl.templates import Template

# What comes from a basket, a trigger or a campaign, and not from the person.
_SAMPLED = ("cart", "event", "promo", "restore_url", "values")


@dataclass(frozen=True)
class Wish:
    """The options of `pushctl send-test`."""

    template: str
    to: Sequence[str]  # ids and signed aliases
    language: str | None = None  # in place of each person's own
    variant: str | None = None
    by: str = ""  # the login name of who asked


@dataclass(frozen=True)
class TestPlan:
    __test__ = False  # no class of tests

    plan: Plan
    samples: tuple[str, ...]  # variables with sample values where a person has none


def plan(store: Store, config: Config, wish: Wish, now: Millis) -> TestPlan:
    """
    Find the people and the texts, and render each message.

    Raises NotFoundError for an unknown template, person, language or variant, UsageError
    for too many people, TemplateError where nobody can get the message.
    """
    draft = Draft(to=wish.to, template=wish.template)
    name, sources = load_sources(config, draft)
    template = Template.from_sources(name, sources)
    _check(template, wish)
    typed, receivers = find_receivers(store, config, draft, now)
    if len(receivers) > MAX_TEST_ROWS:
        raise UsageError(
            f"a test goes to at most {MAX_TEST_ROWS} browsers, not {len(receivers)}: "
            "send the message with `pushctl send`"
        )
    samples = _make_samples(template, wish)
    # "transactional": no cap and no quiet hours hold it back, and it takes no place in one.
    options: dict[str, Json] = {"test": True, "transactional": True, "extra": samples}
    given = {"by": wish.by, "language": wish.language, "variant": wish.variant}
    options |= {key: value for key, value in given.items() if value}
    made = Plan(
        name=f"test {name}",
        template=name,
        sources=sources,
        audience=typed,
        receivers=receivers,
        readers=Readers({}),
        example=None,
        options=options,
        expires_after=broadcast.find_life(options, template),
        again=True,
        named=False,
    )
    example = find_example(
        store,
        config,
        template,
        receivers,
        made.name,
        now,
        wish.variant,
        samples,
        wish.language,
    )
    return TestPlan(
        replace(rehearse(store, config, made, now), example=example), tuple(samples)
    )


def _check(template: Template, wish: Wish) -> None:
    if wish.language and not template.has_language(wish.language):
        there = ", ".join(template.languages)
        raise NotFoundError(
            f"template {template.name!r} has no text in {wish.language!r}: {there}"
        )
    if wish.variant and wish.variant not in template.variants:
        there = ", ".join(template.variants)
        raise NotFoundError(
            f"template {template.name!r} has no variant {wish.variant!r}; it has {there}"
        )


def _make_samples(template: Template, wish: Wish) -> dict[str, Json]:
    """Return sample values of all texts that may be chosen; a template's own values stay."""
    found: dict[str, Json] = {}
    for text in template.texts:
        for root, value in make_samples(text).items():
            if root in _SAMPLED and root not in text.own:
                there = found.get(root)
                if isinstance(there, dict) and isinstance(value, dict):
                    value = {**value, **there}
                found[root] = value
    return found
