"""Removes the private halves of VAPID keys that were retired long ago."""

from collections.abc import Iterator

from pushctl import log
from pushctl.config import Config
from pushctl.errors import BusyError, PushctlError
from pushctl.model import Millis
from pushctl.push import vapid
from pushctl.push.key_register import Use
from pushctl.rules import units
from pushctl.rules.limits import RETIRED_KEY_DAYS
from pushctl.store import Store


def remove(config: Config, store: Store, now: Millis) -> Iterator[str]:
    """
    Remove each retired key after its 90 days, unless somebody came late and still has it.

    Yields what kept one from being removed: the next day tries again.
    """
    try:
        vapid.settle(config.keys)
        there = vapid.load(config.keys)
        for name, entry in vapid.load_register(config.keys).entries.items():
            late = entry.ended is None or now - entry.ended < RETIRED_KEY_DAYS * units.DAY
            if name not in there or entry.use is not Use.RETIRED or late:
                continue
            if not store.soundness.list_holders(name):
                vapid.remove_retired(config.keys, name)
                log.note("keys", "retired key removed", id=name)
    except BusyError:
        return  # somebody changes the keys now
    except PushctlError as error:
        yield str(error)
    except OSError as error:
        yield (
            f"{error.filename}: a retired key can't be moved or removed: {error.strerror}. "
            "Let the user of the sweep change keys/."
        )
