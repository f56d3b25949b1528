"""The table [cluster] of pushctl.toml: other machines that send, too."""

from dataclasses import dataclass, field
from pathlib import Path

from pushctl.rules.config import checks, cluster


@dataclass(frozen=True)
class ClusterConfig:
    """Where Dask's scheduler is, and by which certificates all know each other."""

    # "tls://10.0.0.5:8786"; none: this machine sends all itself
    scheduler: str | None = field(default=None, metadata={"check": cluster.scheduler})
    # PEM files: the cluster's own authority, and our certificate with its key
    ca: Path | None = None
    certificate: Path | None = None
    certificate_key: Path | None = None
    # where workers reach this machine; none: any free port of the address towards the scheduler
    listen: str | None = field(default=None, metadata={"check": checks.listen})
    # where they find it, if that differs: behind a router, in a container
    address: str | None = field(default=None, metadata={"check": cluster.member})
    # seconds that a worker may go on without a word from us
    lease: float = field(default=30.0, metadata={"check": checks.between(2, 30)})
