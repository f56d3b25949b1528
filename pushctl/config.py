"""
Read pushctl.toml and PUSHCTL_* into one frozen, checked Config.

Paths in the file are relative to it. All problems are reported at once, each with its
place and remedy (ConfigError.problems). A setting's check is in its field's metadata
(rules/config/structure.py reads it).
"""

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import tzinfo
from pathlib import Path
from typing import Any

from pushctl.errors import ConfigError, Problem
from pushctl.rules import limits
from pushctl.rules.config import checks
from pushctl.rules.config.structure import Fault, line_of, structure, suggest
from pushctl.rules.web import tag_rules
from pushctl.rules.web.tag_rules import TagRule

FILE = "pushctl.toml"

SECRET_BYTES = 32

# Not settings: other modules read them.
OTHER_VARIABLES = ["PUSHCTL_PROJECT", "PUSHCTL_NOW", "PUSHCTL_E2E"]

# Browsers' push services (docs: wire facts). A leading dot: any subdomain.
# jmt17.google.com: Chromium builds without Google's keys.
DEFAULT_PUSH_HOSTS = (
    "fcm.googleapis.com",
    "jmt17.google.com",
    "updates.push.services.mozilla.com",
    ".push.services.mozilla.com",
    ".notify.windows.com",
    "web.push.apple.com",
    ".push.apple.com",
)


def _checked(default: Any, check: Callable[[Any], checks.Verdict]) -> Any:
    return field(default=default, metadata={"check": check})


@dataclass(frozen=True)
class Brand:
    """A site's look of notifications, for templates without one."""

    name: str = ""
    icon: str | None = _checked(None, checks.url)
    badge: str | None = _checked(None, checks.url)
    color: str | None = None


@dataclass(frozen=True)
class Site:
    """One web origin with its own service worker."""

    name: str = field(metadata={"given": True})  # the key in [sites.NAME]
    # "https://shop.example", no path
    origin: str = field(
        metadata={"check": checks.origin, "remedy": 'Write origin = "https://shop.example"'}
    )
    language: str = _checked("en", checks.language)
    timezone: str = _checked("UTC", checks.timezone)
    # of prices that name none: "EUR"; none: their currency is unknown
    currency: str | None = _checked(None, checks.currency)
    brand: Brand = field(default_factory=Brand)
    # further origins allowed to post for this site
    origins: tuple[str, ...] = field(default=(), metadata={"each": checks.origin})


@dataclass(frozen=True)
class ReceiverConfig:
    # public URL, written into sw/
    url: str = _checked("", checks.receiver_url)
    listen: str = _checked("127.0.0.1:8750", checks.listen)
    # header a proxy sets, e.g. "CF-IPCountry"
    country_header: str | None = _checked(None, checks.header_name)
    # PEM files; both or none
    certificate: Path | None = None
    certificate_key: Path | None = None
    # their X-Forwarded-For is trusted; limits for one address do not apply to them
    trusted_proxies: tuple[str, ...] = field(
        default=("127.0.0.0/8", "::1"), metadata={"each": checks.network}
    )
    connections: int = _checked(2000, checks.between(10, 100_000))
    connections_per_address: int = _checked(100, checks.between(1, 100_000))
    # requests a second, ten seconds' worth at once; 0: no limit
    rate_per_address: float = _checked(20.0, checks.between(0, 1_000_000))
    rate_per_site: float = _checked(0.0, checks.between(0, 1_000_000))
    # address for Prometheus; none: no metrics
    metrics: str | None = _checked(None, checks.listen)
    log: str = _checked("text", checks.log_form)
    # an MMDB file that knows countries or cities
    geoip: Path | None = None
    keep_address: bool = False


@dataclass(frozen=True)
class UnprovedConfig:
    """What subscribers to whom no message was ever shown may add; 0: no limit."""

    # new names of tags: of one address in a day, of all together at any time
    tag_names_per_address: int = _checked(200, checks.between(0, limits.MAX_TAG_NAMES))
    tag_names: int = _checked(2000, checks.between(0, limits.MAX_TAG_NAMES))
    # megabytes that the receiver writes for them in a day
    inbox_mb_per_address: float = _checked(10.0, checks.between(0, 1_000_000))
    inbox_mb: float = _checked(1000.0, checks.between(0, 1_000_000))


@dataclass(frozen=True)
class LoopbackConfig:
    """
    Host names redirected to this machine, for the demo and for tests.

    Only loopback targets are allowed, and every command that sends warns of them.
    """

    # "name[:port]" -> "127.0.0.1:port"
    hosts: Mapping[str, str] = field(default_factory=dict, metadata={"each": checks.loopback})
    ca: Path | None = None  # PEM of the throw-away CA


@dataclass(frozen=True)
class PushConfig:
    encoder: str = _checked("auto", checks.encoder)
    allowed_hosts: tuple[str, ...] = field(
        default=DEFAULT_PUSH_HOSTS, metadata={"each": checks.push_host}
    )
    # 0: two per core
    workers: int = _checked(0, checks.between(0, 256))
    # messages a second and origin; none: no limit
    rate: float | None = _checked(None, checks.positive)
    proxy: str | None = _checked(None, checks.proxy)
    # seconds for one request as a whole
    timeout: float = _checked(30.0, checks.between(1, 300))
    loopback: LoopbackConfig = field(default_factory=LoopbackConfig)


@dataclass(frozen=True)
class SweepConfig:
    # called after every sweep (with /fail after a bad one), for a dead man's switch
    ping_url: str | None = _checked(None, checks.url)
    # older data is deleted; repeated requests are recognised for as long
    keep_days: int = _checked(400, checks.between(400, 36_500))


@dataclass(frozen=True)
class LogConfig:
    # where sends, sweeps and imports are logged; none: nowhere
    file: Path | None = None
    format: str = _checked("text", checks.log_form)


@dataclass(frozen=True)
class Config:
    file: Path = field(metadata={"given": True})  # pushctl.toml itself
    # "mailto:..." or "https://...": the VAPID sub
    contact: str = field(
        metadata={
            "check": checks.contact,
            "remedy": 'Write contact = "mailto:you@shop.example"',
        }
    )
    sites: Mapping[str, Site] = field(
        metadata={
            "check": checks.sites,
            "each": checks.named,
            "remedy": "Write [sites.shop] and its origin below it.",
        }
    )
    database: Path = Path("pushctl.db")
    inbox: Path = Path("inbox")
    templates: Path = Path("templates")
    keys: Path = Path("keys")
    journal: Path = Path("journal")
    receiver: ReceiverConfig = field(default_factory=ReceiverConfig)
    unproved: UnprovedConfig = field(default_factory=UnprovedConfig)
    push: PushConfig = field(default_factory=PushConfig)
    segments: Mapping[str, str] = field(default_factory=dict, metadata={"each": checks.named})
    # name -> rules.triggers.Trigger, in the file's order
    triggers: Mapping[str, Any] = field(default_factory=dict)
    tag_rules: tuple[TagRule, ...] = field(
        default=(), metadata={"check": tag_rules.few, "each": tag_rules.sensible}
    )
    sweep: SweepConfig = field(default_factory=SweepConfig)
    log: LogConfig = field(default_factory=LogConfig)
    # rules.triggers.Frequency, or None where the file has no [frequency]
    frequency: Any = None

    @property
    def folder(self) -> Path:
        return self.file.parent

    @property
    def status(self) -> Path:
        """The folder of what imports publish for the receiver."""
        return self.folder / "status"

    @property
    def first_site(self) -> Site:
        return next(iter(self.sites.values()))

    @property
    def zone(self) -> tzinfo:
        """The first site's time zone, in which --at and --every are read."""
        from pushctl.rules import timing

        return timing.zone(self.first_site.timezone)

    def secret(self) -> bytes:
        """Return the 32 bytes of keys/secret, the key of message tokens and topics."""
        file = self.keys / "secret"
        try:
            secret = file.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"{file} can't be read: {error.strerror}. Restore it from a backup. Or run "
                "`pushctl init` for a new one: reports of earlier messages are then lost."
            ) from error
        if len(secret) != SECRET_BYTES:
            raise ConfigError(
                f"{file} has {len(secret)} bytes, not {SECRET_BYTES}. Restore it from a backup."
            )
        return secret


def find(start: Path) -> Path:
    """Return the pushctl.toml of *start* or the nearest folder above it."""
    if start.is_file():
        return start.absolute()
    folder = start.absolute()
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
        faults += _find_unknown_sites(config)
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
    return [
        Fault(("tag_rules", str(number), "sites"), f"has {name!r}", suggest(name, config.sites))
        for number, rule in enumerate(config.tag_rules, 1)
        for name in rule.sites
        if name not in config.sites
    ]


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
    moved: Config = resolve(config, "database", "inbox", "templates", "keys", "journal")
    return replace(moved, file=file, push=push, receiver=receiver, log=log)


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
