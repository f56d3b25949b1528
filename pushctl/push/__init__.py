"""
Push services: VAPID, encryption, transport, and what their answers mean.

``send_chunk`` is all that a job needs: letters in, outcomes out, no database. It runs
in this process as well as in one of ``workers`` or on another machine.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pushctl.push.postbox import Postbox

if TYPE_CHECKING:
    from pushctl.model import Letter, Outcome

__all__ = ["Postbox", "send_chunk"]


def send_chunk(letters: Sequence["Letter"], postbox: Postbox) -> list["Outcome"]:
    """
    Send *letters* and return one Outcome for each, in any order; never raises for one.

    Started and answered letters stand in the journal ``postbox.journal`` until the
    caller has committed the outcomes and called ``journal.discard``.
    """
    from pushctl.push import chunk

    return chunk.send(letters, postbox)
