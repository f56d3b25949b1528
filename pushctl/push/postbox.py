"""The settings of a sending process: one frozen value that is pickled with each chunk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Postbox:
    """
    Keys, limits and paths for sending; picklable, and equal for all chunks of a run.

    *run* is part of the journals' names, so that those of a crashed run are read while
    another run sends.
    """

    contact: str  # the VAPID sub: "mailto:..." or "https://..."
    keys: Mapping[str, bytes] = field(repr=False)  # key id -> private key, PEM
    journal: Path  # folder; made when missing
    run: str  # letters, digits, "_"; e.g. the campaign's id
    allowed_hosts: tuple[str, ...]
    encoder: str = "auto"  # auto, turbo, fast, direct, pywebpush
    timeout: float = 30.0  # seconds for one request as a whole
    proxy: str | None = None  # "http://host:port"; the environment's are never used
    # "name[:port]" -> "127.0.0.1:port"; only loopback targets are taken
    loopback: Mapping[str, str] = field(default_factory=dict)
    loopback_ca: Path | None = None
    stop: Path | None = None  # once this file exists, nothing more is started
    # Numbers of deliveries, a line each: those not begun are held back. It only grows.
    withheld: Path | None = None
    window: int = 1000  # most requests in flight in one process

    @property
    def standstill(self) -> float:
        """
        The seconds after which letters that nobody looked at are out of date.

        Their process was stopped, or the machine slept: no request takes so long.
        """
        return 2 * self.timeout
