"""
Calls of the API that leave no request behind: refused ones, and reads.

They are counted by key, route and reason, and once a minute the counts are one line of the
inbox: a flood of refusals can't flood the database.
"""

import asyncio
from collections import Counter
from contextlib import suppress

import orjson

from pushctl.receiver.answers import Refusal
from pushctl.receiver.commit import Committer
from pushctl.receiver.counters import Tally

PATH = "/v1/server/calls"  # of the inbox's line; no route of the receiver has this name
WRITE_SECONDS = 60.0
_MOST = 1_000  # different ones in a minute


class Calls:
    """Counts calls; ``run`` it as a task."""

    def __init__(self, committer: Committer, tally: Tally, site: str) -> None:
        self._committer = committer
        self._tally = tally
        self._site = site
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def count_refused(self, key: str, route: str, word: str) -> None:
        """Count a refusal; *key* is the key's id, "" where it is unknown."""
        self._tally.count_refused(route, word)
        self._add(key, route, word)

    def count_read(self, key: str, route: str) -> None:
        self._tally.count_taken(route)
        self._add(key, route, "read")

    def _add(self, *call: str) -> None:
        key, route, word = call
        if len(self._counts) < _MOST or (key, route, word) in self._counts:
            self._counts[key, route, word] += 1

    async def run(self, every: float = WRITE_SECONDS) -> None:
        """Write the counts each *every* seconds."""
        while True:
            await asyncio.sleep(every)
            self.write()

    def write(self) -> None:
        """Write what was counted since the last time; it stays where the disk is full."""
        if not self._counts:
            return
        counts = [[*call, count] for call, count in self._counts.items()]
        body = orjson.dumps({"calls": counts}).decode()
        with suppress(Refusal):
            self._committer.put(
                self._committer.make_record(PATH, self._site, body), lambda _: None
            )
            self._counts.clear()
