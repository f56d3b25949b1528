"""A worker that dies in the middle of its answer; for tests, run inside the worker."""

import os
import signal
import struct
import sys


def die() -> None:
    """Write the head and one byte of an answer to the pool, then be killed."""
    frame = sys._getframe()
    while "result_queue" not in frame.f_locals:
        assert frame.f_back is not None
        frame = frame.f_back
    answers = frame.f_locals["result_queue"]
    answers._wlock.acquire()
    os.write(answers._writer.fileno(), struct.pack("!i", 1000) + b"x")
    os.kill(os.getpid(), signal.SIGKILL)
