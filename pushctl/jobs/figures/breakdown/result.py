"""What messages in groups come to: ``batches.py`` counts, ``kept_breakdowns.py`` keeps it."""

from dataclasses import dataclass

from pushctl.rules.figures.figure import Row


@dataclass(frozen=True, slots=True)
class Added:
    """
    A row a group that has a message; *total*: all of them, None where there is none.

    *untimed* messages were left out: their time is unknown.
    """

    rows: list[Row]
    total: Row | None
    untimed: int
