"""
Which requests with an Idempotency-Key are on disk: a bounded memory of this process.

It only saves work. The ids of such requests come from their keys, so the import applies
each once although a restart forgets, or another receiver took the first.
"""

from collections import OrderedDict

MOST = 50_000  # about 15 MB


class Memory:
    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: OrderedDict[str, bytes] = OrderedDict()

    def find(self, request: str) -> bytes | None:
        """Return the digest of the body that was taken under this id, None without one."""
        return self._known.get(request)

    def add(self, request: str, digest: bytes) -> None:
        self._known[request] = digest
        if len(self._known) > self._most:
            self._known.popitem(last=False)
