"""Columns of numbers (numpy) from which a replay's outcome is estimated."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]

Drawn = tuple[int, str, str | None, float | None]  # step, template, variant, probability


@dataclass(frozen=True, slots=True)
class Log:
    """The messages of a trigger's steps, in columns; an entry each, in their order."""

    delivery: "NDArray[np.int64]"
    person: "NDArray[np.int64]"  # of who was erased: less than 0
    enrolment: "NDArray[np.int64]"
    clicked: "NDArray[np.bool_]"
    drawn: "NDArray[np.int64]"  # an index into kinds
    kinds: Sequence[Drawn]  # those that differ, in the order in which they came

    def keep(self, steps: int) -> "Log":
        """Return the messages of the first *steps* steps."""
        import numpy as np

        kept = np.array([kind[0] <= steps for kind in self.kinds], np.bool_)
        if kept.all():
            return self
        rows, new = kept[self.drawn], np.cumsum(kept) - 1
        return Log(
            self.delivery[rows], self.person[rows], self.enrolment[rows], self.clicked[rows],
            new[self.drawn[rows]], [kind for kind in self.kinds if kind[0] <= steps],
        )  # fmt: skip


class Tallies:
    """Of each person the sum of weights, what came, and that times its weight."""

    def __init__(self, weight: "Floats", sizes: int) -> None:
        self.weight = weight
        self.did: dict[str, Floats] = {}
        self.gains: dict[str, Floats] = {}
        self._size = sizes

    def __len__(self) -> int:
        return self._size

    def add(self, name: str, person: "Places", values: "Floats", weights: "Floats") -> None:
        """Add *values* of *name*, each of a person and with a weight."""
        import numpy as np

        for sums, more in ((self.did, values), (self.gains, values * weights)):
            found = np.bincount(person, more, self._size).astype(np.float64)
            sums[name] = found if name not in sums else sums[name] + found
