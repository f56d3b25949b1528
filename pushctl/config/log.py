"""The section [log] of pushctl.toml."""

from dataclasses import dataclass, field
from pathlib import Path

from pushctl.rules.config import checks


@dataclass(frozen=True)
class LogConfig:
    # where sends, sweeps and imports are logged; none: nowhere
    file: Path | None = None
    format: str = field(default="text", metadata={"check": checks.log_form})
