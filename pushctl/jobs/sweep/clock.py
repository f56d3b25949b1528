"""Refuses to sweep by a clock that is wrong: messages would go out too early, or expire."""

import statistics
from collections.abc import Iterable
from pathlib import Path

from pushctl.config import Config
from pushctl.errors import ConfigError
from pushctl.jobs.delivery.postbox import open_postbox
from pushctl.model import Millis
from pushctl.rules import timing, units
from pushctl.store import Store, clocks
from pushctl.store.clocks import Boot, Verdict

MOST_ASKED = 5
# Of a push service's clock and ours; more is a wrong zone at least.
TOLERANCE: Millis = 10 * units.MINUTE

_ACCEPT = "If the time is right, say so once: pushctl sweep --accept-clock"


def check(store: Store, config: Config, path: Path, now: Millis, boot: Boot) -> None:
    """
    Raise ConfigError where *now* can't be the time; *path* is the sweep's lock.

    A machine that slept is known by its own clock. Where the clock was set, or the machine
    was started anew after more than a day, or with a clock that went back, the push services
    are asked: a few plain requests, no message. So a clock that was wrong and is put right
    needs nobody. While none answers, nothing is sent.
    """
    verdict = clocks.judge(path, now, boot)
    if verdict in (None, Verdict.PLAUSIBLE):
        return
    before = clocks.read_last_sweep(path) or 0
    leap = _describe(now - before, "the last sweep")
    dates = _ask_services(store, config)
    if not dates:
        anew = "" if verdict is Verdict.LEAPT else "the machine was started anew, and "
        raise ConfigError(
            f"{anew}the clock is {leap}. No push service could be asked for the time, so "
            f"nothing was sent; the next sweep asks again. {_ACCEPT}"
        )
    # One of them may be wrong itself.
    off = now - int(statistics.median_low(dates))
    if abs(off) > TOLERANCE:
        raise ConfigError(
            f"the clock is {_describe(off, 'that of the push services')}. Nothing was sent. "
            f"{_ACCEPT}"
        )


def _describe(leap: Millis, what: str) -> str:
    way = "behind" if leap < 0 else "ahead of"
    return f"{timing.say(abs(leap) // units.MINUTE * units.MINUTE)} {way} {what}"


def _ask_services(store: Store, config: Config) -> list[Millis]:
    from pushctl.push import dates

    asked = list_origins(config, sorted(store.origins.list_proved()))
    return dates.ask(asked, open_postbox(config, "clock"))


def list_origins(config: Config, proved: Iterable[str]) -> list[str]:
    """Return the push services that are asked for the time; *proved* have taken a message."""
    names = [name for name in config.push.allowed_hosts if not name.startswith(".")]
    origins = [*proved, *(f"https://{name}" for name in names)]
    return list(dict.fromkeys(origins))[:MOST_ASKED]
