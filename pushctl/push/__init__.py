"""
Push services: VAPID, encryption, transport, and what their answers mean.

Jobs call ``send_chunk``, which needs no database and runs in this process or a worker's.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pushctl.push.postbox import Postbox

if TYPE_CHECKING:
    from pushctl.model import Letter, Outcome

__all__ = ["Postbox", "send_chunk"]


def send_chunk(
    letters: Sequence["Letter"], postbox: Postbox, look: Callable[[], None] | None = None
) -> list["Outcome"]:
    """
    Send *letters*; return one Outcome for each, in any order.

    *look* is called before ``postbox.withheld`` is read, twenty times a second; it must not
    raise.

    Raises ConfigError when the journal can't be written and nothing was begun. The journal
    in ``postbox.journal`` keeps started and answered letters until ``journal.discard``, which
    the caller calls once the outcomes are committed.
    """
    from pushctl.push import chunk

    return chunk.send(letters, postbox, look)
