"""Time zones by their IANA names, which browsers, files and people give."""

import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

# A folder of zones, a path, a name that no file can have. All else is the machine's fault:
# where no file can be opened any more, every zone would count as unknown.
_NO_ZONE = {
    errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.EACCES, errno.ENAMETOOLONG, errno.ELOOP,
    errno.EINVAL,
}  # fmt: skip


def find_zone(name: str) -> "ZoneInfo | None":
    """Return the zone called *name*, or None; OSError where this machine can't look it up."""
    from zoneinfo import ZoneInfo  # it takes a tenth of a short command's time

    try:
        return ZoneInfo(name)
    except (ValueError, LookupError):
        return None
    except OSError as error:
        if error.errno in _NO_ZONE:
            return None
        raise
