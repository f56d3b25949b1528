"""Other users of this machine: root becomes one of them in a forked process."""

import os
import pwd
import traceback
from collections.abc import Callable

IS_ROOT = os.getuid() == 0


def pick(count: int) -> list[pwd.struct_passwd]:
    """Return accounts that are not ours, each with a group of its own."""
    found: dict[int, pwd.struct_passwd] = {}
    for one in pwd.getpwall():
        if one.pw_uid not in (0, os.getuid()) and one.pw_gid != 0:
            found.setdefault(one.pw_gid, one)
    return list(found.values())[:count]


def run_as(account: pwd.struct_passwd, group: int, work: Callable[[], object]) -> int:
    """Do *work* as *account*, in *group* besides its own; return 0 where it succeeded."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([group])
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
            os.umask(0o077)
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
