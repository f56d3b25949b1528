"""The extra ``pushctl[demo]``: the packages that only real browsers need."""

import shlex
import sys
from importlib.util import find_spec

# D-Bus, over which browsers show notifications; the WebSocket that Firefox opens.
_PACKAGES = ("jeepney", "websockets")


def is_installed() -> bool:
    """Return whether every package of the extra can be imported."""
    return all(find_spec(name) for name in _PACKAGES)


def install_command() -> str:
    """Return the shell command that adds the extra to the Python that runs this."""
    return f"{shlex.quote(sys.executable)} -m pip install 'pushctl[demo]'"
