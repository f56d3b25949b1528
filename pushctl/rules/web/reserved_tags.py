"""Tags that only the program sets: no browser may, except by /v1/preferences."""

from pushctl.rules.web.fields import fold

RESERVED = "pushctl:"  # how the names of all of them begin

PAUSED = RESERVED + "paused"
FEWER = RESERVED + "fewer"


def is_reserved(name: str) -> bool:
    """Say whether only the program itself may set this tag."""
    return fold(name).startswith(RESERVED)
