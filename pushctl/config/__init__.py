"""
Read pushctl.toml and PUSHCTL_* into one frozen, checked Config.

Paths in the file are relative to it. All problems are reported at once, each with its
place and remedy (ConfigError.problems). The settings stand in sections.py;
rules/config/structure.py reads them.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from pushctl.config.figures import FiguresConfig, Goal
from pushctl.config.sections import (
    DEFAULT_PUSH_HOSTS,
    SECRET_BYTES,
    ApiConfig,
    ApprovalConfig,
    BaselineConfig,
    Brand,
    Config,
    HoldoutConfig,
    LogConfig,
    LoopbackConfig,
    MessagesConfig,
    PushConfig,
    QuietConfig,
    ReceiverConfig,
    Site,
    SunsetConfig,
    SweepConfig,
    UnprovedConfig,
)
from pushctl.errors import ConfigError, Problem
from pushctl.rules.config.structure import Fault, line_of, structure, suggest
from pushctl.rules.shops import buy_links

__all__ = [
    "DEFAULT_PUSH_HOSTS",
    "SECRET_BYTES",
    "ApiConfig",
    "ApprovalConfig",
    "BaselineConfig",
    "Brand",
    "Config",
    "FiguresConfig",
    "Goal",
    "HoldoutConfig",
    "LogConfig",
    "LoopbackConfig",
    "MessagesConfig",
    "PushConfig",
    "QuietConfig",
    "ReceiverConfig",
    "Site",
    "SunsetConfig",
    "SweepConfig",
    "UnprovedConfig",
    "find",
    "load",
    "read",
    "unknown_variables",
]

FILE = "pushctl.toml"

# Not settings: other modules read them.
OTHER_VARIABLES = ["PUSHCTL_PROJECT", "PUSHCTL_NOW", "PUSHCTL_E2E"]


def find(start: Path) -> Path:
    """Return the pushctl.toml of *start* or the nearest folder above it."""
    if start.is_file():
        return start.absolute()
    try:
        folder = start.absolute()
    except FileNotFoundError:
        raise ConfigError(
            "the folder that this was started in is not there any more. Go to another one "
            "(cd), or give the project's folder with --project."
        ) from None
    for each in (folder, *folder.parents):
        file = each / FILE
        if file.is_file() and (each == folder or _is_ours(file)):
            return file
    raise ConfigError(
        f"there is no {FILE} in {folder} or above it. Run `pushctl init` there, or give "
        "the project's folder with --project."
    )


def _is_ours(file: Path) -> bool:
    # In a folder like /tmp anybody may write a pushctl.toml for the folders below.
    return file.stat().st_uid in (os.getuid(), 0)


def load(file: Path, environment: Mapping[str, str]) -> Config:
    """Read and check *file*; raise ConfigError with every problem in it."""
    config, problems = read(file, environment)
    if problems or config is None:
        count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ConfigError(f"{file} has {count}:", problems)
    return config


def read(file: Path, environment: Mapping[str, str]) -> tuple[Config | None, list[Problem]]:
    """
    Return the Config of *file* and its problems, in the file's order.

    With problems the Config has defaults for faulty values, or is None: it only serves to
    find further problems.
    """
    text, table = _read(file)
    overridden = _override(table, environment)
    config, faults = structure(Config, table)
    if config is not None:
        config = _parse_triggers(config, faults)
        config = _parse_sources(config, faults)
        faults += _find_unknown_sites(config)
        faults += _find_unlisted_languages(config)
        faults += _find_unknown_webhooks(config)
        faults += _find_unknown_sources(config)
    faults.sort(key=lambda fault: line_of(fault.path, text) or 0)
    problems = [_problem(fault, file, text, overridden) for fault in faults]
    return config and _resolve_paths(config, file.absolute()), problems


def _read(file: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = file.read_bytes().decode("utf-8-sig")
        return text, tomllib.loads(text)
    except OSError as error:
        raise ConfigError(
            f"{file} can't be read: {error.strerror}. Check its permissions."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8. Save it in that encoding.") from error
    except tomllib.TOMLDecodeError as error:
        problem = Problem(file.name, str(error), "Correct that line; see https://toml.io.")
        raise ConfigError(f"{file} is not TOML:", [problem]) from error


def _find_unknown_sites(config: Config) -> list[Fault]:
    named = [
        (("tag_rules", str(number), "sites"), name)
        for number, rule in enumerate(config.tag_rules, 1)
        for name in rule.sites
    ]
    named += [
        (("webhooks", str(number), "site"), hook.site)
        for number, hook in enumerate(config.webhooks, 1)
        if hook.site is not None
    ]
    named += [
        (("alerts", str(number), "site"), one.site)
        for number, one in enumerate(config.alerts, 1)
        if one.site is not None
    ]
    return [
        Fault(path, f"has {name!r}", suggest(name, config.sites))
        for path, name in named
        if name not in config.sites
    ]


def _find_unlisted_languages(config: Config) -> list[Fault]:
    return [
        Fault(
            ("sites", name, "languages"),
            f"lacks {site.language!r}, the site's language",
            f"Add {site.language!r}, or write the right one: language = {site.languages[0]!r}.",
        )
        for name, site in config.sites.items()
        if site.languages and site.language not in site.languages
    ]


def _find_unknown_webhooks(config: Config) -> list[Fault]:
    known = [hook.name for hook in config.webhooks]
    named: list[tuple[tuple[str, ...], str]] = [
        (("triggers", trigger.name, "steps", str(number), "webhook"), step.webhook)
        for trigger in config.triggers.values()
        for number, step in enumerate(trigger.steps, 1)
        if step.webhook is not None
    ]
    named += [
        (("alerts", str(number), "webhook"), one.webhook)
        for number, one in enumerate(config.alerts, 1)
        if one.webhook is not None
    ]
    unnamed = "Write [[webhooks]] of that name."
    return [
        Fault(path, f"is {name!r}", suggest(name, known) if known else unnamed)
        for path, name in named
        if name not in known
    ]


def _find_unknown_sources(config: Config) -> list[Fault]:
    return [
        Fault(
            ("sites", name, "twocheckout", "source"), f"has {given!r}", _suggest_source(config)
        )
        for name, site in config.sites.items()
        if site.twocheckout and (given := site.twocheckout.source)
        if getattr(config.sources.get(given), "kind", None) != buy_links.KIND
    ]


def _suggest_source(config: Config) -> str:
    known = [name for name, one in config.sources.items() if one.kind == buy_links.KIND]
    return f"Write one of {', '.join(known)}." if known else "Write [sources.NAME] first."


def _parse_triggers(config: Config, faults: list[Fault]) -> Config:
    """Return *config* with parsed triggers and frequency; add to *faults*."""
    if not config.triggers and config.frequency is None:
        return config
    # Loaded only for projects with triggers: it takes 30 ms of every start.
    from pushctl.rules.triggers import declaration

    triggers, wrong = declaration.parse_all(config.triggers)
    faults += wrong
    frequency = config.frequency
    if frequency is not None:
        frequency, wrong = declaration.parse_frequency(frequency)
        faults += wrong
    return replace(config, triggers=triggers, frequency=frequency)


def _parse_sources(config: Config, faults: list[Fault]) -> Config:
    """Return *config* with parsed sources; add to *faults*."""
    if not config.sources:
        return config
    from pushctl.rules.shops import sources

    found, wrong = sources.parse_all(config.sources, config.sites)
    faults += wrong
    return replace(config, sources=found)


def _resolve_paths(config: Config, file: Path) -> Config:
    """Return *config* with absolute paths."""
    folder = file.parent

    def resolve(table: Any, *names: str) -> Any:
        found = {name: getattr(table, name) for name in names}
        paths = {name: folder / it.expanduser() for name, it in found.items() if it is not None}
        return replace(table, **paths)

    push = replace(config.push, loopback=resolve(config.push.loopback, "ca"))
    receiver = resolve(config.receiver, "certificate", "certificate_key", "geoip")
    log = resolve(config.log, "file")
    cluster = resolve(config.cluster, "ca", "certificate", "certificate_key")
    approval = config.approval and resolve(config.approval, "folder")
    moved: Config = resolve(config, "database", "inbox", "templates", "keys", "journal")
    return replace(
        moved, file=file, push=push, receiver=receiver, log=log, approval=approval,
        figures=resolve(config.figures, "rates"), metrics=resolve(config.metrics, "textfile"),
        cluster=cluster,
    )  # fmt: skip


def _override(
    table: dict[str, Any], environment: Mapping[str, str]
) -> dict[tuple[str, ...], str]:
    """Set the values of PUSHCTL_* in *table*; return their paths with their variables."""
    overridden = {}
    top = {each.name for each in fields(Config)} - {"file"}
    for variable, value in sorted(environment.items()):
        keys = variable.removeprefix("PUSHCTL_").lower().split("__")
        if not variable.startswith("PUSHCTL_") or keys[0] not in top:
            continue
        inner: Any = table
        path = []
        for key in keys[:-1]:
            path.append(_find_spelling(key, inner))
            inner = inner.setdefault(path[-1], {})
            if not isinstance(inner, dict):
                break
        else:
            path.append(_find_spelling(keys[-1], inner))
            inner[path[-1]] = _parse_value(value)
        overridden[tuple(path)] = variable
    return overridden


def _find_spelling(key: str, table: Mapping[str, Any]) -> str:
    """Return *key* as *table* spells it: variables have no capitals and no hyphens."""
    return next((it for it in table if it.lower().replace("-", "_") == key), key)


def _parse_value(text: str) -> Any:
    """Parse a variable's value as TOML, else return the text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def unknown_variables(environment: Mapping[str, str]) -> list[Problem]:
    """Return a problem for each PUSHCTL_... that is no setting."""
    known = [f"PUSHCTL_{each.name.upper()}" for each in fields(Config) if each.name != "file"]
    known += OTHER_VARIABLES
    return [
        Problem(variable, "there is no such setting", suggest(variable, known))
        for variable in sorted(environment)
        if variable.startswith("PUSHCTL_") and variable.split("__")[0] not in known
    ]


def _problem(
    fault: Fault, file: Path, text: str, overridden: Mapping[tuple[str, ...], str]
) -> Problem:
    for path, variable in overridden.items():
        if fault.path[: len(path)] == path:
            return Problem(variable, fault.text, fault.remedy)
    found = line_of(fault.path, text)
    place = f"{file.name}:{found}" if found else file.name
    return Problem(f"{place}: {'.'.join(fault.path)}", fault.text, fault.remedy)
