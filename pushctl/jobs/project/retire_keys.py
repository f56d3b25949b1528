"""How a VAPID key ends: retired when nobody has it, or given up when its file is lost."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pushctl.config import Config
from pushctl.errors import ConfigError, InputError
from pushctl.jobs.project import keys, scripts
from pushctl.model import Millis
from pushctl.push import key_register, vapid
from pushctl.push.key_register import Use
from pushctl.rules.wording import counted, moment
from pushctl.store import Store
from pushctl.store.soundness import Holders

_BATCH = 10_000  # subscribers in one transaction: others wait for a moment only


@dataclass(frozen=True)
class Loss:
    """What a lost key means, before anything is changed."""

    name: str
    holders: Sequence[Holders]  # whom nothing reaches, by site
    needs_own: bool  # new subscribers would get it: a new key is made for them

    @property
    def people(self) -> int:
        return sum(one.active + one.quarantined for one in self.holders)


def retire(config: Config, store: Store, name: str, now: Millis) -> None:
    """
    Put the key *name* aside for 90 days; then a sweep removes its private half.

    Raises ConfigError for the own key, for one that is not there, and while somebody has it.
    """
    require_retirable(config, store, name)
    vapid.retire(config.keys, name, now)


def require_retirable(config: Config, store: Store, name: str) -> None:
    """Raise ConfigError for a key that ``retire`` refuses."""
    entry = keys.require_known(config, name)
    if entry.use is Use.OWN:
        raise ConfigError(
            f"{name} is the key of new subscribers. Give them another one first: "
            "`pushctl keys new`, or `pushctl keys use ID`."
        )
    if name not in vapid.load(config.keys):
        raise ConfigError(
            f"the private half of {name} is not there, so it can't be kept. If it is lost for "
            f"good: `pushctl keys lost {name}`."
        )
    if holders := store.soundness.list_holders(name):
        raise ConfigError(
            f"{describe_holders(name, holders)}. They move to the own key at their next visit. "
            "Wait; `pushctl keys show` counts them."
        )


def describe_holders(name: str, holders: Sequence[Holders]) -> str:
    """Return how many still have the key *name*, and when the last one was seen."""
    active = sum(one.active for one in holders)
    aside = sum(one.quarantined for one in holders)
    parts = [counted(active, "active subscriber")] if active or not aside else []
    parts += [f"{aside:,} in quarantine"] if aside else []
    have = "has" if active + aside == 1 else "have"
    last = moment(max(one.last_seen_at for one in holders))
    return f"{' and '.join(parts)} {have} the key {name}, last seen {last}"


def foresee_loss(config: Config, store: Store, name: str) -> Loss:
    """Return what giving up the key *name* means; raises where it is not lost."""
    if name in vapid.load(config.keys):
        raise InputError(f"the key {name} is not lost: its file is in {config.keys}.")
    known = vapid.load_register(config.keys)
    holders = store.soundness.list_holders(name)
    if not key_register.ID.fullmatch(name) or (name not in known.entries and not holders):
        names = ", ".join(known.entries) or "none"
        raise InputError(f"nobody has a key that is called {name[:20]!r}; known: {names}.")
    return Loss(name, holders, known.own in (None, name))


def give_up(
    config: Config,
    store: Store,
    loss: Loss,
    now: Millis,
    tell: Callable[[int], None],
) -> tuple[str | None, list[Path]]:
    """
    Give the lost key up; return the id of the new own key, if one was made, and files of sw/.

    New subscribers first get a key that works. Then the register says that this one is
    lost, then its subscribers are marked, batch by batch: the same command goes on after a
    kill. *tell* gets how many were marked.
    """
    made = vapid.write(config.keys).id if loss.needs_own else None
    vapid.give_up(config.keys, loss.name, now)
    written = scripts.fill_scripts(config) if made else []
    while count := store.health.give_up_key(loss.name, now, _BATCH):
        tell(count)
    return made, written


def take_up(store: Store, name: str, now: Millis) -> int:
    """Activate those who were given up with the key *name*, which is back; return how many."""
    total = 0
    while count := store.health.take_up_key(name, now, _BATCH):
        total += count
    return total


def find_notes(config: Config, store: Store) -> Iterator[tuple[str, str, str]]:
    """Yield (place, what to know, remedy) about keys that have ended."""
    there = vapid.load(config.keys)
    for name, entry in vapid.load_register(config.keys).entries.items():
        if entry.use is Use.LOST and name in there:
            text = f"the key {name} is back, though it was given up"
            remedy = f"Run: pushctl keys add {there[name].file}"
            yield str(there[name].file), text, remedy
        elif entry.use is Use.LOST and store.soundness.list_holders(name):
            text = f"the key {name} is given up, and some of its subscribers are not marked yet"
            yield str(config.keys), text, f"Go on with: pushctl keys lost {name}"
        elif entry.use is Use.RETIRED and (holders := store.soundness.list_holders(name)):
            text = f"{describe_holders(name, holders)}: they came after it was retired"
            remedy = (
                "They are reached, and the key stays as long as they have it. If more come, a "
                "page or a copy of sw/ is old: pushctl check --live"
            )
            yield str(config.keys), text, remedy
