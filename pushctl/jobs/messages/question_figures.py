"""How campaigns that ask something did, beside those that say it: the user's own figures."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pushctl.config import Config
from pushctl.errors import InputError, TemplateError
from pushctl.jobs.messages.samples import make_samples
from pushctl.rules.figures.figure import read_count
from pushctl.rules.messages import lint, packs
from pushctl.rules.wording import counted, share
from pushctl.store import Store
from pushctl.templates import Template, Text

_CAMPAIGNS = 40  # the newest: figures of all would take long, and old ones say little
_MIN_ACCEPTED = 100  # of a campaign: fewer say nothing


@dataclass(slots=True)
class Group:
    campaigns: int = 0
    accepted: int = 0
    clicked: int = 0

    def describe(self, what: str) -> str:
        rate = share(self.clicked / self.accepted) if self.accepted else "–"
        of = f"{self.accepted:,} accepted messages"
        return f"{what} {rate} of {of} ({counted(self.campaigns, 'campaign')})"


@dataclass(slots=True)
class Compared:
    """Clicks by accepted messages; no test: the campaigns differ in more than that."""

    questions: Group = field(default_factory=Group)
    statements: Group = field(default_factory=Group)

    def describe(self) -> str:
        if not (self.questions.campaigns and self.statements.campaigns):
            return (
                "Your own campaigns can't be compared yet: too few ask, or too few state. "
                "Test both: docs/experiments.md."
            )
        asked = self.questions.describe("questions")
        said = self.statements.describe("statements")
        return f"Your own clicks: {asked}, {said}. They differ in more than that: test it."


def compare(store: Store, config: Config) -> Compared:
    """Return how the newest campaigns with and without a question did."""
    found = Compared()
    newest = store.campaigns.list_newest(_CAMPAIGNS)
    rows = store.reports.load_funnel(("accepted", "clicked"), [one.id for one in newest])
    figures = {
        row["name"]: (read_count(row, "accepted"), read_count(row, "clicked")) for row in rows
    }
    for one in newest:
        accepted, clicked = figures.get(one.name, (0, 0))
        if accepted < _MIN_ACCEPTED:
            continue
        try:
            template = Template.from_sources(one.template, one.sources)
        except TemplateError:
            continue  # of an older version
        asks = [_asks(config, text) for text in _list_main(config, template)]
        if not asks or (any(asks) and not all(asks)):
            continue  # some languages ask and others don't
        group = found.questions if asks[0] else found.statements
        group.campaigns += 1
        group.accepted += accepted
        group.clicked += clicked
    return found


def _list_main(config: Config, template: Template) -> Iterable[Text]:
    defaults = {site.language for site in config.sites.values()}
    return [text for text in template.texts if text.language in defaults]


def _asks(config: Config, text: Text) -> bool:
    site = packs.collect_values(config.first_site, text.template)
    try:
        return lint.is_question(text.render({**make_samples(text), "site": site}))
    except (TemplateError, InputError):
        return False
