"""
Sites that have a new name in pushctl.toml: people and waiting lines keep the former one.

A browser subscribes to an origin. So a name that the database alone has means the site that
has its origin.
"""

from collections.abc import Mapping
from dataclasses import replace

from pushctl.config import Config, Site
from pushctl.store import Store


def find(store: Store, config: Config) -> Mapping[str, Site]:
    """Return the sites of pushctl.toml by the former names that the database has for them."""
    known = store.sites.load_origins()
    if known.keys() <= config.sites.keys():
        return {}
    by_origin: dict[str, Site] = {}
    for site in config.sites.values():
        for origin in (site.origin, *site.origins):
            by_origin.setdefault(origin, site)
    return {
        name: by_origin[origin]
        for name, origin in known.items()
        if name not in config.sites and origin in by_origin
    }


def adopt(store: Store, config: Config) -> Config:
    """Return *config*, in which former names of its sites mean these sites, too."""
    former = find(store, config)
    return replace(config, sites={**config.sites, **former}) if former else config
