"""What a campaign that was frozen tells of itself: who asked for it, and its texts."""

import tomllib
from collections.abc import Iterator
from datetime import tzinfo

from pushctl.model import Campaign
from pushctl.rules.wording import moment


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
    Yield (file, title) of each text as it was written, the general ones first.

    *language*: only its texts.
    """
    for name in sorted(campaign.sources, key=lambda name: (name.count("/"), name)):
        stem = name.rpartition("/")[2].partition(".")[0]
        if name != "message.toml" and language in (None, stem):
            title = tomllib.loads(campaign.sources[name]).get("title", "")
            yield f"{campaign.template}/{name}", str(title)
