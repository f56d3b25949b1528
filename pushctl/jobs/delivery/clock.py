"""A clock for durations: nobody sets it, and it goes on while the machine sleeps."""

import time


def steady() -> float:
    """Return seconds since the machine's start; monotonic ones leave out its sleep."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
