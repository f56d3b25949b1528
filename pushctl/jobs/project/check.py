"""
Find all problems of a project at once, each with its place and remedy.

Every area is checked although another one is broken. Nothing is changed.
"""

import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pushctl import config as configs
from pushctl import inbox
from pushctl.config import Config
from pushctl.errors import ConfigError, Problem, PushctlError
from pushctl.jobs.delivery import restore_guard
from pushctl.jobs.project import check_events, check_rights, check_shares, scripts, sweep_state
from pushctl.jobs.triggers import lint
from pushctl.jobs.triggers.lint import Level
from pushctl.rules.config.structure import line_of
from pushctl.rules.limits import MAX_INBOX_LINE_BYTES, MIN_FREE_TO_CHECK_BYTES
from pushctl.rules.wording import counted

__all__ = ["Finding", "Level", "run"]


@dataclass(frozen=True, slots=True)
class Finding:
    area: str
    level: Level
    place: str
    text: str
    remedy: str = ""  # empty: it is fine


def run(file: Path, environment: Mapping[str, str]) -> list[Finding]:
    found = [_problem("variables", each) for each in configs.unknown_variables(environment)]
    try:
        config, problems = configs.read(file, environment)
    except ConfigError as error:
        return [*found, *_failure("settings", file.name, error)]
    found += [_problem("settings", each) for each in problems]
    if config is None:
        note = "the rest is checked when the settings can be read"
        return [*found, Finding("settings", Level.NOTE, file.name, note)]
    if not problems:
        found.append(_fine("settings", file, counted(len(config.sites), "site")))
    for area, look in _AREAS.items():
        for each in _look(area, look, config):
            if not _is_told(each, found):
                found.append(each)
    return found


def _look(
    area: str, look: Callable[[Config], Iterator[Finding]], config: Config
) -> Iterator[Finding]:
    """Yield what *look* finds, and as a finding what ended it."""
    try:
        yield from look(config)
    except PushctlError as error:
        yield from _failure(area, area, error)
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


def _fine(area: str, place: Path | str, text: str) -> Finding:
    return Finding(area, Level.FINE, getattr(place, "name", str(place)), text)


def _problem(area: str, problem: Problem) -> Finding:
    return Finding(area, Level.PROBLEM, problem.place, problem.fault, problem.remedy)


def _failure(area: str, place: str, error: PushctlError) -> list[Finding]:
    if isinstance(error, ConfigError) and error.problems:
        return [_problem(area, each) for each in error.problems]
    # Our messages are one or two sentences: the fault, the remedy.
    text, _, remedy = str(error).partition(". ")
    return [Finding(area, Level.PROBLEM, place, text, remedy)]


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
        yield _fine("contact", config.file, config.contact)


def _receiver(config: Config) -> Iterator[Finding]:
    url = config.receiver.url
    if url or all(site.origin.startswith("http:") for site in config.sites.values()):
        yield _fine("receiver", config.file, url or f"http://{config.receiver.listen}")
        return
    place = f"{config.file.name}: receiver.url"
    text = "is empty: browsers send requests to the address of pushctl.js"
    remedy = "Write the https address of `pushctl receive`."
    yield Finding("receiver", Level.NOTE, place, text, remedy)


def _keys(config: Config) -> Iterator[Finding]:
    from pushctl.jobs.project import keys
    from pushctl.push import vapid

    yield from _private("keys", config.keys)
    for file in sorted(config.keys.glob("*")):
        if file.suffix not in (".pub", ".toml"):  # no secrets
            yield from _private("keys", file)
    config.secret()
    found = vapid.load(config.keys)
    own = vapid.load_register(config.keys).own
    with suppress(PushctlError):  # the database has an area of its own
        for text, remedy in keys.find_problems(config, keys.count_lost(config)):
            yield Finding("keys", Level.PROBLEM, str(config.keys), text, remedy)
    if own not in found:
        return
    yield _fine("keys", config.keys, f"{own} for new subscribers, {len(found)} in all")
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
    found = [_problem("rights", each) for each in check_rights.find_problems(config)]
    yield from found or [_fine("rights", config.folder, "only you can change what is sent")]
    for note in check_rights.find_readable(config):
        yield Finding("rights", Level.NOTE, note.place, note.fault, note.remedy)


def _templates(config: Config) -> Iterator[Finding]:
    from pushctl import templates

    languages = [site.language for site in config.sites.values()]
    problems = templates.check(config.templates, languages)
    yield from (_problem("templates", each) for each in problems)
    count = len(templates.list_names(config.templates))
    if not problems:
        yield _fine("templates", config.templates, counted(count, "template"))


def _segments(config: Config) -> Iterator[Finding]:
    from pushctl.rules.audience import parse

    good, file = 0, config.file.read_text("utf-8-sig")
    for name, text in config.segments.items():
        try:
            parse.expand(parse.parse(text), config.segments)
            good += 1
        except PushctlError as error:
            line = line_of(("segments", name), file)
            place = f"{config.file.name}:{line}: segments.{name}"
            yield Finding("segments", Level.PROBLEM, place, str(error), "See docs/audience.md.")
    if good == len(config.segments):
        yield _fine("segments", config.file, counted(good, "segment"))


def _triggers(config: Config) -> Iterator[Finding]:
    found = list(lint.check_triggers(config))
    for level, problem in found:
        yield Finding("triggers", level, problem.place, problem.fault, problem.remedy)
    if not any(level is Level.PROBLEM for level, _ in found):
        yield _fine("triggers", config.file, counted(len(config.triggers), "trigger"))


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
            yield _problem("audiences", problem)
        subscribers = sum(store.soundness.count_keys().values())
        text = f"undamaged, with {counted(subscribers, 'active subscriber')}"
        yield _fine("database", config.database, text)
    version = soundness.SQLITE_VERSION
    if version < soundness.WAL_RESET_FIXED:
        number = ".".join(map(str, version))
        text = f"SQLite {number} can lose a commit when two programs write at once"
        remedy = "pushctl locks the database. Let no other program write to it."
        yield Finding("database", Level.NOTE, config.database.name, text, remedy)


def _sweeps(config: Config) -> Iterator[Finding]:
    from pushctl.store import Store

    now = time.time_ns() // 1_000_000
    with Store(config.database) as store:
        state = sweep_state.load(config, store, now)
    text, remedy = sweep_state.describe(state, now), sweep_state.find_remedy(state, now)
    level = Level.PROBLEM if remedy and state.overdue else Level.NOTE
    yield Finding("sweeps", level if remedy else Level.FINE, "pushctl sweep", text, remedy)


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
    yield _fine("inbox", config.inbox, counted(files, "file") if files else "empty")


def _shares(config: Config) -> Iterator[Finding]:
    from pushctl.store import Store

    now = time.time_ns() // 1_000_000
    with Store(config.database) as store:
        for area, place, text, remedy in check_shares.find_notes(config, store, now):
            yield Finding(area, Level.NOTE, place, text, remedy)


def _events(config: Config) -> Iterator[Finding]:
    from pushctl.store import Store

    now = time.time_ns() // 1_000_000
    with Store(config.database) as store:
        for place, text, remedy in check_events.find_notes(config, store, now):
            yield Finding("events", Level.NOTE, place, text, remedy)


def _disk(config: Config) -> Iterator[Finding]:
    free = shutil.disk_usage(config.folder).free
    if free < MIN_FREE_TO_CHECK_BYTES:
        text = f"only {free // 1_000_000} MB are free"
        remedy = "Make room: a full disk stops the receiver and every campaign."
        yield Finding("disk", Level.PROBLEM, str(config.folder), text, remedy)
    else:
        yield _fine("disk", config.folder, f"{free / 1e9:.0f} GB free")


def _encoder(config: Config) -> Iterator[Finding]:
    from pushctl.push import encoder

    name, why, _ = encoder.choose(config.push.encoder)
    yield _fine("encoder", name, why)


_AREAS: Mapping[str, Callable[[Config], Iterator[Finding]]] = {
    "contact": _contact,
    "receiver": _receiver,
    "keys": _keys,
    "rights": _rights,
    "templates": _templates,
    "segments": _segments,
    "triggers": _triggers,
    "database": _database,
    "sweeps": _sweeps,
    "inbox": _inbox,
    "shares": _shares,
    "events": _events,
    "disk": _disk,
    "encoder": _encoder,
}
