"""Write and check sw/, the project's copy of the scripts for pages."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from pushctl import shipped
from pushctl.config import Config
from pushctl.model import Json
from pushctl.rules.web import scripts, tag_rules


def fill_scripts(config: Config, *, anew: bool = False) -> list[Path]:
    """
    Write sw/ with the own key, the receiver's URL and the site's brand; return its files.

    Existing files keep their other lines, unless they are written *anew*. With several
    sites each has a folder sw/NAME/.
    """
    written = []
    for target, filled in _fill(config, anew=anew):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(filled, "utf-8")
        written.append(target)
    return written


def stale_scripts(config: Config, *, anew: bool = False) -> list[Path]:
    """Return files of sw/ with another key, URL or brand, with *anew* also other text."""
    return [
        target
        for target, filled in _fill(config, anew=anew)
        if target.exists() and target.read_text("utf-8") != filled
    ]


def build_served(config: Config, key: str, site: str, name: str) -> str:
    """Return the script *name* of *site* as a receiver of this release serves it."""
    text = scripts.minify(name, (shipped.find("sw") / name).read_text("utf-8"))
    values, rules = _make_settings(config, key, site)
    return scripts.render(name, text, values, rules)


def build_copy(config: Config, key: str, site: str, name: str) -> str:
    """Return the script *name* of *site* as ``pushctl sw --write`` writes it."""
    values, rules = _make_settings(config, key, site)
    return scripts.render(name, (shipped.find("sw") / name).read_text("utf-8"), values, rules)


def _make_settings(
    config: Config, key: str, site: str
) -> tuple[Mapping[str, Json], Sequence[Mapping[str, Json]]]:
    """Return the settings of *site*'s scripts for the public *key*, and its tag rules."""
    rules = tag_rules.list_for_site(config.tag_rules, site)
    brand = asdict(config.sites[site].brand)
    values = scripts.settings(
        url=config.receiver.url, key=key, site=site, **brand, rules=bool(rules)
    )
    return values, rules


def _fill(config: Config, *, anew: bool = False) -> Iterator[tuple[Path, str]]:
    from pushctl.push import vapid

    remedy = "If one was there, bring it back from a backup. Else: `pushctl keys new`."
    key = vapid.load_own(config.keys, remedy)
    for site in config.sites.values():
        folder = config.folder / "sw" / (site.name if len(config.sites) > 1 else "")
        values, rules = _make_settings(config, key.public, site.name)
        for name in scripts.SCRIPTS:
            target = folder / name
            there = target.exists() and not anew
            text = (target if there else shipped.find("sw") / name).read_text("utf-8")
            yield target, scripts.render(name, text, values, rules)
