"""
What every sending process needs, loaded once in the process that they are forked from.

That process (see multiprocessing's "forkserver") does nothing else: it opens no
connection and starts no thread, so what it loads can be forked. Loading this takes a
sixth of a second, as long as encrypting some thousand letters.
"""

import contextlib
import os
import signal

from pushctl.errors import ConfigError
from pushctl.push import (
    chunk,  # noqa: F401
    encoder,
)
from pushctl.push.encoders import direct  # noqa: F401

PID = os.getpid()  # of the ancestor itself, also where a descendant reads it

# A terminal that closes and a service manager that stops its unit tell all processes at
# once. Were this one to die of it, so would the senders, with their answers unread; it ends
# with the parent, which hears them out first. (Workers wait for SIGTERM, see workers.)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

# Loaded and proved for all of them. That there is none is for them to say.
with contextlib.suppress(ConfigError):
    encoder.choose()
