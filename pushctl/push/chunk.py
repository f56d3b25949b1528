"""One chunk: encrypt, post, journal, classify; hold an origin back that says stop."""

from collections.abc import Sequence

from pushctl.model import Letter, Outcome
from pushctl.push.postbox import Postbox


def send(letters: Sequence[Letter], postbox: Postbox) -> list[Outcome]:
    raise NotImplementedError
