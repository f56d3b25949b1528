"""
Push services: VAPID, encryption, transport, and what their answers mean.

``send_chunk`` is all that a job needs: letters in, outcomes out, no database. It runs
in this process as well as in a worker of ``executor`` or on another machine.
"""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

from pushctl.push.postbox import Postbox

if TYPE_CHECKING:
    from pushctl.model import Letter, Outcome

__all__ = ["Postbox", "executor", "prepare", "send_chunk"]


def send_chunk(letters: Sequence["Letter"], postbox: Postbox) -> list["Outcome"]:
    """
    Send *letters* and return one Outcome for each, in any order; never raises for one.

    Started and answered letters stand in the journal ``postbox.journal`` until the
    caller has committed the outcomes and called ``journal.discard``.
    """
    from pushctl.push import chunk

    return chunk.send(letters, postbox)


def prepare() -> None:
    """Begin to load what the processes of ``executor`` need, beside what the caller does."""
    from pushctl.push import workers as pool

    pool.prepare()


def executor(workers: int, postbox: Postbox) -> ProcessPoolExecutor:
    """
    Return a started pool of *workers* processes for ``send_chunk``.

    The processes die with the one that calls this, ignore Ctrl-C (the caller ends
    a run through ``postbox.stop``) and have proved their encoder before they send.
    """
    from pushctl.push import workers as pool

    return pool.executor(workers, postbox)
