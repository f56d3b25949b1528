"""The sections [sweep], [backup] and [retention] of pushctl.toml."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from pushctl.model import Millis
from pushctl.rules import retention
from pushctl.rules.config import checks
from pushctl.rules.limits import MAX_KEPT_FILES


@dataclass(frozen=True)
class SweepConfig:
    # called after every sweep (with /fail after a bad one), for a dead man's switch
    ping_url: str | None = field(default=None, metadata={"check": checks.url})
    # whether /start is called before each sweep that has work
    ping_start: bool = False
    # older data is deleted; repeated requests are recognised for as long
    keep_days: int = field(default=400, metadata={"check": checks.between(400, 36_500)})


@dataclass(frozen=True)
class BackupConfig:
    """How `pushctl backup` encrypts, and how many it keeps."""

    # "age1..." or "ssh-ed25519 ...": whoever has the key of one of them can open a backup
    recipients: tuple[str, ...] = field(default=(), metadata={"each": checks.recipient})
    # in a folder that backups are written to, the newest stay; 0: all
    keep: int = field(default=0, metadata={"check": checks.between(0, MAX_KEPT_FILES)})


_LEAST = {kind.name: kind.least for kind in retention.KINDS}


def _kept(name: str) -> str | None:
    check = checks.at_least(_LEAST[name])
    made: str | None = field(default=None, metadata={"check": check})
    return made


@dataclass(frozen=True)
class RetentionConfig:
    """How long rows are kept, by what they are; none: see ``rules.retention.KINDS``."""

    events: str | None = _kept("events")
    decisions: str | None = _kept("decisions")
    enrolments: str | None = _kept("enrolments")
    carts: str | None = _kept("carts")
    feeds: str | None = _kept("feeds")
    experiments: str | None = _kept("experiments")
    invitations: str | None = _kept("invitations")
    runs: str | None = _kept("runs")
    api: str | None = _kept("api")
    webhooks: str | None = _kept("webhooks")

    def find_lengths(self, keep_days: int) -> Mapping[str, Millis]:
        """Return how long each kind is kept; *keep_days* is that of [sweep]."""
        given = asdict(self)
        return {
            kind.name: retention.find_length(kind, given, keep_days) for kind in retention.KINDS
        }
