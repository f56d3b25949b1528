"""Looks at everything at once: each address in a thread of its own, the database here."""

import queue
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from pushctl.config import Config
from pushctl.errors import PushctlError
from pushctl.jobs.project.check_notes import Finding, Level, explain
from pushctl.jobs.project.live import machine, pages, receivers, state
from pushctl.jobs.project.live.http import Asker
from pushctl.push import vapid
from pushctl.rules.limits import CHECK_SECONDS
from pushctl.store import Store

Probe = tuple[str, Callable[[], Iterator[Finding]]]  # its area, and what it finds

_AT_ONCE = 8
_TOLD = 4  # addresses in the command for elsewhere


def look(
    config: Config, tell: Callable[[int, int], None], seconds: float = CHECK_SECONDS
) -> list[Finding]:
    """
    Return what is right and wrong now; an address that does not answer stops no other.

    *tell* gets how many probes there are, and how many have ended. *seconds* bounds each
    request.
    """
    now = time.time_ns() // 1_000_000
    asker, key = Asker(config, seconds), _find_key(config)
    found = [*machine.look_at_sqlite(), *machine.look_at_disks(config)]
    proved = list[str]()
    try:
        with Store(config.database) as store:
            store.soundness.forbid_writing()
            proved = sorted(store.origins.list_proved())
            found += state.look(config, store, now)
    except PushctlError as error:
        found += explain("database", config.database.name, error)
    probes: list[Probe] = [
        ("clock", partial(machine.look_at_clock, config, proved, now, seconds)),
        ("receiver", partial(receivers.look, config, asker, key, now)),
        *(
            ("pages", partial(pages.look, config, asker, key, site, now))
            for site in config.sites.values()
        ),
    ]
    found += _run_all(probes, tell)
    return [*found, *_tell_outside(config, asker)]


def _find_key(config: Config) -> str | None:
    """Return the public key of new subscribers; None where the area of keys has a fault."""
    try:
        own = vapid.load_register(config.keys).own
        keys, publics = vapid.load(config.keys), vapid.load_publics(config.keys)
    except (PushctlError, OSError):
        return None
    if own is None:
        return None
    return keys[own].public if own in keys else publics.get(own)


def _run_all(probes: Sequence[Probe], tell: Callable[[int, int], None]) -> list[Finding]:
    """Run *probes* in threads; return what they find, in their order."""
    answers: queue.SimpleQueue[tuple[int, list[Finding] | BaseException]] = queue.SimpleQueue()
    room = threading.Semaphore(_AT_ONCE)

    def run(number: int, area: str, probe: Callable[[], Iterator[Finding]]) -> None:
        with room:
            try:
                answers.put((number, list(probe())))
            except PushctlError as error:
                answers.put((number, explain(area, area, error)))
            except BaseException as error:
                answers.put((number, error))

    for number, (area, probe) in enumerate(probes):
        # Daemons: Ctrl-C does not wait for a server that says nothing.
        threading.Thread(target=run, args=(number, area, probe), daemon=True).start()
    done: dict[int, list[Finding]] = {}
    while len(done) < len(probes):
        tell(len(probes), len(done))
        number, outcome = answers.get()
        if isinstance(outcome, BaseException):
            raise outcome
        done[number] = outcome
    tell(len(probes), len(done))
    return [each for number in range(len(probes)) for each in done[number]]


def _tell_outside(config: Config, asker: Asker) -> Iterator[Finding]:
    """Say how to look from elsewhere: a machine can't see itself from outside."""
    urls = [f"{asker.receiver}/healthz"] if asker.receiver else []
    urls += [f"{site.origin}/pushctl-sw.js" for site in config.sites.values()]
    form = r"'%{http_code} %{url} %{errormsg}\n'"
    shown = " ".join(f"-o /dev/null {shlex.quote(url)}" for url in urls[:_TOLD])
    command = f"curl -sS -m 10 -w {form} {shown}"
    text = "a machine can't see itself from outside; on another one, each line begins with 200:"
    yield Finding("outside", Level.FINE, "elsewhere", text, command)
