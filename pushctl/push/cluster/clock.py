"""The clock of leases: it goes on while a machine sleeps, and nobody can set it."""

import time


def read_seconds() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
