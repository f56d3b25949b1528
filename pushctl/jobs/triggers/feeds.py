"""New items of an RSS or Atom feed that pushctl.toml names: the owner's own address."""

from collections.abc import Collection, Sequence

from pushctl import web
from pushctl.jobs.triggers.feed_items import Item
from pushctl.model import Millis
from pushctl.rules.limits import MAX_FEED_BYTES
from pushctl.rules.units import DAY, WEEK

_POLICY = web.Policy(
    method="GET",
    hosts=None,  # feeds redirect to other hosts when they move
    redirects=5,
    addresses=web.Addresses.ANY,  # a shop's feed may stand in its own network
    most_bytes=MAX_FEED_BYTES,
    seconds=10.0,
)
NEWS_LAST: Millis = WEEK


def fetch(url: str) -> bytes:
    """Return the body of *url*, at most 2 MB within 10 seconds in all; raises WebError."""
    return web.request(url, _POLICY)


def choose_new(
    items: Sequence[Item], known: Collection[str], *, since: Millis | None, now: Millis
) -> Sequence[Item]:
    """
    Return those of a feed's *items* that are not *known*, newest first.

    *since* is the time of the last look; at the first (None) all items are old. After a day
    or more without a look, items dated more than a week ago are old, too.
    """
    if since is None:
        return ()
    oldest = now - NEWS_LAST if now - since > DAY else 0
    fresh = (item for item in items if item.dated is None or item.dated >= oldest)
    return [item for item in fresh if item.key not in known]
