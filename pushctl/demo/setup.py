"""The running parts of the demo and their addresses."""

from dataclasses import dataclass
from pathlib import Path

from pushctl.demo.pushservice import PushService


@dataclass(frozen=True, slots=True)
class Setup:
    folder: Path  # the project's
    service: PushService
    shop: str  # its origin
    receiver: str
    key: str  # applicationServerKey, base64url

    @property
    def feed(self) -> Path:
        """The file of the shop's blog, which the shop serves as /feed.xml."""
        return self.folder / "feed.xml"
