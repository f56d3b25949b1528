"""The progress of work that is measured in bytes."""

from pushctl import output

_MEGABYTE = 1_000_000


class Megabytes:
    """Takes counts of bytes, and shows whole megabytes on a bar."""

    def __init__(self, bar: output.Progress, total: int) -> None:
        self._bar, self._rest = bar, 0
        bar.total(max(total // _MEGABYTE, 1))

    def __call__(self, count: int) -> None:
        whole, self._rest = divmod(self._rest + count, _MEGABYTE)
        if whole:
            self._bar.advance(whole)
