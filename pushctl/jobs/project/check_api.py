"""Keys of the server API that nobody uses or that lead nowhere; messages that wait."""

from collections.abc import Iterator

from pushctl import apikeys
from pushctl.config import Config
from pushctl.jobs.ingest import api_log
from pushctl.model import Millis
from pushctl.rules.wording import clean
from pushctl.store import Store

Note = tuple[str, str, str]  # place, text, remedy


def find_notes(config: Config, store: Store, now: Millis) -> Iterator[Note]:
    """
    Yield keys that nobody used for 90 days, keys of sites that are no more, and audiences
    that a person has to agree to.
    """
    for campaign, people in store.messages.list_held():
        text = f"a message of the server API to {people:,} people waits for a person"
        remedy = f"Run: pushctl campaigns resume {campaign!r}, or cancel it."
        yield f"campaign {clean(campaign)}", text, remedy
    place = str(config.keys / apikeys.NAME)
    for key in api_log.list_unused(config, store, now):
        text = f"nobody has used the key {key['id']} ({clean(key['label'])}) for 90 days"
        yield place, text, f"Nobody's? Run: pushctl apikeys revoke {key['id']}"
    for key in api_log.list_keys(config, None, now):
        if key["state"] == "valid" and key["site"] not in config.sites:
            text = f"the key {key['id']} is for a site that is not in pushctl.toml"
            remedy = f"It is refused. Run: pushctl apikeys revoke {key['id']}"
            yield place, text, remedy
