"""What several test files share: real keys, a clock, people."""

import atexit
import os
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pushctl.model import Millis
from pushctl.rules.units import DAY as DAY
from pushctl.rules.units import HOUR as HOUR
from pushctl.rules.units import MINUTE as MINUTE
from pushctl.rules.units import SECOND as SECOND

ROOT = Path(__file__).resolve().parents[2]  # of the checkout

# A Tuesday in spring, 10:00 in Berlin.
NOON: Millis = 1_777_363_200_000


@lru_cache(maxsize=256)
def browser_key(number: int = 0) -> ec.EllipticCurvePrivateKey:
    """Return the private key of the test browser called *number*; the same each time."""
    return ec.derive_private_key(number + 1_000, ec.SECP256R1())


def p256dh(number: int = 0) -> bytes:
    key = browser_key(number).public_key()
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def auth(number: int = 0) -> bytes:
    return number.to_bytes(16, "big")


def endpoint(number: int = 0) -> str:
    return f"https://updates.push.services.mozilla.com/wpush/v2/test-{number}"


def keep_folder(prefix: str) -> Path:
    """
    Return a new folder that is removed when this process ends.

    A process forked from this one must leave it: the others still copy from it.
    """
    folder, owner = Path(tempfile.mkdtemp(prefix=prefix)), os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


def temporary_name() -> str:
    return os.urandom(6).hex()
