"""What check says of promo codes: pools that run low, names that no pool has."""

from collections.abc import Iterator
from difflib import get_close_matches

from pushctl import templates
from pushctl.config import Config
from pushctl.errors import TemplateError
from pushctl.jobs.delivery.claims.promo_codes import read_pool
from pushctl.jobs.messages import promo_pools
from pushctl.model import Millis
from pushctl.rules.shops.promo_codes import mask
from pushctl.store import Store

Found = tuple[str, str, str]  # place, text, remedy


def find_unknown_pools(config: Config, store: Store) -> Iterator[Found]:
    """Yield the templates whose pool is not there: none of their messages could be sent."""
    for name in templates.list_names(config.templates):
        try:
            pool = read_pool(templates.read(config.templates, name))
        except (TemplateError, ValueError):  # the templates' own check reports it
            continue
        if pool is not None and store.promo_codes.find(pool) is None:
            text = f"no pool of promo codes is called {pool!r}"
            remedy = f"Fill it: pushctl promo import {pool} FILE"
            yield f"{config.templates.name}/{name}/message.toml: promo", text, remedy


def find_notes(config: Config, store: Store, now: Millis) -> Iterator[Found]:
    """Yield pools that need their owner, and codes of steps that look like a pool's name."""
    pools = store.promo_codes.list_pools()
    for pool in pools:
        if why := promo_pools.find_shortage(store, pool, now):
            yield pool.name, why, f"Add some: pushctl promo import {pool.name} FILE"
    names = [pool.name for pool in pools]
    for trigger in config.triggers.values():
        for number, step in enumerate(trigger.steps, 1):
            if step.promo is None or step.promo in names:
                continue
            near = get_close_matches(step.promo.casefold(), [it.casefold() for it in names], 1)
            if near:
                place = f"{config.file.name}: triggers.{trigger.name}.steps.{number}.promo"
                text = f"{mask(step.promo)!r} is sent as a code, for no pool is called so"
                yield place, text, f"Did you mean the pool {near[0]!r}?"
