"""
pushctl.toml and PUSHCTL_* -> one frozen, validated Config.

Paths in the file are relative to it. Every problem is reported at once, each with
its place and remedy (ConfigError.problems).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

# Where browsers' push services live (docs: wire facts). A leading dot stands for
# any subdomain. jmt17.google.com: Chromium builds without Google's keys.
DEFAULT_PUSH_HOSTS = (
    "fcm.googleapis.com",
    "jmt17.google.com",
    "updates.push.services.mozilla.com",
    ".push.services.mozilla.com",
    ".notify.windows.com",
    "web.push.apple.com",
    ".push.apple.com",
)


@dataclass(frozen=True)
class Brand:
    """What a site's notifications look like when the template doesn't say."""

    name: str = ""
    icon: str | None = None  # absolute URL
    badge: str | None = None
    color: str | None = None


@dataclass(frozen=True)
class Site:
    """One web origin with its own service worker."""

    name: str  # the key in [sites.NAME]
    origin: str  # "https://shop.example", no path
    language: str = "en"  # default language
    timezone: str = "UTC"
    brand: Brand = field(default_factory=Brand)
    origins: tuple[str, ...] = ()  # further origins allowed to post for this site


@dataclass(frozen=True)
class ReceiverConfig:
    url: str = ""  # public URL, written into sw/
    listen: str = "127.0.0.1:8750"
    country_header: str | None = None  # header a proxy sets, e.g. "CF-IPCountry"


@dataclass(frozen=True)
class LoopbackConfig:
    """
    For the demo and for tests: names that are dialled on this machine instead.

    Only loopback targets are taken, and every command that sends says so loudly.
    """

    hosts: Mapping[str, str] = field(default_factory=dict)  # "name[:port]" -> "127.0.0.1:port"
    ca: Path | None = None  # PEM of the throw-away CA


@dataclass(frozen=True)
class PushConfig:
    encoder: str = "auto"  # auto, turbo, direct, pywebpush
    allowed_hosts: tuple[str, ...] = DEFAULT_PUSH_HOSTS
    workers: int = 0  # 0: two per core
    rate: float | None = None  # messages a second and origin; none: as fast as it takes
    proxy: str | None = None
    timeout: float = 30.0  # seconds for one request as a whole
    loopback: LoopbackConfig = field(default_factory=LoopbackConfig)


@dataclass(frozen=True)
class Config:
    file: Path  # pushctl.toml itself
    contact: str  # "mailto:..." or "https://...": the VAPID sub
    sites: Mapping[str, Site]
    database: Path
    inbox: Path
    templates: Path
    keys: Path
    journal: Path
    receiver: ReceiverConfig = field(default_factory=ReceiverConfig)
    push: PushConfig = field(default_factory=PushConfig)
    segments: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.file.parent


def find(start: Path) -> Path:
    """Return the pushctl.toml of *start* or the nearest folder above it."""
    raise NotImplementedError


def load(file: Path, environment: Mapping[str, str]) -> Config:
    """Read and check *file*; raise ConfigError with every problem in it."""
    raise NotImplementedError
