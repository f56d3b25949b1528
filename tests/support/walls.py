"""The kernel's filter of system calls, as a service's unit has it (seccomp, by prctl)."""

import ctypes
import errno
import platform
import struct
from collections.abc import Iterable

# The numbers of system calls, by machine (the kernel's asm/unistd.h).
_CALLS = {
    "x86_64": {"listen": 50, "accept": 43, "accept4": 288},
    "aarch64": {"listen": 201, "accept": 202, "accept4": 242},
}
_LOAD, _IS_EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF: a word, a jump, the end
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000  # SECCOMP_RET_...
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def know_machine() -> bool:
    return platform.machine() in _CALLS


def forbid(names: Iterable[str] = ("listen", "accept", "accept4")) -> None:
    """
    Let calls of these *names* fail with EPERM, in this process and all that it starts.

    As `SystemCallFilter=~listen accept accept4` in the units of sweep and watch.
    """
    numbers = [_CALLS[platform.machine()][name] for name in names]
    steps = [(_LOAD, 0, 0, 0)]  # the number stands first in seccomp_data
    for left, number in enumerate(reversed(numbers)):
        steps.insert(1, (_IS_EQUAL, left + 1, 0, number))
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ERROR | errno.EPERM)]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        _PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(_Program(len(steps), code)), 0, 0
    ):
        raise OSError(ctypes.get_errno(), "no filter of system calls can be set here")
