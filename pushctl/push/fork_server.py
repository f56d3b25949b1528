"""
The process that workers are forked from (multiprocessing's "forkserver").

It loads once what they need, which takes a sixth of a second. It opens no connection and
starts no thread, so it can be forked.
"""

import contextlib
import os
import signal
import sys
from types import TracebackType

from pushctl.errors import ConfigError, name_shortage
from pushctl.push import (
    chunk,  # noqa: F401
    encoder,
)
from pushctl.push.encoders import (
    Unavailable,
    direct,  # noqa: F401
    fast,
)

PID = os.getpid()  # of the ancestor itself, also where a descendant reads it

# A closing terminal and a service manager signal all processes at once. If this one ended,
# the kernel would end the workers before they have read their answers; so it ends with the
# parent, which waits for those. (Workers wait for SIGTERM, see workers.)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _report(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    """Print the traceback of an error, unless the parent says what the machine refuses."""
    if name_shortage(error) is None:
        sys.__excepthook__(kind, error, at)


sys.excepthook = _report

# turbo takes a part of it where it is loaded.
with contextlib.suppress(Unavailable):
    fast.load()
# Workers raise the error themselves.
with contextlib.suppress(ConfigError):
    encoder.choose()
