"""
One family of errors; the class carries the exit code, the message the remedy.

A message names the thing and the place, then the remedy. Any other exception is a bug
and stays a traceback (``--debug`` shows it).
"""

from collections.abc import Sequence
from typing import NamedTuple


class PushctlError(Exception):
    """The base of all errors, with a message for people."""

    exit_code = 1


class UsageError(PushctlError):
    """The command line asks for something that can't be meant."""

    exit_code = 2


class InputError(UsageError):
    """A file, an expression or a key handed to a command is not of its form."""


class Problem(NamedTuple):
    # No dataclass: what ``quick`` loads must not load inspect.
    place: str  # "pushctl.toml: sites.shop.origin", "templates/welcome/ar.toml:3"
    fault: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.fault}\n    {self.remedy}"


def describe_unread(error: OSError | ValueError, remedy: str) -> tuple[str, str]:
    """
    Return fault and remedy of a file of texts that can't be read.

    *remedy* is that of its content: where the system refuses the file, rights are looked at.
    """
    if isinstance(error, OSError):
        return f"can't be read: {error.strerror}", "Check its owner and its permissions."
    if isinstance(error, UnicodeDecodeError):
        return f"can't be read: byte {error.start + 1:,} is not UTF-8", remedy
    return f"can't be read: {error}", remedy


class ConfigError(PushctlError):
    """pushctl.toml, a key file, a template or the database can't be used as it is."""

    exit_code = 3

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__("\n".join([message, *map(str, problems)]))
        self.problems = tuple(problems)


class DamagedError(ConfigError):
    """The database's file is damaged: nothing more is written to it."""


class TemplateError(ConfigError):
    """A template can't be read or rendered."""


class NotFoundError(PushctlError):
    """A campaign, trigger, template or subscription does not exist."""

    exit_code = 4


class DeliveryError(PushctlError):
    """Some deliveries failed or are in doubt; the figures were printed before."""

    exit_code = 5


class BusyError(PushctlError):
    """Another run holds the lock (EX_TEMPFAIL): nothing was done, try later."""

    exit_code = 75


class DatabaseBusyError(BusyError):
    """Another program holds the database."""


class RefusedError(PushctlError):
    """A key or a push service refuses us (EX_NOPERM); no subscription was deleted."""

    exit_code = 77


def name_shortage(error: BaseException) -> ConfigError | None:
    """Return what to say where memory, threads or processes are refused; None: not that."""
    # A library that can't be loaded: glibc's words.
    unloaded = isinstance(error, ImportError) and "failed to map segment" in str(error)
    if isinstance(error, MemoryError) or unloaded:
        return ConfigError(
            "memory ran out. Free some, or allow pushctl more (ulimit -v, MemoryMax of its "
            "unit), then run the command again."
        )
    # fork() names no file; a lock or a socket that would block is answered where it is asked.
    unforked = isinstance(error, BlockingIOError) and error.filename is None
    unstarted = isinstance(error, RuntimeError) and "can't start new thread" in str(error)
    if unforked or unstarted:
        return ConfigError(
            "no more threads or processes can be started. Allow pushctl more (ulimit -u, "
            "TasksMax of its unit) or end other programs, then run the command again."
        )
    return None
