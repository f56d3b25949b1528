"""Write and check sw/, the project's copy of the scripts for pages."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from pushctl import shipped
from pushctl.config import Config
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


def _fill(config: Config, *, anew: bool = False) -> Iterator[tuple[Path, str]]:
    from pushctl.push import vapid

    remedy = "If one was there, bring it back from a backup. Else: `pushctl keys new`."
    key = vapid.load_own(config.keys, remedy)
    for site in config.sites.values():
        folder = config.folder / "sw" / (site.name if len(config.sites) > 1 else "")
        rules = tag_rules.list_for_site(config.tag_rules, site.name)
        values = scripts.settings(
            url=config.receiver.url,
            key=key.public,
            site=site.name,
            **asdict(site.brand),
            rules=bool(rules),
        )
        for name in scripts.SCRIPTS:
            target = folder / name
            there = target.exists() and not anew
            text = (target if there else shipped.find("sw") / name).read_text("utf-8")
            yield target, scripts.render(name, text, values, rules)
