"""How many people the control group and the sunset rule keep from marketing: for `check`."""

from collections.abc import Iterator

from pushctl.config import Config
from pushctl.jobs.subscribers.contact_policy import PAGE, find_sunset, load_people
from pushctl.model import Millis
from pushctl.rules.wording import counted, number
from pushctl.store import Store

_MANY = 300_000  # people: a smaller share shows an effect within months
_ADVISED = 0.1

Note = tuple[str, str, str]  # area, text, remedy


def find_notes(config: Config, store: Store, now: Millis) -> Iterator[Note]:
    """Yield the size of the control group, and who is written to less or not at all."""
    contact_policy = config.contact_policy
    if not (contact_policy.holdout or contact_policy.sunset):
        return
    active = store.recents.list_active()
    if (holdout := contact_policy.holdout) is not None:
        held = 0
        for start in range(0, len(active), PAGE):
            words = load_people(store, active[start : start + PAGE]).words
            held += sum(map(holdout.has, words.values()))
        whom = f"{counted(len(active), 'active subscriber')} ({holdout.share:g})"
        text = f"the control group {holdout.name!r} has {number(held)} of {whom}"
        remedy = "They get no marketing until the name changes."
        if len(active) < _MANY and holdout.share < _ADVISED:
            remedy = "Below 300,000 people 0.1 to 0.2 is advised: less shows nothing in months."
        yield "holdout", text, remedy
    if contact_policy.sunset is not None:
        found, unjudged = find_sunset(store, contact_policy, active, now)
        text = f"{counted(len(found), 'subscriber')} get nothing now: they show no message"
        remedy = f"{number(unjudged)} never report, so nobody can tell." if unjudged else ""
        yield "sunset", text, remedy
