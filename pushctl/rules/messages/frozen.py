"""What a campaign that was frozen tells of itself: who asked for it, and its texts."""

import tomllib
from collections.abc import Iterator
from datetime import tzinfo
from textwrap import shorten

from pushctl.model import Campaign
from pushctl.rules.messages import arms
from pushctl.rules.wording import moment

_WITHOUT_TEXT = ("message.toml", "phrases.toml")
_BODY = 60  # characters of a body: enough to know it again


def describe_origin(campaign: Campaign, zone: tzinfo | None = None) -> str:
    """
    Say when *campaign* was frozen, by whom and for when.

    *zone*: on whose clock; None is this machine's.
    """
    options = campaign.options
    said = f"frozen {moment(campaign.created_at, zone)}"
    if options.get("by"):
        said += f" by {options['by']}"
    if options.get("series"):
        said += f", one of the series {options['series']!r}"
    elif options.get("at"):
        said += f", for {options['at']!r}"
    return said + (" on each person's own clock" if options.get("local") else "")


def list_titles(campaign: Campaign, language: str | None = None) -> Iterator[tuple[str, str]]:
    """
    Yield (file, title and beginning of the body) of each text, the general ones first.

    As they were written, not rendered. *language*: only its texts.
    """
    for name in sorted(campaign.sources, key=lambda name: (name.count("/"), name)):
        stem = name.rpartition("/")[2].partition(".")[0]
        if not name.endswith(_WITHOUT_TEXT) and language in (None, stem):
            yield arms.name_file(campaign.template, name), _begin(campaign.sources[name])


def find_title(campaign: Campaign, language: str, variant: str) -> tuple[str, str] | None:
    """Return (file, beginning) of the general text of *variant*, else of the plain one."""
    own, others = arms.unpack(campaign.sources)
    template, sources = others.get(variant, (campaign.template, own))
    for name in (f"{language}.{variant}.toml", f"{language}.toml"):
        if name in sources:
            return arms.name_file(template, name), _begin(sources[name])
    return next(list_titles(campaign, language), None)


def _begin(source: str) -> str:
    """Return the title and the beginning of the body of a text's file."""
    text = tomllib.loads(source)
    body = shorten(str(text.get("body", "")), _BODY, placeholder=" ...")
    return " · ".join(filter(None, (str(text.get("title", "")), body)))
