"""
What every sending process needs, loaded once in the process that they are forked from.

That process (see multiprocessing's "forkserver") does nothing else: it opens no
connection and starts no thread, so what it loads can be forked. Loading this takes a
sixth of a second, as long as encrypting some thousand letters.
"""

import os

from pushctl.push import chunk  # noqa: F401
from pushctl.push.encoders import direct, turbo  # noqa: F401

PID = os.getpid()  # of the ancestor itself, also where a descendant reads it
