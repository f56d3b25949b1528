"""
Find all problems of a project at once, each with its place and remedy.

Every area is checked although another one is broken. Nothing is changed.
"""

import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pushctl import apikeys, inbox
from pushctl import config as configs
from pushctl.config import Config
from pushctl.errors import ConfigError, PushctlError
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.jobs.project import (
    check_api,
    check_approval,
    check_campaigns,
    check_contact_policy,
    check_events,
    check_holidays,
    check_metrics,
    check_promo,
    check_rights,
    check_segments,
    check_shares,
    check_sites,
    check_twocheckout,
    scripts,
    sweep_state,
)
from pushctl.jobs.project.check_notes import Finding, Level, explain, fine, take_problem
from pushctl.jobs.triggers import lint
from pushctl.rules.limits import MAX_INBOX_LINE_BYTES, MIN_FREE_TO_CHECK_BYTES
from pushctl.rules.wording import counted

if TYPE_CHECKING:
    from pushctl.store import Store

__all__ = ["Finding", "Level", "run"]


def run(
    file: Path,
    environment: Mapping[str, str],
    tell_live: Callable[[int, int], None] | None = None,
) -> list[Finding]:
    """
    Return what is right and wrong, area by area.

    With *tell_live* also what only a look from here can find; it gets how many probes there
    are, and how many have ended.
    """
    found = [take_problem("variables", each) for each in configs.unknown_variables(environment)]
    try:
        config, problems = configs.read(file, environment)
    except ConfigError as error:
        return [*found, *explain("settings", file.name, error)]
    found += [take_problem("settings", each) for each in problems]
    if config is None:
        note = "the rest is checked when the settings can be read"
        return [*found, Finding("settings", Level.NOTE, file.name, note)]
    if not problems:
        found.append(fine("settings", file, counted(len(config.sites), "site")))
    for area, look in _AREAS.items():
        for each in _look(area, look, config):
            if not _is_told(each, found):
                found.append(each)
    if tell_live is not None:
        from pushctl.jobs.project.live import run as live

        found += [one for one in live.look(config, tell_live) if not _is_told(one, found)]
    return found


def _look(
    area: str, look: Callable[[Config], Iterator[Finding]], config: Config
) -> Iterator[Finding]:
    """Yield what *look* finds, and as a finding what ended it."""
    try:
        yield from look(config)
    except PushctlError as error:
        yield from explain(area, area, error)
    except OSError as error:
        place = str(error.filename or config.folder)
        text = f"can't be read: {error.strerror}"
        remedy = "Check its owner and its permissions."
        yield Finding(area, Level.PROBLEM, place, text, remedy)


def _is_told(new: Finding, found: Sequence[Finding]) -> bool:
    """Whether the fault was found before: several areas read the same file."""
    problems = (old for old in found if old.level is new.level is Level.PROBLEM)
    return any(
        (new.text == old.text and new.place == new.area)
        or (new.remedy == old.remedy and new.remedy.startswith("Run: chmod"))
        for old in problems
    )


def _contact(config: Config) -> Iterator[Finding]:
    from pushctl.push import vapid

    place = f"{config.file.name}: contact"
    faults = vapid.check_contact(config.contact)
    for each in faults:
        remedy = 'Write contact = "mailto:you@shop.example", read by somebody.'
        yield Finding("contact", Level.PROBLEM, place, each, remedy)
    if config.contact.endswith(".example"):
        text = "is the example address"
        remedy = "Write an address of yours: push services complain there."
        yield Finding("contact", Level.NOTE, place, text, remedy)
    elif not faults:
        yield fine("contact", config.file, config.contact)


def _receiver(config: Config) -> Iterator[Finding]:
    url = config.receiver.url
    if url or all(site.origin.startswith("http:") for site in config.sites.values()):
        yield fine("receiver", config.file, url or f"http://{config.receiver.listen}")
        return
    place = f"{config.file.name}: receiver.url"
    text = "is empty: browsers send requests to the address of pushctl.js"
    remedy = "Write the https address of `pushctl receive`."
    yield Finding("receiver", Level.NOTE, place, text, remedy)


def _keys(config: Config) -> Iterator[Finding]:
    from pushctl.jobs.project import keys, retire_keys
    from pushctl.push import key_register, retired_keys, vapid

    yield from _private("keys", config.keys)
    waiting = retired_keys.list_halves(config.keys)
    for file in [*sorted(config.keys.glob("*")), *waiting]:
        if file.suffix != ".pub" and file.name != key_register.NAME:  # no secrets
            yield from _private("keys", file)
    config.secret()
    found = vapid.load(config.keys)
    own = vapid.load_register(config.keys).own
    with suppress(PushctlError):  # the database has an area of its own
        for text, remedy in keys.find_problems(config, keys.count_lost(config)):
            yield Finding("keys", Level.PROBLEM, str(config.keys), text, remedy)
        for place, text, remedy in keys.find_lost_email_secret(config):
            yield Finding("keys", Level.PROBLEM, place, text, remedy)
        with _open_store(config) as store:
            for place, text, remedy in retire_keys.find_notes(config, store):
                yield Finding("keys", Level.NOTE, place, text, remedy)
    if own not in found:
        return
    yield fine("keys", config.keys, f"{own} for new subscribers, {len(found)} in all")
    for script in scripts.stale_scripts(config):
        # Most sites take them from the receiver, which fills them in by itself.
        text = "has another key, receiver URL or brand than pushctl.toml"
        remedy = "If your web site serves this copy: run `pushctl keys fill`, and upload sw/."
        yield Finding("scripts", Level.NOTE, str(script), text, remedy)


def _private(area: str, path: Path) -> Iterator[Finding]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        right = "700" if path.is_dir() else "600"
        text = f"can be read by others on this machine (mode {mode:o})"
        yield Finding(area, Level.PROBLEM, str(path), text, f"Run: chmod {right} {path}")


def _rights(config: Config) -> Iterator[Finding]:
    found = [take_problem("rights", each) for each in check_rights.find_problems(config)]
    yield from found or [fine("rights", config.folder, "only you can change what is sent")]
    for note in check_rights.find_readable(config):
        yield Finding("rights", Level.NOTE, note.place, note.fault, note.remedy)


def _sources(config: Config) -> Iterator[Finding]:
    from pushctl.jobs.project import sources

    found = [take_problem("sources", each) for each in sources.find_problems(config)]
    if found or config.sources:
        counts = counted(len(config.sources), "source")
        yield from found or [fine("sources", config.file, counts)]
    for place, text, remedy in check_twocheckout.find_notes(config):
        yield Finding("sources", Level.NOTE, place, text, remedy)


def _templates(config: Config) -> Iterator[Finding]:
    from pushctl.jobs.project import check_templates

    looked = check_templates.look(config)
    yield from (take_problem("templates", each) for each in looked.problems)
    for note in looked.notes:
        yield Finding("templates", Level.NOTE, note.place, note.fault, note.remedy)
    if not looked.problems:
        yield fine("templates", config.templates, looked.fine)


def _segments(config: Config) -> Iterator[Finding]:
    found = [take_problem("segments", each) for each in check_segments.find(config)]
    yield from found or [
        fine("segments", config.file, counted(len(config.segments), "segment"))
    ]


def _campaigns(config: Config) -> Iterator[Finding]:
    found = check_campaigns.find(config, time.time_ns() // 1_000_000)
    if problems := [take_problem("campaigns", each) for each in found]:
        yield from problems
    elif count := check_campaigns.count(config):
        yield fine("campaigns", "campaigns", counted(count, "file"))


def _triggers(config: Config) -> Iterator[Finding]:
    found = list(lint.check_triggers(config))
    for level, problem in found:
        yield Finding("triggers", level, problem.place, problem.fault, problem.remedy)
    if not any(level is Level.PROBLEM for level, _ in found):
        yield fine("triggers", config.file, counted(len(config.triggers), "trigger"))


def _database(config: Config) -> Iterator[Finding]:
    from pushctl.store import Store, soundness

    yield from _private("database", config.database)
    with Store(config.database) as store:
        if damage := store.soundness.find_damage():
            more = f", and {len(damage) - 1} more" if damage[1:] else ""
            text = f"is damaged: {damage[0]}{more}"
            remedy = "Restore it from a backup; see docs/configuration.md."
            yield Finding("database", Level.PROBLEM, str(config.database), text, remedy)
            return
        if why := restore_guard.find_trouble(store, config):
            remedy = "Nothing is sent until `pushctl release`; see docs/sending.md."
            yield Finding("database", Level.PROBLEM, str(config.database), why, remedy)
        for problem in lint.find_unknown_campaigns(config, store):
            yield take_problem("audiences", problem)
        yield from check_sites.find(config, store)
        subscribers = sum(store.soundness.count_keys().values())
        text = f"undamaged, with {counted(subscribers, 'active subscriber')}"
        yield fine("database", config.database, text)
        for level, problem in check_holidays.find(config, store):
            yield Finding("holidays", level, problem.place, problem.fault, problem.remedy)
    number = ".".join(map(str, soundness.SQLITE_VERSION))
    if soundness.has_wal_reset_fault(soundness.SQLITE_VERSION):
        text = f"SQLite {number} can lose a commit when two programs write at once"
        remedy = "pushctl locks the database. Let no other program write to it."
        yield Finding("database", Level.NOTE, config.database.name, text, remedy)
    for fault in soundness.find_faults(soundness.SQLITE_VERSION):
        remedy = "Install a Python whose SQLite is 3.51.3 or newer."
        text = f"SQLite {number} {fault}"
        yield Finding("database", Level.PROBLEM, config.database.name, text, remedy)


def _open_store(config: Config) -> "Store":
    from pushctl.store import Store

    return Store(config.database)


def _sweeps(config: Config) -> Iterator[Finding]:
    now = time.time_ns() // 1_000_000
    with _open_store(config) as store:
        state = sweep_state.load(config, store, now)
    text, remedy = sweep_state.describe(state, now), sweep_state.find_remedy(state, now)
    is_problem = state.overdue or state.failed is not None
    level = Level.PROBLEM if remedy and is_problem else Level.NOTE
    yield Finding("sweeps", level if remedy else Level.FINE, "pushctl sweep", text, remedy)
    for place, text, remedy in check_metrics.find_notes(config, state.last):
        yield Finding("metrics", Level.NOTE, place, text, remedy)


def _inbox(config: Config) -> Iterator[Finding]:
    yield from _private("inbox", config.inbox)
    aside = list((config.inbox / "quarantine").glob("*"))
    if aside:
        text = f"{counted(len(aside), 'file')} with lines that could not be read"
        if inbox.count_free_bytes(config.inbox) < MAX_INBOX_LINE_BYTES:
            text += "; there is no room for more of them"
        place, remedy = str(config.inbox / "quarantine"), "Look at them, then remove them."
        yield Finding("inbox", Level.NOTE, place, text, remedy)
    files = len(list(config.inbox.glob("*.seg")))
    yield fine("inbox", config.inbox, counted(files, "file") if files else "empty")


def _shares(config: Config) -> Iterator[Finding]:
    now = time.time_ns() // 1_000_000
    with _open_store(config) as store:
        for area, place, text, remedy in check_shares.find_notes(config, store, now):
            yield Finding(area, Level.NOTE, place, text, remedy)
        for area, text, remedy in check_contact_policy.find_notes(config, store, now):
            yield Finding(area, Level.NOTE, config.file.name, text, remedy)
        for level, place, text, remedy in check_approval.find_notes(config, store):
            yield Finding("approval", level, place, text, remedy)


def _events(config: Config) -> Iterator[Finding]:
    now = time.time_ns() // 1_000_000
    with _open_store(config) as store:
        for place, text, remedy in check_events.find_notes(config, store, now):
            yield Finding("events", Level.NOTE, place, text, remedy)
        for place, text, remedy in check_twocheckout.find_missing_fields(config, store):
            yield Finding("sources", Level.NOTE, place, text, remedy)


def _api(config: Config) -> Iterator[Finding]:
    if not (keys := apikeys.load(config.keys)):
        return
    now = time.time_ns() // 1_000_000
    with _open_store(config) as store:
        for place, text, remedy in check_api.find_notes(config, store, now):
            yield Finding("API", Level.NOTE, place, text, remedy)
    valid = sum(key.find_end(now) is None for key in keys.values())
    yield fine("API", config.keys / apikeys.NAME, counted(valid, "valid key"))


def _webhooks(config: Config) -> Iterator[Finding]:
    from pushctl.jobs.webhooks import overview, secrets

    if secrets.load(config):
        yield from _private("webhooks", secrets.find_file(config))
    yield from (take_problem("webhooks", each) for each in overview.find_body_faults(config))
    yield from (take_problem("webhooks", each) for each in overview.find_program_faults(config))
    now = time.time_ns() // 1_000_000
    with _open_store(config) as store:
        for each in overview.find_troubles(store, now):
            yield Finding("webhooks", Level.NOTE, each.place, each.fault, each.remedy)
    if config.webhooks:
        yield fine("webhooks", config.file, counted(len(config.webhooks), "webhook"))


def _disk(config: Config) -> Iterator[Finding]:
    free = shutil.disk_usage(config.folder).free
    if free < MIN_FREE_TO_CHECK_BYTES:
        text = f"only {free // 1_000_000} MB are free"
        remedy = "Make room: a full disk stops the receiver and every campaign."
        yield Finding("disk", Level.PROBLEM, str(config.folder), text, remedy)
    else:
        yield fine("disk", config.folder, f"{free / 1e9:.0f} GB free")


def _encoder(config: Config) -> Iterator[Finding]:
    from pushctl.push import encoder

    name, why, _ = encoder.choose(config.push.encoder)
    yield fine("encoder", name, why)


def _push(config: Config) -> Iterator[Finding]:
    # A trial's table that stayed: sweeps would reach nobody, and say nothing.
    if hosts := config.push.loopback.hosts:
        text = (
            f"[push.loopback]: what is for {counted(len(hosts), 'host')} goes to this machine"
        )
        remedy = "Remove the table to send for real."
        yield Finding("push", Level.NOTE, config.file.name, text, remedy)


def _promo(config: Config) -> Iterator[Finding]:
    now = time.time_ns() // 1_000_000
    with _open_store(config) as store:
        for place, text, remedy in check_promo.find_unknown_pools(config, store):
            yield Finding("promo codes", Level.PROBLEM, place, text, remedy)
        for place, text, remedy in check_promo.find_notes(config, store, now):
            yield Finding("promo codes", Level.NOTE, place, text, remedy)


_AREAS: Mapping[str, Callable[[Config], Iterator[Finding]]] = {
    "contact": _contact,
    "receiver": _receiver,
    "keys": _keys,
    "rights": _rights,
    "sources": _sources,
    "templates": _templates,
    "segments": _segments,
    "triggers": _triggers,
    "database": _database,
    "campaigns": _campaigns,
    "sweeps": _sweeps,
    "inbox": _inbox,
    "shares": _shares,
    "events": _events,
    "promo codes": _promo,
    "API": _api,
    "webhooks": _webhooks,
    "disk": _disk,
    "encoder": _encoder,
    "push": _push,
}
