"""A batch of the API's messages: keys, sites and templates, read once to plan it."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from pushctl import templates
from pushctl.config import Config, Site
from pushctl.errors import InputError
from pushctl.jobs.delivery.rendering.render_check import Verdict, judge
from pushctl.jobs.ingest import former_names
from pushctl.jobs.subscribers import carts
from pushctl.model import Json, Millis
from pushctl.push import vapid
from pushctl.rules import timing
from pushctl.rules.messages import api_message
from pushctl.rules.messages.api_message import Wanted
from pushctl.rules.shops import server_items
from pushctl.store import Store
from pushctl.store.messages import ApiMessage
from pushctl.templates import Template


class ApiBatch:
    def __init__(self, store: Store, config: Config, now: Millis) -> None:
        self.store, self.now = store, now
        self.config = former_names.adopt(store, config)
        self.day = str(timing.local(now, config.zone).date())
        self._sites = {row: name for name, row in store.sites.load_ids().items()}
        self._keys = frozenset(vapid.load(config.keys))
        self._sources: dict[str, Mapping[str, str]] = {}

    def read(self, one: ApiMessage) -> tuple[Site, Wanted]:
        """Return what a message asks for; raises InputError."""
        site = self.config.sites.get(self._sites[one.site_id])
        if site is None:
            raise InputError("its site is not in pushctl.toml any more")
        if not one.content:
            raise InputError("its person was erased")
        due = server_items.read_due(one.content.get("at"), one.at)
        return site, api_message.read(one.content, due, site.language)

    def load(self, wanted: Wanted) -> tuple[str, Mapping[str, str], Template]:
        """Return the template's name, its sources and the template, checked."""
        name = wanted.template or api_message.GIVEN
        sources = wanted.sources
        if wanted.template is not None:
            if name not in self._sources:
                self._sources[name] = templates.read(self.config.templates, name)
            sources = self._sources[name]
        return name, sources, _compile(name, tuple(sources.items()))

    def rehearse(
        self, name: str, template: Template, wanted: Wanted, sources: Mapping[str, str],
        rows: Sequence[int], options: Mapping[str, Json],
    ) -> Verdict:  # fmt: skip
        extra = {"extra": wanted.variables}
        return judge(
            self.store, self.config, template, rows, self.now, name=name,
            options={**options, **extra}, has_cart=carts.is_used(sources),
            keys=self._keys,
        )  # fmt: skip


@lru_cache(maxsize=64)
def _compile(name: str, sources: tuple[tuple[str, str], ...]) -> Template:
    """Return the template of *sources*; raises TemplateError."""
    return Template.from_sources(name, dict(sources))
