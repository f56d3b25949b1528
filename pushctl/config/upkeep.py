"""The section [backup] of pushctl.toml."""

from dataclasses import dataclass, field

from pushctl.rules.config import checks
from pushctl.rules.limits import MAX_KEPT_FILES


@dataclass(frozen=True)
class BackupConfig:
    """How `pushctl backup` encrypts, and how many it keeps."""

    # "age1..." or "ssh-ed25519 ...": whoever has the key of one of them can open a backup
    recipients: tuple[str, ...] = field(default=(), metadata={"each": checks.recipient})
    # in a folder that backups are written to, the newest stay; 0: all
    keep: int = field(default=0, metadata={"check": checks.between(0, MAX_KEPT_FILES)})
