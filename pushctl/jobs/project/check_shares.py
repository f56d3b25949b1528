"""What strangers' shares have cost today, and who is hardly one person: for `check`."""

from collections.abc import Iterator

from pushctl.config import Config
from pushctl.inbox import usage_files
from pushctl.jobs.ingest import aliases, publishing, shares
from pushctl.model import Millis
from pushctl.rules.limits import MANY_BROWSERS
from pushctl.rules.units import DAY
from pushctl.rules.web import reserved_attributes
from pushctl.rules.wording import counted, number
from pushctl.store import Store

Note = tuple[str, str, str, str]  # area, place, text, remedy


def find_notes(config: Config, store: Store, now: Millis) -> Iterator[Note]:
    """Yield what was refused or left out since midnight UTC, and aliases of very many."""
    yield from _find_refused(config, now)
    yield from _find_left_out(config, store, now)
    if publishing.get_missed(store) is not None:
        text = "it could not be written: the receiver lacks results of its API, who is proved"
        remedy = "Make it a folder of pushctl's own user. The next import publishes it anew."
        yield "status", str(config.status), text, remedy
    for site, alias, browsers in store.subscriptions.list_shared_aliases(MANY_BROWSERS):
        text = f"{number(browsers)} browsers of {site} share the signed alias {alias!r}"
        remedy = "They count as one person. Sign an id that belongs to one person only."
        yield "aliases", str(config.database), text, remedy


def _find_refused(config: Config, now: Millis) -> Iterator[Note]:
    bounds = config.unproved
    for usage in usage_files.load_all(config.inbox):
        if usage.day != now // DAY or not usage.refused:
            continue
        full = []
        if usage.used_up:
            addresses = counted(usage.used_up, "address", "addresses")
            full.append(f"{addresses} sent {bounds.inbox_mb_per_address:g} MB")
        if usage.all_used_up:
            full.append(f"all together sent {bounds.inbox_mb:g} MB")
        requests = counted(usage.refused, "request")
        text = f"today {requests} of unproved subscribers got 429: {' and '.join(full)}"
        remedy = "If these are your visitors, raise unproved.inbox_mb_per_address or inbox_mb."
        if usage.forwarded:
            remedy = (
                "Some came through a proxy: if it is yours, add it to receiver.trusted_proxies."
            )
        yield "shares", str(config.inbox), text, remedy


def _find_left_out(config: Config, store: Store, now: Millis) -> Iterator[Note]:
    for why, lines in shares.load_left_out(store, now).items():
        if why.startswith(aliases.WRONG):
            text = f"today {counted(lines, 'request')} had an {why}"
            remedy = "Look at your shop's code: pushctl alias verify ALIAS SIGNATURE"
            yield "aliases", str(config.database), text, remedy
            continue
        text = f"today {counted(lines, 'request')} brought {why}, and came without them"
        remedy = "If they come from your own pages, choose other names."
        if why != reserved_attributes.LEFT_OUT:
            names = number(store.tags.count_unproved_names())
            text += f"; unproved subscribers have brought {names} names of tags"
            remedy = "If your own pages set these tags, raise [unproved]; see docs/receiver.md."
        yield "shares", str(config.database), text, remedy
