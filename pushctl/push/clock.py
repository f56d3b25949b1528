"""The clock of leases and standstills: it goes on while a machine sleeps, none can set it."""

import time


def read_seconds() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
