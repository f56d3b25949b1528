"""What a campaign that was frozen tells of itself: who asked for it, and its texts."""

import tomllib
from collections.abc import Iterator
from datetime import tzinfo
from textwrap import shorten

from pushctl.model import Campaign
from pushctl.rules.wording import moment

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
        if name != "message.toml" and language in (None, stem):
            text = tomllib.loads(campaign.sources[name])
            body = shorten(str(text.get("body", "")), _BODY, placeholder=" ...")
            said = " · ".join(filter(None, (str(text.get("title", "")), body)))
            yield f"{campaign.template}/{name}", said
