"""The section [metrics] of pushctl.toml."""

from dataclasses import dataclass, field
from pathlib import Path

from pushctl.rules.config import checks


@dataclass(frozen=True)
class MetricsConfig:
    """What sweeps write for Prometheus."""

    # a file for node_exporter's textfile collector; none: no file
    textfile: Path | None = field(default=None, metadata={"check": checks.textfile})
    # of the newest open campaigns each has figures of its own
    campaigns: int = field(default=20, metadata={"check": checks.between(0, 200)})
