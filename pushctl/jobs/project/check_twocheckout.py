"""What is missing where a site sells over 2Checkout, and what is lost by it."""

from collections.abc import Iterator

from pushctl import source_secrets
from pushctl.config import Config
from pushctl.jobs.subscribers import restore_links
from pushctl.rules.shops import buy_links
from pushctl.rules.wording import counted
from pushctl.store import Store

Note = tuple[str, str, str]  # place, text, remedy


# So many orders tell which fields of the notifications are not ticked.
_LOOKED_AT = 20
_FIELDS = {
    "totals": ("amount", "IPN_TOTALGENERAL and CURRENCY"),
    "lines": ("product", "IPN_PID[], IPN_PNAME[] and IPN_DATE: the receipt needs them, too"),
    "buyers": (
        "clue to its buyer",
        "REFNOEXT, EXTERNAL_CUSTOMER_REFERENCE and CUSTOMEREMAIL",
    ),
}


def find_missing_fields(config: Config, store: Store) -> Iterator[Note]:
    """Yield the fields that no order of a source has had: they seem not to be sent."""
    for name, source in config.sources.items():
        if source.kind != buy_links.KIND:
            continue
        counts = store.orders.count_unknown(name, _LOOKED_AT)
        for part, (what, fields) in _FIELDS.items():
            if 0 < counts["orders"] == counts[part]:
                text = f"{counted(counts['orders'], 'order')} came without any {what}"
                remedy = f"Tick in 2Checkout's IPN settings: {fields}."
                yield f"{config.file.name}: sources.{name}", text, remedy


def find_notes(config: Config) -> Iterator[Note]:
    entries = source_secrets.load(config.keys)
    for name, source in config.sources.items():
        if source.kind == buy_links.KIND and source.options.md5:
            text = "believes notifications that are signed with MD5 alone"
            remedy = "Choose SHA2 or SHA3 in 2Checkout's IPN settings, and remove md5."
            yield f"{config.file.name}: sources.{name}.md5", text, remedy
    for name, site in config.sites.items():
        if site.twocheckout is None:
            continue
        place = f"{config.file.name}: sites.{name}.twocheckout"
        source_name = restore_links.find_source(config, name)
        if not source_name:
            text = "has no source of its orders, and no place for the Buy Link Secret Word"
            remedy = f'Write [sources.NAME] with kind = "{buy_links.KIND}" (docs/2checkout.md).'
            yield place, text, remedy
        elif source_name not in entries or not entries[source_name].words.get(buy_links.WORD):
            text = _say_what_is_lost(site.twocheckout.unsigned)
            remedy = f"Run: pushctl sources secret {source_name} --word {buy_links.WORD}"
            yield place, text, remedy


def _say_what_is_lost(unsigned: bool) -> str:
    if not unsigned:
        return "makes no links to baskets without the Buy Link Secret Word"
    return (
        "makes links to baskets without a signature: their orders come back without the "
        "basket's key and the alias, so fewer are recognised, and return_url has no effect"
    )
